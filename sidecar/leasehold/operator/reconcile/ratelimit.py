"""Limits on how often something is done: a bucket of tokens for all calls together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class RateLimiter:
    """At most `rate` a second in the long run, and `burst` at once after a rest. First come, first served.

    Kept as one number, the time at which the bucket would be full again: n waiting callers cost n numbers, no tasks.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """`rate` per second, above 0; `burst` at least 1; `clock` in monotonic seconds."""
        if rate <= 0 or burst < 1:
            raise ValueError("a rate limit needs a rate above 0 and a burst of at least 1")
        self._interval = 1 / rate
        self._slack = (burst - 1) * self._interval
        self._clock = clock
        self._next = float("-inf")

    def reserve(self) -> float:
        """Take a token, and say in how many seconds it may be used."""
        now = self._clock()
        self._next = max(self._next, now) + self._interval
        delay = self._next - self._interval - self._slack - now
        return delay if delay > 1e-6 else 0.0  # less is the rounding of many additions

    def give_back(self) -> None:
        """A token that was reserved is not used after all."""
        self._next -= self._interval

    async def acquire(self) -> None:
        """Return when it is this caller's turn."""
        if (delay := self.reserve()) > 0:
            try:
                await asyncio.sleep(delay)
            except asyncio.CancelledError:
                self.give_back()
                raise
