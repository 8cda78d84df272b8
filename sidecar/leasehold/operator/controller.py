"""Connects the operator's parts: watches → queue → reconciler → reports.

Everything here runs on one event loop, and nothing blocks it. `observe` receives what the informer's thread sees.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prometheus_client import CollectorRegistry

from leasehold.base import clock
from leasehold.base.logs import RepeatedFailureLog
from leasehold.candidate.replica import Fence, Replica, ReplicaConfig
from leasehold.etcd.admin import AdminClient
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.lock.names import LockName
from leasehold.operator import health
from leasehold.operator.config import OperatorConfig
from leasehold.operator.own_conditions import OwnConditions
from leasehold.operator.plan.attention import needing_attention
from leasehold.operator.plan.model import EtcdState
from leasehold.operator.reconcile.api import CANARY, Kube, KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.reconcile.etcd_writer import Writer
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.reconciler import ReconcileContext, Reconciler
from leasehold.operator.reconcile.reports import Reports
from leasehold.operator.reconcile.resync import Resync
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.caches import Caches
from leasehold.operator.watch.etcd_canary import WritesRefused
from leasehold.operator.watch.kopf_watch import ObjectEvent
from leasehold.operator.watch.locks import Locks
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.mirror_feed import FeedConfig, FeedListener, MirrorFeed
from leasehold.operator.watch.pod_index import PodIndex
from leasehold.operator.watch.pods import Pods

if TYPE_CHECKING:
    from leasehold.operator.enrolment.controller import Enrolment

_log = logging.getLogger("leasehold.operator.controller")

RECONCILE_WORKERS: Final = 16
"""Locks that are reconciled at the same time: a reconcile mostly waits for servers."""
REPORT_WORKERS: Final = 4
"""Statuses that are written at the same time. They are fewer, so that a start declares its locks first."""
MAX_SILENCE_SECONDS: Final = 15.0
"""How long a dead watch of etcd may go unnoticed."""
_API_RETRY_SECONDS: Final = 2.0
_TAKEOVER_RETRY_SECONDS: Final = 0.1


class Clients(NamedTuple):
    """One connection to etcd each for the replicas' election, the mirror and the writes.

    `admin` is for etcd's users, if they are administered; it has a certificate of its own.
    """

    election: EtcdClient
    mirror: EtcdClient
    writes: EtcdClient
    admin: AdminClient | None = None


class Controller:
    """One operator. The constructor makes no connection. All `works` have to run."""

    def __init__(self, config: OperatorConfig, registry: CollectorRegistry, clients: Clients, kube: Kube) -> None:
        self._config = config
        self._registry = registry
        self._clients = clients
        self._enrolment: Enrolment | None = None
        self._canary_name = LockName(config.lock.namespace, CANARY)
        self._canary = health.WatchCanary()
        self._queue: WorkQueue[LockName] = WorkQueue(clock.now)
        replica = ReplicaConfig(config.lock, config.record, config.root, config.ttl, config.max_drift)
        self.election = Replica(replica, clients.election, registry, self._leader_changed)
        self._takeover = asyncio.Event()
        self._caught_up: Fence | None = None
        limiter = RateLimiter(config.api_writes, config.api_writes, clock.now)
        self._conditions = OwnConditions(kube.call, self._canary_name)
        self._api = ApiContext(kube, limiter, OperatorMetrics(registry, self._gauges), RetryOnRecovery())
        self._caches = Caches(Locks(self._canary_name), Mirror(config.root), Pods(), PodIndex())
        self._feed = MirrorFeed(
            clients.mirror,
            self._caches.mirror,
            FeedConfig(config.root, config.record.identity, MAX_SILENCE_SECONDS),
            FeedListener(self._keys_changed, self._etcd_changed),
            clock.now,
        )
        self._last_etcd_state = self._feed.etcd_state
        self._writer = Writer(clients.writes, config.root, self.election.fence)
        self._reports = Reports(self._api, self._caches.locks, clock.now, self._queue.add)
        self._resync = Resync(self._caches, self._api, self._queue.add, interval=config.compare_every)

    def works(self) -> dict[str, Coroutine[Any, Any, None]]:
        """All tasks by name. The first one ends after `election.stop`; none of the others may end."""
        namespace, identity = self._config.lock.namespace, self._config.record.identity
        works = {"enrolment": self._enrol()} if self._config.enrolment else {}
        if self._config.enrolment and self._config.enrolment.own_etcd:
            works["upkeep"] = self._look_after_etcd()
        return {
            "election": self.election.run(),
            "mirror": self._feed.run(),
            "takeover": self._take_over(),
            "reconciler": self._reconcile(),
            "resync": self._resync.run(),
            "canary": health.write_canaries(self._canary, self._api, namespace, identity),
            "reports": _all(self._reports.work() for _ in range(REPORT_WORKERS)),
            "events": self._reports.work_events(),
            **works,
        }

    async def _enrol(self) -> None:
        """Administer etcd's users."""
        from leasehold.operator.enrolment.start import Surroundings, setup_of, start  # for those who use it: megabytes

        config, admin = self._config.enrolment, self._clients.admin
        assert config is not None, "works has seen to it"
        assert admin is not None, "the app opens it with these settings"
        around = Surroundings(self._caches, self._conditions, lambda: self._active, clock.now, self._registry)
        setup = setup_of(self._config, config, await self._cluster())
        self._enrolment = start(self._config, config, setup, (admin, self._api.kube.call), around)
        await self._enrolment.run()

    async def _look_after_etcd(self) -> None:
        """Keep the chart's etcd from being full."""
        from leasehold.operator.enrolment.upkeep.start import Surroundings, started

        config, admin = self._config.enrolment, self._clients.admin
        assert config is not None, "works has seen to it"
        assert admin is not None, "the app opens it with these settings"
        around = Surroundings(self._caches.mirror, lambda: self._active, clock.now, self._conditions, self._registry)
        async with started(self._config, config.etcd, admin, around) as upkeep:
            await upkeep.run()

    async def _reconcile(self) -> None:
        context = ReconcileContext(
            clock=clock.now,
            cluster=await self._cluster(),
            own_lock=self._config.lock,
            root=self._config.root,
            active=lambda: self._active,
            etcd_state=lambda: self._feed.etcd_state,
        )
        reconciler = Reconciler(context, self._caches, self._queue, self._writer, self._reports, self._api)
        await _all([reconciler.ask_absent(), *(reconciler.work() for _ in range(RECONCILE_WORKERS))])

    async def _cluster(self) -> str:
        """The UID that tells this cluster's Locks from another's. Without it nothing can be decided."""
        failure_log = RepeatedFailureLog(_log, "the cluster's UID cannot be read")
        while True:
            try:
                uid = await self._api.kube.cluster_uid()
            except KubeFailure as error:
                self._api.metrics.error("api")
                failure_log.failed(error)
                await asyncio.sleep(_API_RETRY_SECONDS)
            else:
                failure_log.succeeded()
                return uid

    # --- takeover -----------------------------------------------------------------------------------------------

    @property
    def _active(self) -> bool:
        """Whether this replica may write: it holds the replicas' lock, and its mirror shows all earlier writes."""
        fence = self.election.fence()
        return fence is not None and fence == self._caught_up

    def _leader_changed(self) -> None:
        self._takeover.set()
        self._enqueue_all()

    async def _take_over(self) -> None:
        """Each time this replica becomes the holder, wait until its mirror is no older than that."""
        while True:
            await self._takeover.wait()
            self._takeover.clear()
            while (fence := self.election.fence()) is not None and fence != self._caught_up:
                try:
                    await self._feed.confirm()
                except WritesRefused:
                    _log.warning("etcd accepts no writes: statuses are reported, but nothing can be changed")
                except EtcdError:  # the mirror is being read again, or etcd is away
                    await asyncio.sleep(_TAKEOVER_RETRY_SECONDS)
                    continue
                self._caught_up = fence
                self._enqueue_all()

    # --- notifications of the watches ---------------------------------------------------------------------------

    def observe(self, batch: Sequence[ObjectEvent]) -> None:
        """Take what the informer saw."""
        for event in batch:
            try:
                self._observe(event)
            except (KeyError, TypeError, ValueError):  # a field is missing that every object has
                _log.exception("the API server sent an object that is not a %s", event.kind)
                self._api.metrics.error("bug")

    def _observe(self, event: ObjectEvent) -> None:
        if event.kind != "Lock":
            affected = self._caches.pods.apply(event.kind, event.body, event.deleted)
            self._enqueue(affected.locks)
            self._enqueue(self._caches.pod_index.locks_of(affected.pods))
            return
        metadata = event.body["metadata"]
        if (metadata["namespace"], metadata["name"]) == (self._canary_name.namespace, self._canary_name.name):
            self._canary.arrived()
            if event.listed:  # all Locks were listed again, which does not show what was deleted before
                self._resync.request()
            return
        name = self._caches.locks.seen(event.body, event.deleted)
        if name is None:
            return
        self._queue.add(name)
        if self._enrolment:
            self._enrolment.lock_seen(name.namespace)

    def _keys_changed(self, name: LockName) -> None:
        self._caches.pod_index.update(name, self._caches.mirror.get(name).queue)
        self._queue.add(name)

    def _etcd_changed(self, state: EtcdState) -> None:
        """Ignore changes that no status reports: each attempt to reach an etcd that is away may fail differently."""
        before, self._last_etcd_state = self._last_etcd_state, state
        is_reported = (before.reachable, bool(before.error)) != (state.reachable, bool(state.error))
        if is_reported or state.revision < before.revision:
            self._enqueue_all()

    def _enqueue_all(self) -> None:
        """Something has changed that concerns every lock."""
        self._enqueue(self._caches.locks.names())
        self._enqueue(self._caches.mirror.names())
        if self._active:
            self._resync.request()

    def _enqueue(self, names: Iterable[LockName]) -> None:
        for name in names:
            self._queue.add(name)

    # --- probes and metrics -------------------------------------------------------------------------------------

    def problem(self) -> str:
        """A problem that a restart of this process would solve, in a sentence; "" if there is none."""
        if self.election.stuck:
            return "the replicas' election has not turned for too long"
        if self._feed.seconds_since_progress() > health.STUCK_SECONDS:
            return "the mirror of etcd has not got on for too long"
        return self._canary.problem()

    def readiness(self) -> dict[str, bool]:
        """What must be true before this replica can be active."""
        return {"locksListed": self._caches.locks.complete, "etcdRead": self._caches.mirror.cluster != 0}

    def _gauges(self) -> Gauges:
        age = self._feed.canary_age()
        return Gauges(
            locks=len(self._caches.locks),
            declared=len(self._caches.mirror.declared()),
            queue_length=len(self._queue),
            reports_waiting=len(self._reports),
            active=self._active,
            etcd_reachable=self._feed.etcd_state.reachable,
            mirror_age=math.nan if age is None else age,
            attention=needing_attention(self._caches.locks.all()) if self._active else (),
            etcd_endpoints=len(self._config.etcd.endpoints),
        )


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them at the same time. If one fails, the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
