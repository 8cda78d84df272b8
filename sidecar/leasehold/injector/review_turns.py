"""Whose review is next: small ones before large ones, and of the large ones one in each turn of the event loop.

Parsing 256 KiB takes some milliseconds, on a node without CPU to spare some hundred, and nothing else happens
meanwhile. Everybody in the cluster can send such reviews, 256 at a time. So the loop turns after each, and an ordinary
pod, which is far smaller, goes before all that have waited for less than a second. Only a few reviews are under way at
once, with their calls to the API server: else the small one's calls would wait behind all others' calls.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from typing import Final

AT_ONCE: Final = 32
"""Reviews under way, from their parsing to their answer."""
TURN_BYTES: Final = 64 * 1024
"""What is parsed in one turn of the loop at most, if it is more than one review: about a millisecond's work."""
_BYTES_PER_SECOND: Final = 256 * 1024
_LONGEST_SECONDS: Final = 1.0


class ReviewTurns:
    """Grants reviews their turns. To be used on one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._under_way = 0
        self._granting: asyncio.Handle | None = None

    @asynccontextmanager
    async def turn(self, length: int) -> AsyncIterator[None]:
        """Wait for the turn of a review with so many bytes, which is under way until the block ends."""
        loop = asyncio.get_running_loop()
        granted: asyncio.Future[None] = loop.create_future()
        heappush(self._waiting, (loop.time() + _handicap(length), next(self._numbers), length, granted))
        self._grant_soon()
        try:
            await granted
            yield
        finally:
            if granted.done() and not granted.cancelled():
                self._under_way -= 1
                self._grant_soon()

    def _grant_soon(self) -> None:
        if self._granting is None and self._waiting and self._under_way < AT_ONCE:
            self._granting = asyncio.get_running_loop().call_soon(self._grant)

    def _grant(self) -> None:
        """Grant what is to be parsed in the next turn of the loop, at least one review."""
        self._granting = None
        left = TURN_BYTES
        while self._waiting and self._under_way < AT_ONCE:
            length, granted = self._waiting[0][2:]
            if not granted.cancelled():
                if length > left < TURN_BYTES:
                    break
                left -= length
                self._under_way += 1
                granted.set_result(None)
            heappop(self._waiting)
        self._grant_soon()


def _handicap(length: int) -> float:
    """Seconds by which a review goes behind a tiny one: none is passed by what comes more than a second after it."""
    return min(length / _BYTES_PER_SECOND, _LONGEST_SECONDS)
