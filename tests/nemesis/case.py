"""A history with what several rules of the checker need of it: who led, who was ended from outside, who let go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from tests.nemesis.history import (
    Ended,
    Forwarded,
    History,
    Released,
    Told,
)
from tests.nemesis.queue_record import Record


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Something that cannot have been right."""

    rule: str
    story: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.story}"


class Case:
    """A history with what several rules need of it."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.setup = history.setup
        self.record = Record(history)

    @cached_property
    def yes(self) -> list[Told]:
        """Every 200, in order of receipt."""
        return sorted((one for one in self.history.all(Told) if one.status == 200), key=lambda one: one.received)

    @cached_property
    def excused(self) -> dict[int, float]:
        """The tokens whose keys somebody else deleted, or may have, and from when on; not those that still stand."""
        tokens = {one.key: token for token, one in self.record.candidates.items()}
        found: dict[int, float] = {}
        for act in self.history.all(Ended):
            if act.key in tokens and self.gone_by(tokens[act.key]) < math.inf:
                found[tokens[act.key]] = min(act.sent, found.get(tokens[act.key], math.inf))
        for window in self.history.all(Forwarded):
            for token in self.record.candidates:
                if self.gone_after(token) < window.end and window.start < self.gone_by(token) < math.inf:
                    found[token] = min(window.start, found.get(token, math.inf))
        return found

    @cached_property
    def judged(self) -> list[Told]:
        """Every 200 that no outside deletion excuses."""
        return [one for one in self.yes if one.received < self.excused.get(one.token, math.inf)]

    @cached_property
    def released(self) -> set[tuple[str, int]]:
        """Who claims to have let go, of which token."""
        return {(one.name, one.token) for one in self.history.all(Released)}

    def gone_by(self, token: int) -> float:
        """The instant by which the key of this token had gone for certain; infinity while it stands."""
        one = self.record.candidates.get(token)
        return math.inf if one is None or one.died == math.inf else self.record.clock.at_latest(int(one.died))

    def gone_after(self, token: int) -> float:
        """The instant until which the key of this token stood for certain; infinity while it stands."""
        one = self.record.candidates.get(token)
        return math.inf if one is None or one.died == math.inf else self.record.clock.at_earliest(int(one.died))
