"""`GET /events`: the leadership status, then each change of it, as server-sent events.

    event: state        the first event, and again after this consumer was too slow to receive every change
    event: gained, lost this sidecar began, or ceased, to lead
    event: leader       another sidecar leads
    event: vacancy      no leader is known
    event: heartbeat    nothing has changed for a while

Each event's data is the JSON of `/leader` at that time, so the last event is enough to act on. Events may be late: a
consumer that must be sure asks `/leader`.

A change is encoded once for all consumers, and written in the turn of the loop in which it comes. If a consumer has not
taken all that was written before, the change is added to the consumer's own short queue: a slow consumer delays nobody.
If its queue is full, it loses the queued changes and gets one `state` instead; if it does not read at all, it is
disconnected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Final

from leasehold.candidate.leadership import Change, ChangeFeed, LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.http import lean_aiohttp as aio
from leasehold.http.event_stream import EventStream, answer_events, write_at_once
from leasehold.http.server import refusal

HEARTBEAT_SECONDS: Final = 5.0
STALL_SECONDS: Final = 30.0
MAX_STREAMS: Final = 64
_as_json: Final = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make one for each event


class Streams:
    """All consumers of `/events`."""

    def __init__(
        self,
        publisher: Publisher,
        wall: Callable[[], float],
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        stall: float = STALL_SECONDS,
        limit: int = MAX_STREAMS,
    ) -> None:
        self._publisher = publisher
        self._wall = wall
        self._heartbeat = heartbeat
        self._stall = stall
        self._limit = limit
        self._streams: set[EventStream] = set()
        self._feed: ChangeFeed | None = None

    @property
    def count(self) -> int:
        """How many consumers there are."""
        return len(self._streams)

    async def handle(self, request: aio.BaseRequest) -> aio.StreamResponse:
        """Answer `GET /events` until the consumer leaves, stalls, or the server closes."""
        if len(self._streams) >= self._limit:
            return refusal(f"There are {self._limit} event streams already; ask GET /leader instead.", 503)
        return await answer_events(request, partial(self._serve, request))

    def close(self) -> None:
        """End every stream, each after its pending events."""
        for stream in self._streams:
            stream.end()

    async def _serve(self, request: aio.BaseRequest, response: aio.StreamResponse) -> None:
        stream = self._open(partial(write_at_once, request, response))
        try:
            await self._send_events(stream, response)
        finally:
            self._leave(stream)

    async def _send_events(self, stream: EventStream, response: aio.StreamResponse) -> None:
        await self._send(response, b"retry: 1000\n" + self._event("state"))
        while not stream.ended:
            await stream.wait(self._heartbeat)
            renewed, events = stream.overrun, stream.take()
            if stream.written and not renewed and not events:
                continue
            if renewed or not events:
                events = self._event("state" if renewed else "heartbeat")
            await self._send(response, events)

    async def _send(self, response: aio.StreamResponse, events: bytes) -> None:
        async with asyncio.timeout(self._stall):
            await response.write(events)

    def _open(self, write_at_once: Callable[[bytes], bool]) -> EventStream:
        if self._feed is None:  # only while there are consumers
            # Before the journal and the metrics: a successor waits for its event, and nobody for them.
            self._feed = ChangeFeed(self._publisher, self._broadcast, first=True)
            self._feed.start()
        stream = EventStream(write_at_once=write_at_once)
        self._streams.add(stream)
        return stream

    def _leave(self, stream: EventStream) -> None:
        self._streams.discard(stream)
        if self._feed is not None and not self._streams:
            self._feed.stop()
            self._feed = None

    def _broadcast(self, change: Change, before: LeadershipStatus, after: LeadershipStatus) -> None:
        event = _encode(change.value, after, self._wall())
        for stream in self._streams:
            stream.put(event)

    def _event(self, kind: str) -> bytes:
        return _encode(kind, LeadershipStatus.at(self._publisher.snapshot, self._publisher.clock()), self._wall())


def _encode(kind: str, status: LeadershipStatus, wall: float) -> bytes:
    # A line end would end the event, but JSON escapes it.
    return f"event: {kind}\ndata: {_as_json(status.fields(wall))}\n\n".encode()
