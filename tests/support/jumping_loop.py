"""An event loop whose clock jumps to the next timer as soon as there is nothing else to do: hours pass in no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: what it should wait for is added to `passed`, in seconds."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the loop would wait for ever")
        if not ready:
            self.passed += timeout or 0.0
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """For what needs neither network nor threads."""

    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Seconds since the loop was made, all of them jumped over."""
        return self._jumps.passed

    def jump(self, seconds: float) -> None:
        """Let so many seconds pass at once, though there is something else to do."""
        self._jumps.passed += seconds


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)
