"""What a fault is, and whom it befalls.

`strike` returns what ends the fault, or None for one that is over at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .host import Host
from .node import Process

if TYPE_CHECKING:
    from .world import World

Heal = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `lasts` is the longest it goes on, in TTLs; `sort` says which of a kind exclude each other."""

    name: str
    strike: Callable[[World], Heal | None]
    lasts: float = 1.0
    sort: str = ""

    def __str__(self) -> str:
        return self.name


def victim(world: World) -> Process | None:
    """A live process; more often than not the holder, since most faults matter most to it."""
    alive = [host.process for host in world.hosts if host.process and not host.process.frozen]
    holding = [process for process in alive if process.is_holding()]
    return world.rng.choice(holding if holding and world.rng.random() < 0.6 else alive) if alive else None


def host_of(world: World) -> Host:
    process = victim(world)
    return process.host if process is not None else world.rng.choice(world.hosts)


def cut_off(world: World, hosts: list[Host], places: set[int]) -> None:
    rejects = world.rng.random() < 0.5
    for host in hosts:
        link = world.network.links[host.name]
        link.cut, link.rejects = set(places), rejects
        world.trace.add(host.name, "cut", f"from members {sorted(places)}")
