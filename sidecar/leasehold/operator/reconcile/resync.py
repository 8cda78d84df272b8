"""The resync: compares a full list of all Locks with all that was observed and with all that etcd holds.

A watch does not report what was deleted while it was down, and a spec key may have lost its resource while no operator
ran. Only a list can show both, if it is requested *after* what it is compared with was observed. So there is a resync
at the start, after this replica becomes active, after the watch of Locks could not be resumed, and at regular
intervals. Until the first one is done, nothing counts as an orphan. The same applies to pods and their owners.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Set
from typing import Final

from leasehold.base.backoff import Backoff
from leasehold.base.logs import RepeatedFailureLog
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.api import KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.watch.caches import Caches
from leasehold.operator.watch.transform import Kind

_log = logging.getLogger("leasehold.operator.resync")

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 2.0, 30.0
_OTHER_KINDS: Final[tuple[Kind, ...]] = ("Pod", "ReplicaSet", "StatefulSet")


class Resync:
    """Resyncs every `interval` seconds and on request. Calls `enqueue` with each lock to reconcile."""

    def __init__(
        self, caches: Caches, api: ApiContext, enqueue: Callable[[LockName], None], *, interval: float
    ) -> None:
        self._caches = caches
        self._api = api
        self._enqueue = enqueue
        self._interval = interval
        self._requested = asyncio.Event()

    def request(self) -> None:
        """Resync as soon as possible."""
        self._requested.set()

    async def run(self) -> None:
        """Resync until cancelled. A list that fails is retried."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, jitter=0.0)
        failure_log = RepeatedFailureLog(_log, "the Locks cannot be listed")
        while True:
            self._requested.clear()
            try:
                await self._resync()
            except KubeFailure as error:
                self._api.metrics.error("api")
                failure_log.failed(error)
                await asyncio.sleep(backoff.next_pause())
                continue
            backoff.reset()
            failure_log.succeeded()
            self._api.retries.requeue_all()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._interval):
                await self._requested.wait()
        except TimeoutError:
            pass

    async def _resync(self) -> None:
        is_first = not (self._caches.locks.complete and self._caches.pods.complete)
        changed = await self._resync_locks()
        for kind in _OTHER_KINDS:
            await self._resync_others(kind)
        self._caches.pods.complete = True
        if is_first:
            _log.info("listed all %d Locks", len(self._caches.locks))
            self._enqueue_all({*changed, *self._caches.mirror.declared()})
            return
        if changed:
            _log.info("the resync found changes of %d Locks that no watch reported", len(changed))
        self._enqueue_all(changed)

    def _enqueue_all(self, names: Set[LockName]) -> None:
        for name in names:
            self._enqueue(name)

    async def _resync_locks(self) -> set[LockName]:
        locks, mirror = self._caches.locks, self._caches.mirror
        stored = ((name, mirror.get(name).spec) for name in mirror.declared())
        declared = {name: key.spec.uid for name, key in stored if key and key.spec and key.spec.uid}
        before = locks.snapshot()
        return locks.take_list(await self._api.kube.list_locks(), before, declared)

    async def _resync_others(self, kind: Kind) -> None:
        pods = self._caches.pods
        before = pods.uids(kind)
        listed = await self._api.kube.list_all(kind)
        missing = before - {body["metadata"]["uid"] for body in listed}
        for affected in (pods.forget(kind, missing), *(pods.apply(kind, body, False) for body in listed)):
            self._enqueue_all({*affected.locks, *self._caches.pod_index.locks_of(affected.pods)})
