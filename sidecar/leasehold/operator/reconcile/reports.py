"""What is to be seen in Kubernetes: statuses, labels and events on their way to the API server.

A lane of its own, so that ten thousand statuses do not keep a changed Lock waiting on its way into etcd. Of each lock
only the newest wish counts: one that was not sent yet is replaced, or dropped when the plan wants nothing any more. A
lock's status is sent at once, then at most once in `STATUS_INTERVAL`. Events are a hint to people: those that cannot be
sent are dropped, with a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from leasehold.lock.names import LockName
from leasehold.operator.plan.plan import Event, LabelPod
from leasehold.operator.plan.resource import Lock
from leasehold.operator.reconcile.api import Kube, KubeError, KubeFailure
from leasehold.operator.reconcile.metrics import OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.locks import Locks

_log = logging.getLogger("leasehold.operator.reports")

STATUS_INTERVAL: Final = 1.0
"""Seconds between two statuses of one lock, its pods' labels included: what was written takes a moment to be seen."""
MOST_EVENTS: Final = 1000
"""Events that wait to be sent; of more, the oldest are dropped."""
GONE: Final = (404, 409)
"""Answers that say: not this resource, or not in this version. Whatever is newer than we know comes by the watch."""


@dataclass(frozen=True, slots=True)
class DesiredStatus:
    """What a lock's newest plan wants to be seen. `lock` None: there is no resource, only labels to be taken off."""

    lock: Lock | None
    status: Mapping[str, Any] | None
    labels: tuple[LabelPod, ...]


class Reports:
    """The lane. `look_again` is called with each lock whose status was written: its next plan sees the result.

    Of a pod's label the watch tells. To look again at once would ask for the label until the watch has told, and for
    ever where there is no such pod: a candidate outlives its pod by up to a lease duration.
    """

    def __init__(
        self,
        kube: Kube,
        locks: Locks,
        limiter: RateLimiter,
        metrics: OperatorMetrics,
        stranded: RetryOnRecovery,
        clock: Callable[[], float],
        look_again: Callable[[LockName], None],
    ) -> None:
        self._kube = kube
        self._locks = locks
        self._limiter = limiter
        self._metrics = metrics
        self._clock = clock
        self._look_again = look_again
        self._queue: WorkQueue[LockName] = WorkQueue(clock)
        self._stranded = stranded
        self._wishes: dict[LockName, DesiredStatus] = {}
        self._not_before: dict[LockName, float] = {}
        self._events: deque[tuple[Lock, Event]] = deque(maxlen=MOST_EVENTS)
        self._more_events = asyncio.Event()
        self._sending = 0

    def __len__(self) -> int:
        """What waits to be sent or is being sent: locks with a status or labels, and events."""
        return len(self._wishes) + len(self._events) + self._sending

    def want(self, name: LockName, wish: DesiredStatus) -> None:
        """Have this seen, instead of whatever was wanted of the lock before."""
        if wish.status is None and not wish.labels:
            self._wishes.pop(name, None)
            return
        self._wishes[name] = wish
        now = self._clock()
        if (wait := self._not_before.get(name, now) - now) > 0:
            self._queue.add_at(name, wait)
        else:
            self._queue.add(name)

    def tell(self, lock: Lock, event: Event) -> None:
        """Emit an event on the Lock, once."""
        if len(self._events) == MOST_EVENTS:
            _log.warning("too many events wait to be sent: the oldest is dropped")
        self._events.append((lock, event))
        self._more_events.set()

    def forget(self, name: LockName) -> None:
        """The resource is gone for good."""
        self._wishes.pop(name, None)
        self._not_before.pop(name, None)

    async def work(self) -> None:
        """Send wishes for ever; any number of these may run at once."""
        while True:
            name = await self._queue.get()
            try:
                await self._attempt(name)
            finally:
                self._queue.done(name)

    async def _attempt(self, name: LockName) -> None:
        try:
            await self._send(name)
        except KubeFailure as error:
            self._failed(name, error)
        except Exception:  # one lock's trouble must not end the lane for all others
            _log.exception("reporting on %s failed", name)
            self._metrics.error("bug")
            self._queue.failed(name)
        else:
            self._queue.ok(name)
            self._stranded.rescue()

    async def _send(self, name: LockName) -> None:
        if name not in self._wishes:
            return
        await self._limiter.acquire()
        wish = self._wishes.pop(name, None)  # only now: while it waited, a newer one may have taken its place
        if wish is None:
            return
        self._sending += 1
        self._not_before[name] = self._clock() + STATUS_INTERVAL
        try:
            await self._patch(name, wish)
            wish = replace(wish, status=None)  # a pod that refuses its label keeps no status from being seen
            await self._label(name, wish)
        except BaseException:
            self._wishes.setdefault(name, wish)
            raise
        finally:
            self._sending -= 1

    async def _patch(self, name: LockName, wish: DesiredStatus) -> None:
        if wish.lock is None or wish.status is None:
            return
        body = await self._kube.patch_status(name, wish.lock.uid, wish.status)
        self._metrics.api_write("status")
        self._locks.seen(body)
        self._look_again(name)

    async def _label(self, name: LockName, wish: DesiredStatus) -> None:
        for label in wish.labels:
            try:
                await self._kube.label_pod(name, label)
            except KubeError as error:
                if error.status not in GONE:
                    raise
                self._look_again(name)  # the pod changed under each attempt
            else:
                self._metrics.api_write("label")

    def _failed(self, name: LockName, error: KubeFailure) -> None:
        if isinstance(error, KubeError) and error.status in GONE:
            self._wishes.pop(name, None)
            self._look_again(name)
            return
        self._metrics.error("api")
        delay = self._queue.failed(name, error.retry_after)
        self._stranded.add(self._queue, name, error)
        _log.log(_level(delay), "the status of %s was not written: %s", name, error)

    async def work_events(self) -> None:
        """Send events for ever."""
        while True:
            while not self._events:
                self._more_events.clear()
                await self._more_events.wait()
            self._sending += 1
            try:
                await self._emit(*self._events.popleft())
            finally:
                self._sending -= 1

    async def _emit(self, lock: Lock, event: Event) -> None:
        await self._limiter.acquire()
        try:
            sent = await self._kube.emit(lock, event)
        except KubeFailure as error:
            self._metrics.error("api")
            _log.warning("the event %s of %s was not sent: %s", event.reason, lock.name, error)
            return
        if sent:
            self._metrics.api_write("event")


def _level(delay: float) -> int:
    """Loud when it has gone on for a while: one failure that is mended by the next attempt is no news."""
    return logging.WARNING if delay >= 2.0 else logging.DEBUG
