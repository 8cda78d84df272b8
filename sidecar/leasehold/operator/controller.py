"""The operator's parts, and who tells whom: watches → queue → reconciler → reports.

Everything here runs on one event loop and nothing blocks it; what the informer's thread sees arrives by `seen`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry

from leasehold import clock
from leasehold.etcd import EtcdClient, EtcdError
from leasehold.lock.names import LockName
from leasehold.operator import health
from leasehold.operator.config import OperatorConfig
from leasehold.operator.leader import Guard, LeaderElection
from leasehold.operator.plan.observed import EtcdState
from leasehold.operator.reconcile.api import CANARY, Kube, KubeFailure
from leasehold.operator.reconcile.etcd_writer import Writer
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.reconciler import Caches, ClusterContext, Reconciler
from leasehold.operator.reconcile.reports import Reports
from leasehold.operator.reconcile.resync import Resync
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.trouble import RepeatedFailureLog
from leasehold.operator.watch.etcd_canary import WritesRefused
from leasehold.operator.watch.kopf_watch import Seen
from leasehold.operator.watch.locks import Locks
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.mirror_feed import MirrorFeed
from leasehold.operator.watch.pod_index import Followers
from leasehold.operator.watch.pods import Pods

_log = logging.getLogger("leasehold.operator.controller")

WORKERS: Final = 16
"""Locks that are looked at side by side: each look waits for servers most of the time."""
REPORTERS: Final = 4
"""Statuses that are written side by side; fewer, so that a start declares its locks first."""
SILENCE: Final = 15.0
"""Seconds for which a watch of etcd may be dead without being noticed."""
_API_RETRY: Final = 2.0
_CATCH_UP_RETRY: Final = 0.1


class Clients(NamedTuple):
    """One connection to etcd each: for the replicas' election, the mirror and the writes."""

    election: EtcdClient
    mirror: EtcdClient
    writes: EtcdClient


class Controller:
    """One operator. Made without touching the network; `works` is what has to run for ever."""

    def __init__(self, config: OperatorConfig, registry: CollectorRegistry, clients: Clients, kube: Kube) -> None:
        self._config = config
        self._kube = kube
        self._canary_name = LockName(config.lock.namespace, CANARY)
        self._canary = health.WatchCanary()
        self._queue: WorkQueue[LockName] = WorkQueue(clock.now)
        self._stranded = RetryOnRecovery()
        self.replicas = LeaderElection(config, clients.election, registry, self._replicas_changed)
        self._replaced = asyncio.Event()
        self._caught_up: Guard | None = None
        self._metrics = OperatorMetrics(registry, self._gauges)
        self._known = Caches(Locks(self._canary_name), Mirror(config.root), Pods(), Followers())
        self._feed = self._make_feed(clients.mirror)
        self._last_store = self._feed.store
        self._writer = Writer(clients.writes, config.root, self.replicas.guard)
        self._limiter = RateLimiter(config.api_writes, config.api_writes, clock.now)
        self._reports = Reports(
            kube, self._known.locks, self._limiter, self._metrics, self._stranded, clock.now, self._queue.add
        )
        self._comparison = Resync(
            self._known, kube, self._metrics, self._stranded, look=self._queue.add, every=config.compare_every
        )

    def _make_feed(self, client: EtcdClient) -> MirrorFeed:
        return MirrorFeed(
            client,
            self._config.root,
            self._known.mirror,
            identity=self._config.record.identity,
            clock=clock.now,
            changed=self._stored_changed,
            store_changed=self._store_changed,
            silence=SILENCE,
        )

    def works(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What has to run for ever, by name; the first ends when `replicas.stop` was called and done."""
        namespace, identity = self._config.lock.namespace, self._config.record.identity
        return {
            "election": self.replicas.run(),
            "mirror": self._feed.run(),
            "takeover": self._catch_up_for_ever(),
            "reconciler": self._reconcile(),
            "comparison": self._comparison.run(),
            "canary": health.prove_for_ever(
                self._canary, self._kube, namespace, identity, self._metrics, self._stranded
            ),
            "reports": _all(self._reports.work() for _ in range(REPORTERS)),
            "events": self._reports.work_events(),
        }

    async def _reconcile(self) -> None:
        place = ClusterContext(clock.now, await self._cluster(), self._config.lock, self._config.root)
        reconciler = Reconciler(
            place,
            self._known,
            self._queue,
            self._writer,
            self._kube,
            self._reports,
            self._limiter,
            self._metrics,
            self._stranded,
            active=lambda: self._active,
            store=lambda: self._feed.store,
        )
        await _all(reconciler.work() for _ in range(WORKERS))

    async def _cluster(self) -> str:
        """The UID that tells this cluster's Locks from another's; without it nothing can be decided."""
        trouble = RepeatedFailureLog(_log, "the cluster's UID cannot be read")
        while True:
            try:
                uid = await self._kube.cluster_uid()
            except KubeFailure as error:
                self._metrics.error("api")
                trouble.because(error)
                await asyncio.sleep(_API_RETRY)
            else:
                trouble.over()
                return uid

    # --- who writes ---------------------------------------------------------------------------------------------

    @property
    def _active(self) -> bool:
        """Whether this replica is to write: it holds the replicas' lock, and knows what the one before it wrote."""
        guard = self.replicas.guard()
        return guard is not None and guard == self._caught_up

    def _replicas_changed(self) -> None:
        self._replaced.set()
        self._look_at_all()

    async def _catch_up_for_ever(self) -> None:
        """See to it, each time that this replica becomes the holder, that its mirror is no older than that."""
        while True:
            await self._replaced.wait()
            self._replaced.clear()
            while (guard := self.replicas.guard()) is not None and guard != self._caught_up:
                try:
                    await self._feed.canary()
                except WritesRefused:
                    _log.warning("etcd takes no writes: what it holds is reported, but cannot be changed")
                except EtcdError:  # the mirror is reading everything anew, or etcd is away
                    await asyncio.sleep(_CATCH_UP_RETRY)
                    continue
                self._caught_up = guard
                self._look_at_all()

    # --- what the watches tell ----------------------------------------------------------------------------------

    def seen(self, batch: Sequence[Seen]) -> None:
        """What the informer saw."""
        for one in batch:
            try:
                self._see(one)
            except (KeyError, TypeError, ValueError):  # an object without what every object has
                _log.exception("the API server told of something that is no %s", one.kind)
                self._metrics.error("bug")

    def _see(self, one: Seen) -> None:
        if one.kind != "Lock":
            touched = self._known.pods.apply(one.kind, one.body, one.deleted)
            self._look(touched.locks)
            self._look(self._known.followers.locks_of(touched.pods))
            return
        metadata = one.body["metadata"]
        if (metadata["namespace"], metadata["name"]) == (self._canary_name.namespace, self._canary_name.name):
            self._canary.came()
            if one.listed:  # all Locks are listed anew: a list does not tell of what was deleted before it
                self._comparison.ask()
            return
        name = self._known.locks.seen(one.body, one.deleted)
        if name is not None:
            self._queue.add(name)

    def _stored_changed(self, name: LockName) -> None:
        self._known.followers.follow(name, self._known.mirror.get(name).queue)
        self._queue.add(name)

    def _store_changed(self, store: EtcdState) -> None:
        """Only what a status would say counts: each attempt to reach an etcd that is away may fail differently."""
        before, self._last_store = self._last_store, store
        if _standing(before) != _standing(store) or store.revision < before.revision:
            self._look_at_all()

    def _look_at_all(self) -> None:
        """Something that concerns every lock has changed."""
        self._look(self._known.locks.names())
        self._look(self._known.mirror.names())
        if self._active:
            self._comparison.ask()

    def _look(self, names: Iterable[LockName]) -> None:
        for name in names:
            self._queue.add(name)

    # --- what others ask ----------------------------------------------------------------------------------------

    def problem(self) -> str:
        """What a restart of this process would mend, in a sentence; "" when there is no such thing."""
        if self.replicas.stuck:
            return "the replicas' election has not turned for too long"
        if self._feed.beat_age() > health.STUCK:
            return "the mirror of etcd has not got on for too long"
        return self._canary.problem()

    def readiness(self) -> dict[str, bool]:
        """What has to be true before this replica can be active."""
        return {"locksListed": self._known.locks.complete, "etcdRead": self._known.mirror.cluster != 0}

    def _gauges(self) -> Gauges:
        age = self._feed.canary_age()
        return Gauges(
            locks=len(self._known.locks),
            declared=len(self._known.mirror.declared()),
            queue_length=len(self._queue),
            reports_waiting=len(self._reports),
            active=self._active,
            etcd_reachable=self._feed.store.reachable,
            mirror_age=math.nan if age is None else age,
        )


def _standing(store: EtcdState) -> tuple[bool, bool]:
    return store.reachable, bool(store.error)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them side by side; when one ends, by whatever it raised, the others are ended too."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
