"""The full comparison: all Locks by one whole list, with all that was seen of them and all that stands in etcd.

A watch tells nothing of what was deleted while it was down, and a spec key may have lost its resource while no
operator ran. Both can only be told by a list that was asked for *after* what it is compared with was seen. So one is
made at the start, one after each time that this replica becomes active or that the watch of Locks could not be
resumed, and one every so often; until the first has come nothing is taken for an orphan. The same goes for pods and
their owners.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from leasehold.lock.names import LockName
from leasehold.operator.reconcile.api import Kube, KubeFailure
from leasehold.operator.reconcile.metrics import OperatorMetrics
from leasehold.operator.reconcile.reconciler import Caches
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.trouble import RepeatedFailureLog
from leasehold.operator.watch.transform import Kind

_log = logging.getLogger("leasehold.operator.resync")

_RETRY: Final = 2.0
_LONGEST_RETRY: Final = 30.0
_OTHERS: Final[tuple[Kind, ...]] = ("Pod", "ReplicaSet", "StatefulSet")


class Resync:
    """Compares now and then. `look` queues a lock, `touched` those that a pod's or owner's disappearance concerns."""

    def __init__(
        self,
        known: Caches,
        kube: Kube,
        metrics: OperatorMetrics,
        stranded: RetryOnRecovery,
        *,
        look: Callable[[LockName], None],
        every: float,
    ) -> None:
        """`every`: seconds between two comparisons."""
        self._known = known
        self._kube = kube
        self._metrics = metrics
        self._stranded = stranded
        self._look = look
        self._every = every
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Compare as soon as possible."""
        self._asked.set()

    async def run(self) -> None:
        """Compare for ever; an API server that does not answer is asked again."""
        retry, trouble = _RETRY, RepeatedFailureLog(_log, "the Locks cannot be listed")
        while True:
            self._asked.clear()
            try:
                await self._compare()
            except KubeFailure as error:
                self._metrics.error("api")
                trouble.because(error)
                await asyncio.sleep(retry)
                retry = min(_LONGEST_RETRY, 2 * retry)
                continue
            retry = _RETRY
            trouble.over()
            self._stranded.rescue()
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._every):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def _compare(self) -> None:
        first = not (self._known.locks.complete and self._known.pods.complete)
        news = await self._compare_locks()
        for kind in _OTHERS:
            await self._compare_others(kind)
        self._known.pods.complete = True
        if news and not first:
            _log.info("the full comparison found changes that no watch told of; Locks concerned: %d", len(news))
        if first:
            _log.info("all Locks are listed: %d", len(self._known.locks))
        for name in {*news, *self._known.mirror.declared()} if first else news:
            self._look(name)

    async def _compare_locks(self) -> set[LockName]:
        locks, mirror = self._known.locks, self._known.mirror
        stored = ((name, mirror.get(name).spec) for name in mirror.declared())
        declared = {name: key.spec.uid for name, key in stored if key and key.spec and key.spec.uid}
        before = locks.snapshot()
        return locks.take_list(await self._kube.list_locks(), before, declared)

    async def _compare_others(self, kind: Kind) -> None:
        pods = self._known.pods
        before = pods.known(kind)
        listed = await self._kube.list_all(kind)
        gone = before - {body["metadata"]["uid"] for body in listed}
        for touched in (pods.forget(kind, gone), *(pods.apply(kind, body, False) for body in listed)):
            for name in {*touched.locks, *self._known.followers.locks_of(touched.pods)}:
                self._look(name)
