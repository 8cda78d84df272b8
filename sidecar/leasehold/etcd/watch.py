"""Watches: any number of them on one stream, read as one sequence of batches.

A watcher ends as a whole, with WatchLost, as soon as events may have been missed: a lost connection, a cancelled watch,
a compacted revision, a reader that fell too far behind. It never resumes by itself: what a caller knew may no longer be
true, so it has to read again, and watch from the revision after that read.

The silence of a watch proves nothing: a frozen member's looks like one with no events. Ask something now and then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from leasehold.etcd.codec import origin_of, raw, watch_event
from leasehold.etcd.connection import Stream
from leasehold.etcd.errors import EtcdError, Refused, WatchLost
from leasehold.etcd.model import Key, WatchBatch
from leasehold.etcd.rpc_pb2 import WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse
from leasehold.etcd.session import Session

MOST_BEHIND: Final = 100_000
"""Events that may wait to be read before the watcher is given up, rather than all of the memory."""

# Asks etcd to end the stream when its member has lost touch with the cluster: it would go on in silence otherwise.
_REQUIRE_LEADER: Final = {"hasleader": "true"}

_AUTH_REASONS: Final = ("permission denied", "invalid auth token", "auth store is old", "user name is empty")


class Watcher:
    """Watches on one stream. Iterate it for their batches; iteration raises WatchLost once, and ends after `close`.

    With `hear`, that is called with each batch, in the turn of the loop in which it comes, and iteration brings none.
    """

    def __init__(
        self, session: Session, timeout: float | None, hear: Callable[[WatchBatch], None] | None = None
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._give = hear or self._push
        self._metadata: dict[str, str] = {}
        self._stream: Stream[WatchRequest, WatchResponse] | None = None
        self._opening = asyncio.Lock()
        self._last_id = 0
        self._active: set[int] = set()
        self._creating: dict[int, asyncio.TimerHandle] = {}
        self._batches: deque[WatchBatch] = deque()
        self._behind = 0
        self._arrived = asyncio.Event()
        self._lost: WatchLost | None = None
        self._closed = False

    async def add(self, key: Key, *, end: Key | None = None, start_revision: int, prev: bool = False) -> int:
        """Watch a key or range from a revision on; the id its batches will carry.

        Does not wait for etcd's word that the watch was made: the start revision decides what is seen. But without
        that word within the time limit, the watcher is lost. Raises WatchLost, and EtcdError while it cannot connect.
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
            prev_kv=prev,
            watch_id=watch_id,
        )
        stream.send(WatchRequest(create_request=request))
        return watch_id

    async def cancel(self, watch_id: int) -> None:
        """End one watch: none of its batches is given from now on. An id that is not watched is ignored."""
        if watch_id not in self._active or self._stream is None:
            return
        self._active.discard(watch_id)
        self._batches = deque(batch for batch in self._batches if batch.watch_id != watch_id)
        self._behind = sum(len(batch.events) for batch in self._batches)
        self._stream.send(WatchRequest(cancel_request=WatchCancelRequest(watch_id=watch_id)))

    async def close(self) -> None:
        """End all watches; a reader that waits is told so by the end of its iteration."""
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
        async with self._opening:  # bounded by the time limit of whoever is opening
            if self._lost is not None or self._closed:
                raise self._lost or WatchLost("the watcher was closed")
            if self._stream is None:
                connection, token = await self._session.ready(self._session.deadline(self._timeout))
                self._metadata = {**token, **_REQUIRE_LEADER}
                self._stream = Stream(connection, connection.watch.Watch, self._metadata, self._on_answer, self._on_end)
            return self._stream

    def _on_answer(self, message: WatchResponse) -> None:
        if message.created:
            self._created(message.header.member_id)
        if message.canceled:
            self._cancelled(message)
        elif message.events and message.watch_id in self._active:
            events = tuple(map(watch_event, message.events))
            self._give(WatchBatch(origin_of(message.header), message.watch_id, events))

    def _created(self, member: int) -> None:
        """Etcd answers creations in the order they were asked for; one that it refuses it answers without the id."""
        if self._creating:
            self._creating.pop(next(iter(self._creating))).cancel()
        if self._stream is not None:
            self._session.dialer.answered(self._stream.connection, member)

    def _cancelled(self, message: WatchResponse) -> None:
        if not message.created and message.watch_id not in self._active:
            return  # we asked for it
        if any(word in message.cancel_reason for word in _AUTH_REASONS):
            # The stream carries the token it was opened with, and etcd 3.4 calls an old one a lack of permission.
            self._session.auth.forget(self._metadata)
        reason = message.cancel_reason.removeprefix("etcdserver: ") or "no reason given"
        if message.compact_revision:
            reason = f"etcd has compacted its history up to revision {message.compact_revision}"
        self._lose(WatchLost(f"etcd cancelled the watch: {reason}", message.compact_revision))

    def _push(self, batch: WatchBatch) -> None:
        self._behind += len(batch.events)
        if self._behind > MOST_BEHIND:
            self._batches.clear()
            self._lose(WatchLost(f"more than {MOST_BEHIND} events of the watch were waiting to be read"))
            return
        self._batches.append(batch)
        self._arrived.set()

    def _not_created(self, stream: Stream[WatchRequest, WatchResponse], timeout: float) -> None:
        stream.connection.silent(timeout)

    def _on_end(self, error: EtcdError) -> None:
        if isinstance(error, Refused):
            self._session.refused(error, self._metadata)
        self._lose(WatchLost(f"the watch was lost: {error.reason}"))

    def _lose(self, lost: WatchLost) -> None:
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
