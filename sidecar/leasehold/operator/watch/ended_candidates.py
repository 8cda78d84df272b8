"""How a candidate ended. etcd is asked soon afterwards: is its lease still alive?

A sidecar that resigns deletes its key but lets its lease live a moment longer (`leasehold.candidate.runner`), so that
a deleted key and an expired lease can be told apart. The answer only words messages, so it may fail, and nothing waits
long for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from leasehold.candidate.runner import LEASE_LINGER_SECONDS
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.operator.watch.mirror import Mirror

_MAX_CONCURRENT: Final = 8
_MAX_PENDING: Final = 256
"""Candidates whose answer is pending. For more than that, etcd is not asked."""
_NOTIFY_AFTER_SECONDS: Final = 0.25
"""After this time the change of the queue is notified without an answer."""


class EndedCandidates:
    """Asks for the leases of ended candidates. Calls `changed` once the answer is known or takes too long."""

    def __init__(self, client: EtcdClient, mirror: Mirror, changed: Callable[[LockName], None]) -> None:
        self._client = client
        self._mirror = mirror
        self._changed = changed
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """How many candidates have no answer yet."""
        return len(self._tasks)

    def add(self, name: LockName, entry: Entry, timeout: float) -> None:
        """A candidate has ended. Returns at once. `timeout` is the request's, in seconds."""
        if len(self._tasks) >= _MAX_PENDING or not entry.lease:
            self._changed(name)
            return
        task = asyncio.create_task(self._check(name, entry, timeout), name=f"ended candidate of {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel all requests."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self, name: LockName, entry: Entry, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        late = loop.call_later(_NOTIFY_AFTER_SECONDS, self._changed, name)
        seen_at = loop.time()
        try:
            async with self._slots:
                released = await self._was_released(entry, seen_at, timeout)
            if released is not None:
                self._mirror.note_end(name, entry, released)
        finally:
            late.cancel()
            self._changed(name)

    async def _was_released(self, entry: Entry, seen_at: float, timeout: float) -> bool | None:
        try:
            answer = await self._client.time_to_live(entry.lease, timeout=timeout)
        except EtcdError:
            return None
        if answer.ttl > 0:
            return True
        # The lease is gone: either it expired, or a sidecar or foreign client that resigned has revoked it. Our
        # sidecars revoke theirs only after LEASE_LINGER_SECONDS, so an early answer means that it expired.
        is_early = asyncio.get_running_loop().time() - seen_at < LEASE_LINGER_SECONDS / 2
        return False if is_early and not entry.record.foreign else None
