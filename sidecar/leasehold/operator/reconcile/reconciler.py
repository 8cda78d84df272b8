"""The reconciler around the plan: takes a lock from the queue, gathers its situation, and carries out the plan.

Level-triggered: only the lock's name is passed on. If a reconcile fails, is overtaken or is interrupted, the next one
plans from what is observed then. Only the plan's own memory is remembered. A failure of one lock, even a bug, does not
affect the others.

Order: a finalizer is added before anything is written to etcd, and removed after everything was. Statuses, labels and
events have workers of their own (`reports`). A reconcile that wrote to etcd reports no status: the mirror will deliver
what was written, and the next reconcile reports that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from leasehold.etcd.errors import EtcdError
from leasehold.lock.names import LockName
from leasehold.lock.stored import StoredLock
from leasehold.operator.plan.model import (
    DeleteSpec,
    EtcdOperation,
    EtcdState,
    Evict,
    Memory,
    PutSpec,
    ReconcilePlan,
    Situation,
)
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import FINALIZER, Lock
from leasehold.operator.reconcile.api import KubeError, KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.reconcile.etcd_writer import Conflict, NotActive, Writer
from leasehold.operator.reconcile.reports import OUTDATED, WARN_DELAY_SECONDS, DesiredStatus, Reports
from leasehold.operator.reconcile.sidecar_answers import SidecarAnswers
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.caches import Caches

_log = logging.getLogger("leasehold.operator.reconciler")

WRITE_RECHECK_SECONDS: Final = 1.0
"""After a write to etcd the lock is reconciled again after this time, in case the mirror has not shown it by then."""


@dataclass(frozen=True, slots=True)
class ReconcileContext:
    """What a reconcile needs to know beside the caches.

    `clock` gives monotonic seconds, `cluster` is the UID of the namespace kube-system, `own_lock` the lock that the
    operator's replicas elect with, `root` the root of all keys. `active` says whether this replica may write now,
    `etcd_state` what is known of etcd now.
    """

    clock: Callable[[], float]
    cluster: str
    own_lock: LockName
    root: str
    active: Callable[[], bool]
    etcd_state: Callable[[], EtcdState]


class Reconciler:
    """Reconciles locks: several at a time, each with one worker at a time."""

    def __init__(
        self,
        context: ReconcileContext,
        caches: Caches,
        queue: WorkQueue[LockName],
        writer: Writer,
        reports: Reports,
        api: ApiContext,
    ) -> None:
        self._context = context
        self._caches = caches
        self._queue = queue
        self._writer = writer
        self._reports = reports
        self._api = api
        self._memories: dict[LockName, Memory] = {}
        self._absent = SidecarAnswers(context.clock, queue.add)

    async def ask_absent(self) -> None:
        """Ask the sidecars that are missing from their queues why, until cancelled."""
        await self._absent.work()

    async def work(self) -> None:
        """Reconcile one lock after the other until cancelled. Several of these may run at once."""
        while True:
            name = await self._queue.get()
            began = self._context.clock()
            try:
                result = await self._attempt(name)
            finally:
                self._queue.done(name)
            self._api.metrics.reconciled(result, self._context.clock() - began)
            await asyncio.sleep(0)  # many locks that need nothing must not keep other tasks from the loop

    # --- one reconcile ------------------------------------------------------------------------------------------

    async def _attempt(self, name: LockName) -> str:
        """Reconcile once; the result for the metrics. After a failure the lock is queued again."""
        try:
            await self._reconcile(name)
        except Conflict:  # the watch is about to deliver the change that overtook this reconcile
            self._api.metrics.error("conflict")
            self._queue.add_after(name, min(WRITE_RECHECK_SECONDS, self._queue.failed(name)))
            return "again"
        except NotActive:  # the replica that is active now reconciles everything
            self._api.metrics.error("inactive")
            return "done"
        except (KubeFailure, EtcdError) as error:
            self._retry(name, error)
            return "failed"
        except Exception:
            _log.exception("reconciling %s failed", name)
            self._api.metrics.error("bug")
            self._queue.failed(name)
            return "failed"
        self._queue.succeeded(name)
        return "done"

    def _retry(self, name: LockName, error: KubeFailure | EtcdError) -> None:
        self._api.metrics.error("etcd" if isinstance(error, EtcdError) else "api")
        delay = self._queue.failed(name, getattr(error, "retry_after", 0.0))
        self._api.retries.add(self._queue, name, error)
        level = logging.WARNING if delay >= WARN_DELAY_SECONDS else logging.DEBUG
        _log.log(level, "cannot reconcile %s, trying again in %.1f s: %s", name, delay, error)

    async def _reconcile(self, name: LockName) -> None:
        situation = self._situation(name)
        if situation is None:
            return
        decided = plan(situation)
        self._memories[name] = decided.memory
        for event in decided.events:
            if situation.lock is not None:
                self._reports.add_event(situation.lock, event)
        if decided.again_in is not None:
            self._queue.add_after(name, decided.again_in)
        await self._carry_out(name, situation.lock, decided)

    # --- the situation ------------------------------------------------------------------------------------------

    def _situation(self, name: LockName) -> Situation | None:
        """All that is known of a lock; None if that is too little to decide anything, or if there is no such lock."""
        caches, context = self._caches, self._context
        lock, stored = caches.locks.get(name), caches.mirror.get(name)
        labelled = caches.pods.labelled(name)
        if lock is None and not self._is_orphan(name, stored, bool(labelled)):
            return None
        return Situation(
            lock=lock,
            stored=stored,
            ended=caches.mirror.take_ended(name),
            etcd=context.etcd_state(),
            preferred_group=self._preferred_group(stored),
            ended_pods=caches.pods.ended(name, stored.queue),
            labelled=labelled,
            active=context.active(),
            cluster=context.cluster,
            own_lock=context.own_lock,
            root=context.root,
            memory=self._memories.get(name) or Memory(),
            now=context.clock(),
            wall=datetime.now(UTC),
            absent=self._absent.absent(name, caches.pods.absent(name, stored.queue) if context.active() else ()),
        )

    def _preferred_group(self, stored: StoredLock) -> str:
        """By pods and their owners. Until all of them are known, for example after a start, the declared one stays."""
        if self._caches.pods.complete or stored.spec is None or stored.spec.spec is None:
            return self._caches.pods.preferred_group(stored.queue)
        return stored.spec.spec.preferred_group

    def _is_orphan(self, name: LockName, stored: StoredLock, is_labelled: bool) -> bool:
        """Whether the rest of a lock has certainly lost its resource. If nothing is left, the lock is forgotten."""
        if stored.spec is None and not is_labelled:
            self._forget(name)
            return False
        if stored.spec is None:
            return self._caches.locks.complete
        uid = stored.spec.spec.uid if stored.spec.spec else ""
        return self._caches.locks.is_gone(name, uid)

    def _forget(self, name: LockName) -> None:
        self._memories.pop(name, None)
        self._caches.mirror.take_ended(name)
        self._caches.locks.forget(name)
        self._reports.forget(name)
        self._absent.absent(name, ())

    # --- carrying out a plan ------------------------------------------------------------------------------------

    async def _carry_out(self, name: LockName, lock: Lock | None, decided: ReconcilePlan) -> None:
        removes_finalizer = decided.finalizers is not None and FINALIZER not in decided.finalizers
        if not removes_finalizer:
            await self._put_finalizers(lock, decided.finalizers)
        try:
            for write in decided.writes:
                await self._write(name, write)
        except EtcdError:
            self._report(name, lock, decided)
            raise
        if removes_finalizer:
            await self._put_finalizers(lock, decided.finalizers)
        if decided.writes and decided.status is not None:
            self._queue.add_after(name, WRITE_RECHECK_SECONDS)
            decided = replace(decided, status=None)
        self._report(name, lock, decided)

    def _report(self, name: LockName, lock: Lock | None, decided: ReconcilePlan) -> None:
        """Report the status and those labels whose pods exist.

        A candidate's key may name any pod and outlive its own. Once the pod is seen, the lock is reconciled again.
        """
        pods = self._caches.pods
        labels = tuple(one for one in decided.labels if pods.exists(one.namespace, one.name, one.uid))
        self._reports.set_desired(name, DesiredStatus(lock, decided.status, labels))

    async def _write(self, name: LockName, write: EtcdOperation) -> None:
        match write:
            case PutSpec():
                await self._writer.put_spec(name, write)
                self._api.metrics.etcd_write("put")
            case DeleteSpec():
                await self._writer.delete_spec(name, write)
                self._api.metrics.etcd_write("delete")
                _log.info("deleted the spec key of %s", name)
            case Evict():
                await self._writer.evict(name, write)
                self._api.metrics.etcd_write("evict")
                who, token = write.entry.record.identity, write.entry.create_revision
                _log.info("evicted %s (fencing token %d) from %s: %s", who, token, name, write.cause)

    async def _put_finalizers(self, lock: Lock | None, finalizers: tuple[str, ...] | None) -> None:
        """Raises KubeFailure, or Conflict if the resource is gone or has changed: the watch will deliver that."""
        if lock is None or finalizers is None:
            return
        await self._api.limiter.acquire()
        try:
            body = await self._api.kube.patch_finalizers(lock.name, lock.resource_version, finalizers)
        except KubeError as error:
            if error.status not in OUTDATED:
                raise
            raise Conflict(f"{lock.name} has changed") from None
        self._api.metrics.api_write("finalizers")
        self._api.retries.requeue_all()
        self._caches.locks.seen(body)
