"""The events of one consumer of a stream of server-sent events, how they are written, and the answer they are.

An event is encoded once for all consumers, and written in the turn of the loop in which it comes. If a consumer has not
taken all that was written before, the event is added to the consumer's own short queue: a slow consumer delays nobody.
If its queue is full, it loses the queued events, and the sender has to send it the state again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from leasehold.http import lean_aiohttp as aio
from leasehold.http.server import headers

MAX_PENDING_EVENTS: Final = 32


class EventStream:
    """The events that one consumer has not been sent yet."""

    def __init__(
        self,
        size: int = MAX_PENDING_EVENTS,
        write_at_once: Callable[[bytes], bool] | None = None,
        *,
        wakes: bool = True,
    ) -> None:
        """`write_at_once` writes an event and returns True, or returns False if that would have to wait.

        `wakes` says whether an event that was written at once ends a `wait`: that costs more than the writing.
        """
        self._wakes = wakes
        self._pending: deque[bytes] = deque()
        self._size = size
        self._wake = asyncio.Event()
        self._write_at_once = write_at_once
        self._waiting = False
        self.written = False
        """Whether an event was written at once during the last `wait`."""
        self.overrun = False
        """Whether changes were dropped: the consumer needs a new `state`."""
        self.ended = False

    def put(self, event: bytes) -> None:
        """Write an event at once if nothing waits to be sent; else queue it. Too far behind, all are dropped."""
        # a successor waits for this event: the turn of the loop that its task would take is half of the time it costs
        if self._waiting and not self._pending and not self.overrun and self._write_at_once is not None:
            self.written = self._write_at_once(event)
            if self.written:
                if self._wakes:
                    self._wake.set()
                return
        if len(self._pending) >= self._size:
            self._pending.clear()
            self.overrun = True
        if not self.overrun:
            self._pending.append(event)
        self._wake.set()

    def end(self) -> None:
        """End the stream after the pending events."""
        self.ended = True
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Wait until there is something to send, at most `seconds`."""
        alarm = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        self._waiting, self.written = True, False
        try:
            await self._wake.wait()
        finally:
            self._waiting = False
            alarm.cancel()
        self._wake.clear()

    def take(self) -> bytes:
        """Remove and return all pending events."""
        events = b"".join(self._pending)
        self._pending.clear()
        self.overrun = False
        return events


async def answer_events(
    request: aio.BaseRequest, send: Callable[[aio.StreamResponse], Awaitable[None]]
) -> aio.StreamResponse:
    """Answer with what `send` writes, unless only headers are asked for; its TimeoutError closes the connection."""
    response = aio.StreamResponse(headers=headers({"Content-Type": "text/event-stream"}))
    response.force_close()
    await response.prepare(request)
    if request.method != "GET":
        return response
    try:
        await send(response)
    except TimeoutError:  # the consumer does not read: closing the connection normally would wait for it
        if request.transport is not None:
            request.transport.abort()
    return response


def write_at_once(request: aio.BaseRequest, response: aio.StreamResponse, event: bytes) -> bool:
    """Write an event without waiting, if the consumer has taken all before it. Returns whether that was done."""
    transport = request.transport
    if transport is None or transport.is_closing() or transport.get_write_buffer_size() > 0:
        return False
    # The coroutine hands the event to the transport in its first step. It would wait after that only for a buffer that
    # is too full, and ours was empty. A connection that breaks is noticed by the stream's own task.
    writing = response.write(event)
    try:
        writing.send(None)
    except (StopIteration, ConnectionError):
        return True
    writing.close()
    return True
