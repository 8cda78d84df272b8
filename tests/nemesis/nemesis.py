"""Carries a plan out: a plan is drawn from a seed, and says which faults come together, and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.nemesis.cluster_world import PATIENCE, TTL, World
from tests.nemesis.etcd_gateway import Unanswered
from tests.nemesis.faults import ALL, INNER, OUTER, Fault
from tests.nemesis.history import Injected, Recovery
from tests.servers import wait_for
from tests.servers.etcdctl import EtcdctlFailed


@dataclass(frozen=True)
class Act:
    """Faults by name that come together, the outer one first or last, and how long they last, in seconds.

    With `until` the seconds begin when that holds.
    """

    faults: tuple[str, ...]
    lasts: float
    until: Callable[[World], object] | None = None

    def __str__(self) -> str:
        return f"{' + '.join(self.faults)} for {self.lasts:.1f} s"


def draw(seed: int, names: Iterable[str], acts: int) -> list[Act]:
    """A plan: every fault comes about equally often, in another order and company for each seed."""
    rng = random.Random(seed)
    known = set(names)
    outer = _for_ever(rng, [fault.name for fault in OUTER if fault.name in known])
    inner = _for_ever(rng, [fault.name for fault in INNER if fault.name in known])
    plan = []
    for _ in range(acts):
        faults = [next(outer), *(next(inner) for _ in range(rng.choice([1, 1, 2])))]
        rng.shuffle(faults)
        plan.append(Act(tuple(dict.fromkeys(faults)), rng.uniform(1.0, 2.2) * TTL))
    return plan


def _for_ever(rng: random.Random, names: Sequence[str]) -> Iterator[str]:
    while True:
        yield from rng.sample(names, len(names))


def available(world: World) -> tuple[list[str], list[str]]:
    """The names of the faults that can be done in this world, and a sentence for each that cannot."""
    made = [fault(world, random.Random(0)) for fault in ALL.values()]
    missing = [f"{fault.name} is left out: {fault.unavailable()}" for fault in made if not fault.available()]
    return [fault.name for fault in made if fault.available()], missing


def torment(world: World, plan: Sequence[Act], tell: Callable[[str], None] = lambda said: None) -> None:
    """Carry a plan out. Before and after each act somebody leads; then all is settled and etcd's record is read.

    Raises ProcessFailed when etcd itself does not come back: then the run says nothing.
    """
    rng = random.Random(world.shape.seed)
    _recovered(world, "the start", tell)
    for number, act in enumerate(plan, 1):
        tell(f"{number}/{len(plan)} {act}")
        world.say(str(act))
        faults = [ALL[name](world, rng) for name in act.faults]
        _inject(world, faults, rng)
        _let_last(world, act)
        _heal(world, faults)
        if not _recovered(world, str(act), tell):
            break
    world.finish()


def _inject(world: World, faults: Sequence[Fault], rng: random.Random) -> None:
    for fault in faults:
        time.sleep(rng.uniform(0.0, 0.5))
        try:
            fault.inject()
            world.history.note(Injected(fault.name, time.monotonic()))
        except (Unanswered, EtcdctlFailed) as error:
            world.say(f"{fault.name} was not answered, and may have been done: {error}")


def _let_last(world: World, act: Act) -> None:
    if (until := act.until) is not None:
        wait_for(lambda: until(world), f"what ends {act}", PATIENCE)
    time.sleep(act.lasts)


def _heal(world: World, faults: Sequence[Fault]) -> None:
    """etcd and the network first: what else is to be healed may need them."""
    for fault in sorted(faults, key=lambda one: type(one) not in OUTER):
        fault.heal()
    world.taken.clear()
    world.say("healed")


def _recovered(world: World, after: str, tell: Callable[[str], None]) -> bool:
    healed = time.monotonic()
    leading = world.wait_led(healed)
    world.history.note(Recovery(after, healed, leading))
    tell(f"  somebody leads {leading - healed:.1f} s after healing" if leading else "  NOBODY LEADS after healing")
    return leading is not None
