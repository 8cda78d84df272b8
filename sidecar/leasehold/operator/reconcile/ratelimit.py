"""A rate limit: one token bucket for all callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class RateLimiter:
    """At most `rate` a second on average, and `burst` at once after a pause. First come, first served.

    The state is one number: the time at which the next token is due. Waiting callers need no tasks.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """`rate` per second, above 0; `burst` at least 1; `clock` in monotonic seconds."""
        if rate <= 0 or burst < 1:
            raise ValueError("a rate limit needs a rate above 0 and a burst of at least 1")
        self._interval = 1 / rate
        self._tolerance = (burst - 1) * self._interval
        self._clock = clock
        self._next = float("-inf")

    def reserve(self) -> float:
        """Take a token; in how many seconds it may be used."""
        now = self._clock()
        self._next = max(self._next, now) + self._interval
        delay = self._next - self._interval - self._tolerance - now
        return delay if delay > 1e-6 else 0.0  # less is a rounding error of many additions

    def give_back(self) -> None:
        """Return a reserved token unused."""
        self._next -= self._interval

    async def acquire(self) -> None:
        """Wait until this caller may go on."""
        if (delay := self.reserve()) > 0:
            try:
                await asyncio.sleep(delay)
            except asyncio.CancelledError:
                self.give_back()
                raise
