"""A time limit that a busy loop, or a process that gets no CPU time, does not use up.

`asyncio.timeout` compares clocks alone. After a turn of the loop that took longer than the limit, the time is over
before anybody has read the answer that lies in the socket; and an answer that was read in the very turn in which the
time ran out is thrown away. Here a turn of the loop uses up a small part of the limit, however long it takes: what has
arrived during a long turn has many turns left to be read, decrypted, parsed and handed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

STEPS: Final = 20
"""Into so many the limit is divided. A new TLS connection, a request and its answer are about ten turns of the loop."""


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Cancel the block after `seconds` in which the loop was free to turn, and raise TimeoutError.

    On an idle loop these are `seconds` by the clock. The block has at least `STEPS` turns of the loop.
    """
    async with asyncio.timeout(None) as block:
        countdown = _Countdown(block, seconds / STEPS)
        try:
            yield
        finally:
            countdown.stop()


class _Countdown:
    """Ends the block after `STEPS` steps of this length, each with a timer of its own: none begins in the past."""

    def __init__(self, block: asyncio.Timeout, step: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._block = block
        self._step = step
        self._left = STEPS
        self._timer = self._loop.call_later(step, self._next)

    def stop(self) -> None:
        self._timer.cancel()

    def _next(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._step, self._next)
        else:
            self._block.reschedule(self._loop.time())
