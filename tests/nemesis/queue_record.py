"""etcd's own record of the queue and the spec, replayed; and which revision was in force when. Pure.

An instant and a revision are compared only by what linearizable answers prove: an answer at revision R that was
received at t shows that R had been agreed on by t; one that was asked for at s shows that whatever is above R was not
yet agreed on at s.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from tests.nemesis.history import Changed, History, Seen


class Clock:
    """What is known of the time at which each revision was agreed on."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        answers = list(seen)
        by_sent = sorted(answers, key=lambda one: one.sent)
        by_receipt = sorted(answers, key=lambda one: one.received)
        self._sent = [one.sent for one in by_sent]
        self._later = list(accumulate((one.revision for one in reversed(by_sent)), min))[::-1]
        self._received = [one.received for one in by_receipt]
        self._earlier = list(accumulate((one.revision for one in by_receipt), max))

    def certain(self, instant: float) -> int:
        """The highest revision that had been agreed on by then for certain."""
        count = bisect_right(self._received, instant)
        return self._earlier[count - 1] if count else 0

    def possible(self, instant: float) -> float:
        """The highest revision that can have been agreed on by then; infinity where nothing says."""
        first = bisect_left(self._sent, instant)
        return self._later[first] if first < len(self._later) else math.inf

    def at_latest(self, revision: int) -> float:
        """The instant by which this revision had been agreed on for certain; infinity for never."""
        first = bisect_left(self._earlier, revision)
        return self._received[first] if first < len(self._received) else math.inf

    def at_earliest(self, revision: int) -> float:
        """The instant at which this revision had not been agreed on for certain; minus infinity where nothing says."""
        first = bisect_left(self._later, revision)  # the first question whose own and later answers all know it
        return self._sent[first - 1] if first else -math.inf


@dataclass(frozen=True, slots=True)
class Candidate:
    """One key of the queue: its token, who wrote it, and when it went; `died` is infinity while it stands."""

    token: int
    key: str
    identity: str
    died: float = math.inf


@dataclass(frozen=True, slots=True)
class Declared:
    """The lock's spec from one revision on, as far as the checker needs it."""

    revision: int
    capacity: int = 1
    suspend: bool = False
    handover_up_to: int = 0
    preferred: str = ""


class Record:
    """The queue and the spec at every revision."""

    def __init__(self, history: History) -> None:
        self.clock = Clock(history.all(Seen))
        self._history = history

    @cached_property
    def candidates(self) -> dict[int, Candidate]:
        """Every candidate there ever was, by its token."""
        found: dict[int, Candidate] = {}
        standing: dict[str, int] = {}
        for change in self._changes():
            if not change.key.startswith(self._history.setup.queue):
                continue
            if change.deleted:
                token = standing.pop(change.key)
                old = found[token]
                found[token] = Candidate(token, old.key, old.identity, change.revision)
            elif change.key not in standing:
                standing[change.key] = change.revision
                found[change.revision] = Candidate(change.revision, change.key, identity_of(change.value))
        return found

    @cached_property
    def specs(self) -> Sequence[Declared]:
        """Every spec there ever was, oldest first; before the first one the lock is undeclared."""
        mine = [change for change in self._changes() if change.key == self._history.setup.spec]
        return [Declared(0), *(declared(change.value, change.revision) for change in mine)]

    @cached_property
    def register(self) -> Sequence[Changed]:
        """Every value of the fenced register, oldest first."""
        return [change for change in self._changes() if change.key == self._history.setup.register]

    def ahead(self, token: int, revision: float) -> int:
        """How many candidates stand before this one at a revision."""
        return sum(one.token < token and one.died > revision for one in self.candidates.values())

    def specs_between(self, start: float, end: float) -> list[Declared]:
        """Every spec that can have been in force at some instant of this span."""
        first, last = self.clock.certain(start), self.clock.possible(end)
        starts = [spec.revision for spec in self.specs]
        return list(self.specs[max(0, bisect_right(starts, first) - 1) : bisect_right(starts, last)])

    def capacity(self, start: float, end: float) -> int:
        """The largest capacity that can have been in force during this span."""
        return max(spec.capacity for spec in self.specs_between(start, end))

    def _changes(self) -> list[Changed]:
        return sorted(self._history.all(Changed), key=lambda change: change.revision)


def identity_of(value: str) -> str:
    """Who a candidate is, by its key's value: ours say so in JSON, the text of any other is its identity."""
    fields = _object(value)
    return str(fields["identity"]) if "identity" in fields else value


def declared(value: str, revision: int = 0) -> Declared:
    """What a spec says, by its key's value; the defaults where it says nothing."""
    fields = _object(value)
    return Declared(
        revision,
        int(fields.get("capacity", 1)),
        bool(fields.get("suspend", False)),
        int(fields.get("handoverUpToToken", 0)),
        str(fields.get("preferredHolder", "")),
    )


def _object(value: str) -> dict[str, Any]:
    try:
        fields = json.loads(value)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
