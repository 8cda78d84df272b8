"""The terms of one lock that were seen since this process began, and the gaps between them. Pure.

A lock that has not changed has no history: ten thousand of them cost nothing. Times are wall-clock seconds since the
epoch, for people; a holder that was there before has none. etcd keeps no history, so there is none of earlier terms.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from leasehold.lock.record import Entry

MAX_TERMS: Final = 20
"""Terms kept of one lock; the oldest are forgotten first."""

RELEASED: Final = "gave it up"
EXPIRED: Final = "its lease ran out"


@dataclass(slots=True)
class Term:
    """One holder's term. `since` is None if it began unseen; `until` is None while it lasts.

    `gap` is for how many seconds nobody held before it, None if that was not seen. `ended` says how it ended, "" if
    that is not known.
    """

    identity: str
    token: int
    since: float | None
    gap: float | None = None
    until: float | None = None
    ended: str = ""

    def fields(self) -> dict[str, Any]:
        """For the page; what is not known is left out."""
        named = {
            "identity": self.identity,
            "token": str(self.token),
            "since": self.since,
            "until": self.until,
            "gap": None if self.gap is None else round(self.gap, 3),
            "ended": self.ended or None,
        }
        return {name: value for name, value in named.items() if value is not None}


class History:
    """The terms of one lock, the newest last. `vacant_since` is when the last holder ended, if nobody holds."""

    __slots__ = ("terms", "vacant_since")

    def __init__(self) -> None:
        self.terms: deque[Term] = deque(maxlen=MAX_TERMS)
        self.vacant_since: float | None = None

    def change(self, before: Iterable[Entry], after: Iterable[Entry], now: float) -> None:
        """The holders have changed at `now`."""
        old, new = list(before), list(after)
        self._end({entry.create_revision for entry in old} - {entry.create_revision for entry in new}, old, now)
        gap = None if self.vacant_since is None else max(0.0, now - self.vacant_since)
        if old and new:
            gap = 0.0
        known = {term.token for term in self.terms if term.until is None}
        for entry in new:
            if entry.create_revision not in known:
                self.terms.append(Term(entry.record.identity, entry.create_revision, now, gap))
        if new:
            self.vacant_since = None
        elif old:
            self.vacant_since = now

    def _end(self, tokens: set[int], old: list[Entry], now: float) -> None:
        open_terms = {term.token: term for term in self.terms if term.until is None}
        for entry in old:
            token = entry.create_revision
            if token not in open_terms:  # it held when this process began
                self.terms.append(Term(entry.record.identity, token, None))
                open_terms[token] = self.terms[-1]
            if token in tokens:
                open_terms[token].until = now
                yielded = entry.record.yield_to
                open_terms[token].ended = f"handed over to {yielded}" if yielded else ""

    def note_end(self, token: int, ended: str) -> bool:
        """How a term ended is now known. Returns whether that is news."""
        for term in self.terms:
            if term.token == token and term.until is not None and not term.ended:
                term.ended = ended
                return True
        return False

    def since(self, token: int) -> float | None:
        """When this holder's term began, if that was seen."""
        return next((term.since for term in self.terms if term.token == token and term.until is None), None)
