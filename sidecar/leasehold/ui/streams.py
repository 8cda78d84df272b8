"""`GET /events`: all rows, then the rows that change, as server-sent events, to any number of browsers.

    event: begin   a complete state follows: how many rows
    event: rows    some rows; after `begin` they are collected, after `end` they replace those of the same names
    event: end     the complete state was sent
    event: beat    every second, and when it changes: whether what is shown is proven, and the leases that are shown

A change is encoded once for all browsers. Changes that come at the same time are one event: no browser is sent more
than twenty a second, however much changes. One that does not keep up is sent the complete state again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from leasehold.http import lean_aiohttp as aio
from leasehold.http.event_stream import EventStream, answer_events, write_at_once
from leasehold.http.server import refusal
from leasehold.ui.model import joined

MAX_STREAMS: Final = 200
FLUSH_SECONDS: Final = 0.05
"""The least time between two events with rows."""
BEAT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.2
"""How often it is looked whether the state of etcd has changed."""
_STALL_SECONDS: Final = 10.0
_ROWS_PER_EVENT: Final = 500

Beat = Callable[[], dict[str, Any]]


class Hub:
    """All browsers. `rows` gives all rows, `take_changed` those that have changed, `beat` the fields of a beat."""

    def __init__(self, rows: Callable[[], list[str]], take_changed: Callable[[], list[str]], beat: Beat) -> None:
        self._rows = rows
        self._take_changed = take_changed
        self._beat = beat
        self._streams: set[EventStream] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0

    @property
    def count(self) -> int:
        """How many browsers there are."""
        return len(self._streams)

    def changed(self) -> None:
        """Some rows have changed: send them soon."""
        if self._flushing is None:
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_at(max(loop.time(), self._flushed_at + FLUSH_SECONDS), self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._flushed_at = asyncio.get_running_loop().time()
        rows = self._take_changed()
        if rows and self._streams:
            for event in _row_events(rows):
                self._send_all(event)

    async def beats(self) -> None:
        """Send beats until cancelled."""
        loop = asyncio.get_running_loop()
        next_at, before = loop.time(), None
        while True:
            fields = self._beat()
            state = (fields["stale"], fields["error"])
            if state != before or loop.time() >= next_at:
                next_at, before = loop.time() + BEAT_SECONDS, state
                if self._streams:
                    self._send_all(_event("beat", fields))
            await asyncio.sleep(_LOOK_SECONDS)

    def _send_all(self, event: bytes) -> None:
        for stream in self._streams:
            stream.put(event)

    # --- one browser --------------------------------------------------------------------------------------------

    async def handle(self, request: aio.BaseRequest) -> aio.StreamResponse:
        """Answer `GET /events` until the browser leaves, stalls, or the server closes."""
        if len(self._streams) >= MAX_STREAMS:
            return refusal(f"There are {MAX_STREAMS} open pages already; close one of them.", 503)
        return await answer_events(request, partial(self._serve, request))

    def close(self) -> None:
        """End every stream."""
        for stream in self._streams:
            stream.end()

    async def _serve(self, request: aio.BaseRequest, response: aio.StreamResponse) -> None:
        stream = EventStream(write_at_once=partial(write_at_once, request, response), wakes=False)
        self._streams.add(stream)
        try:
            await self._send_events(stream, response)
        finally:
            self._streams.discard(stream)

    async def _send_events(self, stream: EventStream, response: aio.StreamResponse) -> None:
        await self._send(response, b"retry: 1000\n\n")
        await self._send_state(stream, response)
        while not stream.ended:
            await stream.wait(_STALL_SECONDS)
            overrun, events = stream.overrun, stream.take()
            if overrun:
                await self._send_state(stream, response)
            elif events:
                await self._send(response, events)

    async def _send_state(self, stream: EventStream, response: aio.StreamResponse) -> None:
        rows = self._rows()
        await self._send(response, _event("beat", self._beat()) + _event("begin", {"rows": len(rows)}))
        for event in _row_events(rows):
            await self._send(response, event)
        await self._send(response, _event("end", {}))

    async def _send(self, response: aio.StreamResponse, events: bytes) -> None:
        async with asyncio.timeout(_STALL_SECONDS):
            await response.write(events)


def _row_events(rows: list[str]) -> Iterable[bytes]:
    for start in range(0, len(rows), _ROWS_PER_EVENT):
        yield b"event: rows\ndata: " + joined(rows[start : start + _ROWS_PER_EVENT]) + b"\n\n"


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    # A line end would end the event, but json.dumps escapes it.
    return f"event: {kind}\ndata: {json.dumps(fields, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
