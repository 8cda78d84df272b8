"""Watches: any number of them on one stream, read as one sequence of batches.

A watcher ends as a whole, with WatchLost, as soon as events may have been missed: a lost connection, a cancelled watch,
a compacted revision, a reader that fell too far behind. It does not resume: the caller's knowledge may be out of date,
so the caller reads again and watches from the revision after that read.

A watch without events proves nothing: that of a frozen member looks the same. Make a call from time to time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from leasehold.etcd.codec import origin_of, raw, watch_event
from leasehold.etcd.connection import Stream
from leasehold.etcd.errors import EtcdError, Refused, WatchLost
from leasehold.etcd.methods import WATCH
from leasehold.etcd.model import Key, WatchBatch
from leasehold.etcd.rpc_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from leasehold.etcd.session import Session

MAX_PENDING_EVENTS: Final = 100_000
"""If more events than this wait to be read, the watcher ends: else they would use up the memory."""

# Asks etcd to end the stream if its member has lost touch with the cluster: else it would go on without events.
_REQUIRE_LEADER: Final = {"hasleader": "true"}

_AUTH_REASONS: Final = ("permission denied", "invalid auth token", "auth store is old", "user name is empty")


class Watcher:
    """Watches on one stream. Iterate it for their batches; iteration raises WatchLost once, and ends after `close`.

    `on_batch`, if given, is called with each batch in the turn of the loop in which the batch comes; iteration then
    yields none. An exception of `on_batch` ends the watcher as a loss does: iteration raises it.
    """

    def __init__(
        self, session: Session, timeout: float | None, on_batch: Callable[[WatchBatch], None] | None = None
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._on_batch = on_batch or self._push
        self._metadata: dict[str, str] = {}
        self._stream: Stream[WatchRequest, WatchResponse] | None = None
        self._opening = asyncio.Lock()
        self._last_id = 0
        self._active: set[int] = set()
        self._creating: dict[int, asyncio.TimerHandle] = {}
        self._batches: deque[WatchBatch] = deque()
        self._behind = 0
        self._arrived = asyncio.Event()
        self._lost: Exception | None = None
        self._closed = False

    async def add(self, key: Key, *, end: Key | None = None, start_revision: int) -> int:
        """Watch a key or range from a revision on. Returns the id that its batches have.

        It does not wait until etcd confirms the watch: the start revision decides which events come. If etcd does not
        confirm it within the time limit, the watcher is lost. Raises WatchLost, or EtcdError if it cannot connect.
        """
        stream = await self._open()
        self._last_id += 1
        watch_id = self._last_id
        self._active.add(watch_id)
        deadline = self._session.deadline(self._timeout)
        loop = asyncio.get_running_loop()
        self._creating[watch_id] = loop.call_at(deadline.at, self._not_created, stream, deadline.timeout)
        request = WatchCreateRequest(
            key=raw(key),
            range_end=raw(end),
            start_revision=start_revision,
            watch_id=watch_id,
        )
        stream.send(WatchRequest(create_request=request))
        return watch_id

    async def close(self) -> None:
        """End all watches, and the iteration of a reader that waits."""
        self._closed = True
        self._batches.clear()
        self._stop()
        if self._stream is not None:
            self._stream.close()

    async def __aenter__(self) -> Watcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> WatchBatch:
        while not self._batches:
            if self._closed:
                raise StopAsyncIteration
            if self._lost is not None:
                self._closed = True
                raise self._lost
            self._arrived.clear()
            await self._arrived.wait()
        batch = self._batches.popleft()
        self._behind -= len(batch.events)
        return batch

    async def _open(self) -> Stream[WatchRequest, WatchResponse]:
        async with self._opening:  # bounded by the time limit of the caller that opens the stream
            if self._lost is not None or self._closed:
                raise self._lost or WatchLost("the watcher was closed")
            if self._stream is None:
                connection, token = await self._session.ready(self._session.deadline(self._timeout))
                self._metadata = {**token, **_REQUIRE_LEADER}
                self._stream = Stream(connection, WATCH, self._metadata, self._on_answer, self._on_end)
            return self._stream

    def _on_answer(self, message: WatchResponse) -> None:
        if message.created:
            self._created(message)
        if message.canceled:
            self._cancelled(message)
        elif message.events and message.watch_id in self._active:
            self._pass_on(message)

    def _pass_on(self, message: WatchResponse) -> None:
        events = tuple(map(watch_event, message.events))
        batch = WatchBatch(origin_of(message.header), message.watch_id, events)
        try:
            self._on_batch(batch)
        except Exception as error:
            # The stream's reader is above us. It would close the connection, and all that others do on it would fail.
            self._lose(error)

    def _created(self, message: WatchResponse) -> None:
        """Etcd answers creations in the order of the requests. Its answer to one that it refuses has no id."""
        if self._creating:
            watch_id = next(iter(self._creating))
            self._creating.pop(watch_id).cancel()
            if message.watch_id != watch_id and not message.canceled:
                # etcd's grpc-proxy gives ids of its own: the events would be taken for those of no watch of ours.
                self._lose(WatchLost("etcd gave the watch another id than asked for: is its grpc-proxy in between?"))
        if self._stream is not None:
            self._session.dialer.answered(self._stream.connection, message.header.member_id)

    def _cancelled(self, message: WatchResponse) -> None:
        if not message.created and message.watch_id not in self._active:
            return  # not a watch of ours
        if any(word in message.cancel_reason for word in _AUTH_REASONS):
            # The stream carries the token it was opened with, and etcd 3.4 calls an old one a lack of permission.
            self._session.auth.forget(self._metadata)
        reason = message.cancel_reason.removeprefix("etcdserver: ") or "no reason given"
        if message.compact_revision:
            reason = f"etcd has compacted its history up to revision {message.compact_revision}"
        self._lose(WatchLost(f"etcd cancelled the watch: {reason}", message.compact_revision))

    def _push(self, batch: WatchBatch) -> None:
        self._behind += len(batch.events)
        if self._behind > MAX_PENDING_EVENTS:
            self._batches.clear()
            self._lose(WatchLost(f"more than {MAX_PENDING_EVENTS} events of the watch were waiting to be read"))
            return
        self._batches.append(batch)
        self._arrived.set()

    def _not_created(self, stream: Stream[WatchRequest, WatchResponse], timeout: float) -> None:
        stream.connection.silent(timeout)

    def _on_end(self, error: EtcdError) -> None:
        if isinstance(error, Refused):
            self._session.refused(error, self._metadata)
        self._lose(WatchLost(f"the watch was lost: {error.reason}"))

    def _lose(self, lost: Exception) -> None:
        if self._lost is None:
            self._lost = lost
            self._stop()
            if self._stream is not None:
                self._stream.close()

    def _stop(self) -> None:
        for timer in self._creating.values():
            timer.cancel()
        self._creating.clear()
        self._active.clear()
        self._arrived.set()
