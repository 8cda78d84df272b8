"""How long nobody led between two terms, and what the lock waited for meanwhile. Pure.

A gap lies between two terms: from the last 200 that was asked for in the one to the first that was received in the
other. It holds the fault itself. Where the terms overlap, with a capacity above 1, there is none. Each instant of a gap
counts as one thing, the first of these that is true, by etcd's own record and the observer's reads:

    etcd       no member answered a linearizable read
    suspended  the lock was
    empty      nobody stood in the queue
    stranger   a candidate that is not ours held the lock
    lease      only keys that had been led under before stood where one may lead: they have to expire, or be deleted
    next       somebody's turn had come, by etcd's record: what is left for that sidecar, with all faults of its own
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.nemesis.history import History, Recovery, Seen, Told
from tests.nemesis.queue_record import Candidate, Declared, Record

PARTS: Final = ("etcd", "suspended", "empty", "stranger", "lease", "next")
SILENCE_SECONDS: Final = 0.5
"""So long without any answer of etcd's, which is asked 60 times a second, is a silence."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap, in seconds of the observer's clock; `act` is the one during which it began."""

    start: float
    end: float
    act: str
    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """How long nobody was seen to lead."""
        return self.end - self.start


def gaps(history: History) -> list[Gap]:
    """Every gap of a run, in order of time."""
    yes = sorted((one for one in history.all(Told) if one.status == 200), key=lambda one: one.received)
    last = {told.token: told.sent for told in yes}
    course = _Course(history)
    found = []
    seen: set[int] = set()
    for told in yes:
        if told.token not in seen and seen:
            start = max(last[token] for token in seen)
            if told.received > start:
                found.append(Gap(start, told.received, course.act(start), course.parts(start, told.received, seen)))
        seen.add(told.token)
    return found


class _Course:
    """What etcd's record and the observer's reads say of any instant."""

    def __init__(self, history: History) -> None:
        self._record = Record(history)
        self._ours = {told.name for told in history.all(Told)}
        self._recoveries = history.all(Recovery)
        received = sorted(one.received for one in history.all(Seen))
        self._silences = [(one, other) for one, other in pairwise(received) if other - one > SILENCE_SECONDS]

    def act(self, instant: float) -> str:
        """The act that was healed next, which is the one under way."""
        return next((one.step for one in self._recoveries if one.healed >= instant), "the end")

    def parts(self, start: float, end: float, led: set[int]) -> dict[str, float]:
        """Seconds of each part between these instants; `led` are the tokens that somebody has led under."""
        found: dict[str, float] = {}
        cuts = [start, *sorted(cut for cut in set(self._cuts()) if start < cut < end), end]
        for one, other in pairwise(cuts):
            part = self._part((one + other) / 2, led)
            found[part] = found.get(part, 0.0) + other - one
        return found

    def _cuts(self) -> Iterator[float]:
        for silence in self._silences:
            yield from silence
        clock = self._record.clock
        for spec in self._record.specs:
            yield clock.at_latest(spec.revision)
        for one in self._record.candidates.values():
            yield clock.at_latest(one.token)
            if one.died != float("inf"):
                yield clock.at_latest(int(one.died))

    def _part(self, instant: float, led: set[int]) -> str:
        if any(start < instant < end for start, end in self._silences):
            return "etcd"
        revision = self._record.clock.certain(instant)
        spec = self._spec(revision)
        if spec.suspend:
            return "suspended"
        return self._of_queue(self._queue(revision)[: spec.capacity], led)

    def _of_queue(self, may_lead: Sequence[Candidate], led: set[int]) -> str:
        if not may_lead:
            return "empty"
        if any(one.identity in self._ours and one.token not in led for one in may_lead):
            return "next"
        return "stranger" if any(one.identity not in self._ours for one in may_lead) else "lease"

    def _spec(self, revision: int) -> Declared:
        return next(spec for spec in reversed(self._record.specs) if spec.revision <= revision)

    def _queue(self, revision: int) -> list[Candidate]:
        standing = [one for one in self._record.candidates.values() if one.token <= revision < one.died]
        return sorted(standing, key=lambda one: one.token)
