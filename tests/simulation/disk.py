"""A pod's state directory: what the next process of the pod finds of the last one's candidate."""

from __future__ import annotations

import random
from collections.abc import Callable

from leasehold.election.events import Resumable

from .timeline import Timeline


class Disk:
    """One resume file. Each step takes its time; a step that a crash interrupts has no effect."""

    def __init__(self, timeline: Timeline, rng: random.Random) -> None:
        self._timeline, self._rng = timeline, rng
        self.fails = False
        """Whether nothing can be written."""
        self._kept: Resumable | None = None
        self._marked: set[int] = set()

    def found(self) -> Resumable | None:
        """The candidate to resume, unless it was marked."""
        return self._kept if self._kept is not None and self._kept.lease not in self._marked else None

    def save(self, candidate: Resumable, alive: Callable[[], bool]) -> None:
        def write() -> None:
            if alive() and not self.fails and candidate.lease not in self._marked:
                self._kept = candidate

        self._timeline.after(self._time(), write)

    def mark(self, lease: int, then: Callable[[bool], None]) -> None:
        """See to it that this lease is never resumed, then say whether that is so."""

        def write() -> None:
            if not self.fails:
                self._marked.add(lease)
            then(not self.fails or self._kept is None or self._kept.lease != lease)

        self._timeline.after(self._time(), write)

    def _time(self) -> float:
        return self._rng.choice((0.0, self._rng.uniform(0.0005, 0.02)))
