"""The shell around the plan: takes a lock from the queue, gathers what is known of it, and performs what is decided.

Level-triggered: nothing is handed on but the lock's name. Whatever fails, is overtaken or is interrupted is planned
anew from what is then observed; nothing is remembered but what the plan itself asked to be remembered. One lock's
trouble, were it a bug, costs the others nothing.

Order: the finalizer before anything is written to etcd, its removal after everything was; statuses, labels and events
go by a lane of their own (`reports.py`). A round that wrote to etcd reports nothing: the mirror will show what was
written, and that is what is reported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from leasehold.etcd import EtcdError
from leasehold.lock.names import LockName
from leasehold.operator.plan.observed import EtcdState, StoredLock
from leasehold.operator.plan.orders import DeleteSpec, Evict, PutSpec
from leasehold.operator.plan.plan import LabelPod, Memory, ReconcilePlan, Situation, plan
from leasehold.operator.plan.resource import FINALIZER, Lock
from leasehold.operator.reconcile.api import Kube, KubeError, KubeFailure
from leasehold.operator.reconcile.etcd_writer import Conflict, NotActive, Writer
from leasehold.operator.reconcile.metrics import OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.reports import GONE, DesiredStatus, Reports
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.locks import Locks
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.pod_index import Followers
from leasehold.operator.watch.pods import Pods

_log = logging.getLogger("leasehold.operator.reconciler")

ECHO: Final = 1.0
"""Seconds after a write to etcd at which the lock is looked at again, should the mirror not have shown it by then."""


@dataclass(frozen=True, slots=True)
class Caches:
    """All that is observed, kept up to date by those who watch."""

    locks: Locks
    mirror: Mirror
    pods: Pods
    followers: Followers


@dataclass(frozen=True, slots=True)
class ClusterContext:
    """What does not change while this process runs: the clock, whose locks these are, and the operator's own lock."""

    clock: Callable[[], float]
    cluster: str
    own: LockName
    root: str


class Reconciler:
    """Looks at locks for ever, several at a time, each by one worker at a time."""

    def __init__(
        self,
        place: ClusterContext,
        known: Caches,
        queue: WorkQueue[LockName],
        writer: Writer,
        kube: Kube,
        reports: Reports,
        limiter: RateLimiter,
        metrics: OperatorMetrics,
        stranded: RetryOnRecovery,
        *,
        active: Callable[[], bool],
        store: Callable[[], EtcdState],
    ) -> None:
        self._place = place
        self._known = known
        self._queue = queue
        self._writer = writer
        self._kube = kube
        self._reports = reports
        self._limiter = limiter
        self._metrics = metrics
        self._stranded = stranded
        self._active = active
        self._store = store
        self._memories: dict[LockName, Memory] = {}

    async def work(self) -> None:
        """Look at one lock after the other, for ever; any number of these may run at once."""
        while True:
            name = await self._queue.get()
            began = self._place.clock()
            try:
                result = await self._attempt(name)
            finally:
                self._queue.done(name)
            self._metrics.reconciled(result, self._place.clock() - began)
            await asyncio.sleep(0)  # many that want nothing done must not keep everyone else from the loop

    # --- one look -----------------------------------------------------------------------------------------------

    async def _attempt(self, name: LockName) -> str:
        """Look once; every failure ends here, and has the lock come again."""
        try:
            await self._look(name)
        except Conflict:
            self._metrics.error("conflict")  # what overtook us is about to come through the watch
            self._queue.add_at(name, min(ECHO, self._queue.failed(name)))
            return "again"
        except NotActive:
            self._metrics.error("inactive")  # whoever is active now looks at everything
            return "done"
        except (KubeFailure, EtcdError) as error:
            self._retry(name, error)
            return "failed"
        except Exception:
            _log.exception("looking at %s failed", name)
            self._metrics.error("bug")
            self._queue.failed(name)
            return "failed"
        self._queue.ok(name)
        return "done"

    def _retry(self, name: LockName, error: KubeFailure | EtcdError) -> None:
        self._metrics.error("etcd" if isinstance(error, EtcdError) else "api")
        delay = self._queue.failed(name, getattr(error, "retry_after", 0.0))
        self._stranded.add(self._queue, name, error)
        _log.log(logging.WARNING if delay >= 2.0 else logging.DEBUG, "%s waits %.1f s: %s", name, delay, error)

    async def _look(self, name: LockName) -> None:
        situation = self._situation(name)
        if situation is None:
            return
        wanted = plan(situation)
        self._memories[name] = wanted.memory
        for event in wanted.events:
            if situation.lock is not None:
                self._reports.tell(situation.lock, event)
        if wanted.again_in is not None:
            self._queue.add_at(name, wanted.again_in)
        await self._perform(name, situation.lock, wanted)

    # --- what is known ------------------------------------------------------------------------------------------

    def _situation(self, name: LockName) -> Situation | None:
        """All that is known of a lock; None when that is not enough to decide anything, or there is no such lock."""
        known = self._known
        lock, stored = known.locks.get(name), known.mirror.get(name)
        labelled = known.pods.labelled(name)
        if lock is None and not self._is_orphan(name, stored, bool(labelled)):
            return None
        return Situation(
            lock=lock,
            stored=stored,
            departed=known.mirror.take_departed(name),
            store=self._store(),
            preferred_group=self._preferred_group(stored),
            ended_pods=known.pods.ended(name, stored.queue),
            labelled=labelled,
            active=self._active(),
            cluster=self._place.cluster,
            own=self._place.own,
            root=self._place.root,
            memory=self._memories.get(name) or Memory(),
            now=self._place.clock(),
            wall=datetime.now(UTC),
        )

    def _preferred_group(self, stored: StoredLock) -> str:
        """By the pods and their owners; while not all of them are known, as after a start, it stays what it was."""
        if self._known.pods.complete or stored.spec is None or stored.spec.spec is None:
            return self._known.pods.preferred_group(stored.queue)
        return stored.spec.spec.preferred_group

    def _is_orphan(self, name: LockName, stored: StoredLock, labelled: bool) -> bool:
        """Whether what is left of a lock has lost its resource for sure; nothing is kept of one that left nothing."""
        if stored.spec is None and not labelled:
            self._memories.pop(name, None)
            self._known.mirror.take_departed(name)
            self._known.locks.forget(name)
            self._reports.forget(name)
            return False
        if stored.spec is None:
            return self._known.locks.complete
        uid = stored.spec.spec.uid if stored.spec.spec else ""
        return self._known.locks.is_gone(name, uid)

    # --- what is done -------------------------------------------------------------------------------------------

    async def _perform(self, name: LockName, lock: Lock | None, wanted: ReconcilePlan) -> None:
        removes = wanted.finalizers is not None and FINALIZER not in wanted.finalizers
        if lock is not None and wanted.finalizers is not None and not removes:
            await self._put_finalizers(lock, wanted.finalizers)
        try:
            await self._write_all(name, wanted)
        except EtcdError:
            self._reports.want(name, DesiredStatus(lock, wanted.status, self._possible(wanted.labels)))
            raise
        if lock is not None and wanted.finalizers is not None and removes:
            await self._put_finalizers(lock, wanted.finalizers)
        self._report(name, lock, wanted)

    def _report(self, name: LockName, lock: Lock | None, wanted: ReconcilePlan) -> None:
        if wanted.writes and wanted.status is not None:
            self._queue.add_at(name, ECHO)
        status = None if wanted.writes else wanted.status
        self._reports.want(name, DesiredStatus(lock, status, self._possible(wanted.labels)))

    def _possible(self, labels: tuple[LabelPod, ...]) -> tuple[LabelPod, ...]:
        """Those of pods that are there: a candidate's key may name any pod at all, and outlive its own.

        When the pod comes to be seen, the lock is looked at again.
        """
        return tuple(one for one in labels if self._known.pods.is_there(one.namespace, one.name, one.uid))

    async def _write_all(self, name: LockName, wanted: ReconcilePlan) -> None:
        for write in wanted.writes:
            match write:
                case PutSpec():
                    await self._writer.put_spec(name, write)
                    self._metrics.etcd_write("put")
                case DeleteSpec():
                    await self._writer.delete_spec(name, write)
                    self._metrics.etcd_write("delete")
                    _log.info("%s is declared in etcd no longer", name)
                case Evict():
                    await self._writer.evict(name, write)
                    self._metrics.etcd_write("evict")
                    who, token = write.entry.record.identity, write.entry.create_revision
                    _log.info("%s was taken from %s (fencing token %d): %s", name, who, token, write.cause)

    async def _put_finalizers(self, lock: Lock, finalizers: tuple[str, ...]) -> None:
        """Raises KubeFailure. A resource that is gone needs none; of one that has changed, the watch will tell."""
        await self._limiter.acquire()
        try:
            body = await self._kube.patch_finalizers(lock.name, lock.resource_version, finalizers)
        except KubeError as error:
            if error.status not in GONE:
                raise
            raise Conflict(f"{lock.name} has changed") from None
        self._metrics.api_write("finalizers")
        self._stranded.rescue()
        self._known.locks.seen(body)
