"""Faults between sidecars and etcd's members."""

from __future__ import annotations

from typing import ClassVar

from tests.nemesis.faults.base import Fault
from tests.servers import Proxy
from tests.servers.toxiproxy import Direction, all_but_one


class _OnProxies(Fault):
    """A fault of the ways between them."""

    def heal(self) -> None:
        for one in self.world.candidates:
            for proxy in one.proxies:
                proxy.heal()

    def _ways(self) -> list[Proxy]:
        """All the ways of one sidecar."""
        return self.anybody().proxies


class CutOff(_OnProxies):
    """One sidecar's connections are closed, and new ones refused."""

    name: ClassVar = "cut-off"

    def inject(self) -> None:
        for proxy in self._ways():
            proxy.cut()


class Silence(_OnProxies):
    """One sidecar's connections stay open, and nothing comes through: in one direction, or in both."""

    name: ClassVar = "silence"

    def inject(self) -> None:
        ways: list[tuple[Direction, ...]] = [("upstream",), ("downstream",), ("upstream", "downstream")]
        directions = self.rng.choice(ways)
        for proxy in self._ways():
            proxy.silence(directions)


class Delay(_OnProxies):
    """Everything takes longer, each message by another time."""

    name: ClassVar = "delay"

    def inject(self) -> None:
        milliseconds = self.rng.choice([50, 200, 400])
        self.world.say(f"{self.name}: {milliseconds} ms, in all ways")
        for one in self.world.candidates:
            for proxy in one.proxies:
                proxy.delay(milliseconds, milliseconds // 2, self.rng.choice([("upstream",), ("downstream",)]))


class OneMemberEach(_OnProxies):
    """Each sidecar reaches one member only, not the same; the others swallow what is sent."""

    name: ClassVar = "one-member-each"

    def inject(self) -> None:
        self.world.say(self.name)
        for number, one in enumerate(self.world.candidates):
            for proxy in all_but_one(one.proxies, number):
                proxy.silence()


class Flap(_OnProxies):
    """All connections of all sidecars are closed at once, and may be opened again at once."""

    name: ClassVar = "flap"

    def inject(self) -> None:
        self.world.say(self.name)
        for one in self.world.candidates:
            for proxy in one.proxies:
                proxy.cut()
        self.heal()


NETWORK_FAULTS: tuple[type[Fault], ...] = (CutOff, Silence, Delay, OneMemberEach, Flap)
