"""Keeps the table of locks up to date: reads all, follows one watch, and says when what it knows is no longer proven.

It only reads, so it has no canary of its own to see come back. Every second it asks etcd, on the watch's connection,
for one key and for how many keys there are. That read is answered only by a member that is in touch with the others and
has applied what they agreed on. If the watch has brought another number of keys, twice in a row and nothing in between,
it is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from leasehold.base.backoff import Backoff
from leasehold.base.side_by_side import side_by_side
from leasehold.candidate.listing import owner_of
from leasehold.candidate.lock_reading import read_locks
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, WatchLost
from leasehold.etcd.model import WatchEvent
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import locks_prefix, prefix_end
from leasehold.lock.record import Entry
from leasehold.ui.history import EXPIRED, RELEASED
from leasehold.ui.model import LockTable

_log = logging.getLogger("leasehold.ui.feed")

STALE_SECONDS: Final = 1.8
"""What was last proven longer ago than this is shown as stale; a proof takes a second or less, one way or the other."""
PROOF_SECONDS: Final = 0.8
"""The time between two proofs, and for how long one may take."""
_READ_TIMEOUT_SECONDS: Final = 3.0
_MAX_ENDS_ASKED: Final = 64


class Clients(NamedTuple):
    """Separate connections: a question about a lease that fails closes its own, and not the watch's."""

    watch: EtcdClient
    questions: EtcdClient


class Feed:
    """Feeds one table. `changed` is called on the event loop after each change, and must not block."""

    def __init__(self, clients: Clients, root: str, changed: Callable[[], None], clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds. The clients are the caller's to close."""
        self.table = LockTable(root)
        self.loaded = asyncio.Event()
        self.error = "etcd has not been read yet"
        self._client = clients.watch
        self._questions = clients.questions
        self._root = root
        self._changed = changed
        self._clock = clock
        self._proven_at: float | None = None
        self._keys = self._events = 0
        self._asking: set[asyncio.Task[None]] = set()
        self._backoff = Backoff(0.1, 1.0)

    @property
    def age(self) -> float | None:
        """Seconds since what is shown was last proven to be what etcd stores; None before the first reading."""
        return None if self._proven_at is None else self._clock() - self._proven_at

    @property
    def stale(self) -> bool:
        """Whether that is too long ago."""
        age = self.age
        return age is None or age > STALE_SECONDS

    async def run(self) -> None:
        """Feed the table until cancelled. Raises only what a bug raises."""
        try:
            while True:
                try:
                    await self._read_and_follow()
                except EtcdError as error:
                    self._failed(error)
                await asyncio.sleep(self._backoff.next_pause())
        finally:
            for task in self._asking:
                task.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)

    def _failed(self, error: EtcdError) -> None:
        level = logging.DEBUG if self.error else logging.WARNING
        _log.log(level, "the locks are read again: %s", error)
        self.error = str(error)

    def _proven(self) -> None:
        if self.error:
            _log.info("following %d locks", len(self.table))
        self.error = ""
        self._proven_at = self._clock()
        self._backoff.reset()

    async def _read_and_follow(self) -> None:
        """Read everything, then follow the watch until it fails. Ends with an EtcdError."""
        async with self._client.watch(timeout=PROOF_SECONDS) as watcher:
            like = self.table.listing
            reading = await read_locks(self._client, self._root, timeout=_READ_TIMEOUT_SECONDS, like=like)
            connects = self._client.connects
            self._keys = reading.keys
            self.table.load(reading.listing, reading.revision, time.time())
            self._changed()
            prefix = locks_prefix(self._root)
            await watcher.add(prefix, end=prefix_end(prefix), start_revision=reading.revision + 1)
            if self._client.connects != connects:  # an etcd restored in between would report another history
                raise WatchLost("the connection was lost between the reading and the watch")
            self._proven()
            self.loaded.set()
            await side_by_side(EtcdError, {"ui watch": self._apply(watcher), "ui proof": self._prove()})

    async def _apply(self, watcher: Watcher) -> None:
        async for batch in watcher:
            for event in batch.events:
                self._take(event)
            self._changed()
            await asyncio.sleep(0)  # a flood of events must not hold up everything else
        raise WatchLost("the watch was closed")

    def _take(self, event: WatchEvent) -> None:
        self._events += 1
        if event.deleted:
            self._keys -= 1
        elif event.kv.version == 1:
            self._keys += 1
        ended = self.table.apply(event, time.time())
        if ended is not None and ended.lease and len(self._asking) < _MAX_ENDS_ASKED:
            task = asyncio.create_task(self._ask_end(event.kv.key, ended), name="ui ended term")
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask_end(self, key: bytes, entry: Entry) -> None:
        """How a term ended: a sidecar that gives up deletes its key, and lets its lease live a moment longer."""
        owner = owner_of(key, self._root)
        try:
            answer = await self._questions.time_to_live(entry.lease, timeout=PROOF_SECONDS)
        except EtcdError:
            return
        if owner is not None:
            self.table.note_end(owner.lock, entry.create_revision, RELEASED if answer.ttl > 0 else EXPIRED)
            self._changed()

    # --- the proof ----------------------------------------------------------------------------------------------

    async def _prove(self) -> None:
        suspect, seen = False, self._events
        while True:
            await asyncio.sleep(PROOF_SECONDS)
            agrees = await self._count() == self._keys
            if agrees or self._events != seen:  # while events come, some may still be on their way
                suspect = False
                self._proven()
            elif suspect:
                raise WatchLost("the watch was silent: etcd has other keys than it brought")
            else:
                suspect = True
            seen = self._events

    async def _count(self) -> int:
        """How many keys the locks have: a linearizable read."""
        prefix = locks_prefix(self._root)
        answer = await self._client.range(
            prefix, end=prefix_end(prefix), limit=1, keys_only=True, timeout=PROOF_SECONDS
        )
        return answer.count
