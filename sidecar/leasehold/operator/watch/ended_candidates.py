"""How a candidate went, asked of etcd soon after: does its lease still live?

A sidecar that gives up deletes its key, and lets its lease live a moment longer (`leasehold.candidate.runner`), so
that a deletion and an expiry can be told apart. The answer serves messages alone, so it may fail, and nothing waits
long for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from leasehold.candidate.runner import LINGER
from leasehold.etcd import EtcdClient, EtcdError
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.operator.watch.mirror import Mirror

_AT_ONCE: Final = 8
"""Questions under way at the same time."""
_MOST_WAITING: Final = 256
"""Departures that wait for their answer; after those beyond, nobody asks."""
_PATIENCE: Final = 0.25
"""Seconds after which the departure is told all the same."""


class EndedCandidates:
    """Asks after the leases of candidates that went, and calls `changed` when that is known, or takes too long."""

    def __init__(self, client: EtcdClient, mirror: Mirror, changed: Callable[[LockName], None]) -> None:
        self._client = client
        self._mirror = mirror
        self._changed = changed
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def went(self, name: LockName, entry: Entry, timeout: float) -> None:
        """A candidate went. Returns at once; `timeout` in seconds is that of the question."""
        if len(self._tasks) >= _MOST_WAITING or not entry.lease:
            self._changed(name)
            return
        task = asyncio.create_task(self._tell(name, entry, timeout), name=f"mirror departed {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all questions."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, name: LockName, entry: Entry, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        late = loop.call_later(_PATIENCE, self._changed, name)
        seen = loop.time()
        try:
            async with self._slots:
                released = await self._released(entry, seen, timeout)
            if released is not None:
                self._mirror.settle(name, entry, released)
        finally:
            late.cancel()
            self._changed(name)

    async def _released(self, entry: Entry, seen: float, timeout: float) -> bool | None:
        try:
            answer = await self._client.time_to_live(entry.lease, timeout=timeout)
        except EtcdError:
            return None
        if answer.ttl > 0:
            return True
        # A lease that is gone was revoked, by a sidecar or a foreign client that gave up, or has run out. Ours are
        # revoked later than this answer came, if it came soon.
        soon = asyncio.get_running_loop().time() - seen < LINGER / 2
        return False if soon and not entry.record.foreign else None
