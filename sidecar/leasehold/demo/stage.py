"""What the steps of the tour share: the three sidecars, and how they see who leads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from leasehold.demo.candidates import Candidate
from leasehold.demo.watch import Seen, Watchman

_FAILOVER_TTLS: Final = 4
"""A step fails if there is no new leader after so many TTLs: generous, because the machine may be busy."""
_SLOWEST_STEP_SECONDS: Final = 20.0
"""An app that fell sick stays out of the queue for some seconds, whatever the TTL."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its outcome in words, whether it held, and the time without a leader in milliseconds."""

    title: str
    outcome: str
    held: bool
    gap_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Succession:
    """A leader that is to be replaced: who, with which answer, since when. `time.monotonic` seconds."""

    old: Candidate
    led: Seen
    since: float


class Stage:
    """The sidecars, as the steps use them. `etcd` is etcd's URL, `sick` has the names of apps that are to be sick."""

    def __init__(self, watchman: Watchman, etcd: str, sick: set[str]) -> None:
        self.watchman = watchman
        self.candidates: Sequence[Candidate] = watchman.candidates
        self.etcd = etcd
        self.sick = sick
        self.ttl = self.candidates[0].ttl
        self.timeout = _FAILOVER_TTLS * self.ttl + _SLOWEST_STEP_SECONDS

    def token(self, candidate: Candidate) -> int:
        """The fencing token in its newest answer; 0 if it does not lead."""
        seen = self.watchman.seen.get(candidate.name)
        return seen.token if seen else 0

    def has_just_renewed(self, candidate: Candidate) -> bool:
        """Whether most of its lease is left."""
        seen = self.watchman.seen.get(candidate.name)
        return seen is not None and seen.valid_for > self.ttl * 5 / 6  # it renews at two thirds

    async def settled(self) -> Candidate | None:
        """The leader, once there is one and all live sidecars are in the queue; None after a timeout."""
        everyone = [one for one in self.candidates if one.alive and not one.frozen]

        def settled() -> bool:
            seen = [self.watchman.seen.get(one.name) for one in everyone]
            return self.watchman.leader() is not None and all(one and one.position is not None for one in seen)

        return self.watchman.leader() if await self.wait(settled) else None

    async def before_change(self) -> Succession | None:
        """Whoever leads now, once all is settled; None if nobody does."""
        old = await self.settled()
        led = self.watchman.led.get(old.name) if old else None
        return Succession(old, led, time.monotonic()) if old and led else None

    async def wait(self, condition: Callable[[], bool]) -> bool:
        """Whether the condition came true in time."""
        return await self.watchman.wait(condition, self.timeout)

    async def next_leader(self, old: Candidate) -> Seen | None:
        """The first answer of the leader after `old`; None after a timeout."""
        await self.wait(lambda: self.watchman.leader() not in (None, old))
        new = self.watchman.leader()
        return self.watchman.seen.get(new.name) if new and new is not old else None
