"""Virtual time: a heap of what is still to happen, and the record of what did."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

from .describe import describe

Action = Callable[..., None]


class Timeline:
    """True time in seconds, which no process of the simulation can read."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Action, tuple[Any, ...]]] = []
        self._pushed = 0
        self.steps = 0

    def at(self, instant: float, action: Action, *args: Any) -> None:
        """Do this at `instant`, or now if that is past; actions of one instant keep their order."""
        self._pushed += 1
        heapq.heappush(self._heap, (max(instant, self.now), self._pushed, action, args))

    def after(self, delay: float, action: Action, *args: Any) -> None:
        self.at(self.now + delay, action, *args)

    def run(self, instant: float, most: int) -> bool:
        """Do all that comes until `instant`, and let it be that. False once more than `most` steps were done."""
        while self._heap and self._heap[0][0] <= instant and self.steps <= most:
            self.steps += 1
            self.now, _, action, args = heapq.heappop(self._heap)
            action(*args)
        self.now = max(self.now, instant)
        return self.steps <= most


class Trace:
    """The last things that happened: kept as objects, and put into words only when somebody reads them."""

    def __init__(self, timeline: Timeline, echo: Callable[[str], None] | None = None, kept: int = 80) -> None:
        self._timeline = timeline
        self._echo = echo
        self._lines: deque[tuple[float, str, str, object]] = deque(maxlen=kept)

    def add(self, who: str, what: str, detail: object = "") -> None:
        if self._echo is not None:
            self._echo(_line(self._timeline.now, who, what, detail))
        self._lines.append((self._timeline.now, who, what, detail))

    def __str__(self) -> str:
        return "\n".join(_line(*line) for line in self._lines)


def _line(instant: float, who: str, what: str, detail: object) -> str:
    return f"{instant:10.4f}  {who:<8} {what:<6} {describe(detail)}"
