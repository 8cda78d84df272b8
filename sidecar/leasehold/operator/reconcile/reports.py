"""Reports to Kubernetes: statuses, labels and events on their way to the API server.

They have workers of their own, so that ten thousand statuses do not delay a changed Lock on its way into etcd. Only the
newest desired status of a lock counts: it replaces one that was not sent yet, and is dropped if the plan needs nothing
any more. A lock's status is sent at once, then at most once per `STATUS_INTERVAL_SECONDS`. Events are hints for people:
if one cannot be sent, it is dropped and logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from leasehold.lock.names import LockName
from leasehold.operator.plan.model import Event, LabelPod
from leasehold.operator.plan.resource import Lock
from leasehold.operator.reconcile.api import KubeError, KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.reconcile.workqueue import WorkQueue
from leasehold.operator.watch.locks import Locks

_log = logging.getLogger("leasehold.operator.reports")

STATUS_INTERVAL_SECONDS: Final = 1.0
"""The time between two reports on one lock, its pods' labels included: a write takes a moment to come back."""
MAX_EVENTS: Final = 1000
"""Events that wait to be sent. Beyond that, the oldest are dropped."""
WARN_DELAY_SECONDS: Final = 2.0
"""Failures are warnings once the back-off is this long. A failure that the next attempt repairs is not news."""
OUTDATED: Final = (404, 409)
"""Answers that say: not this resource, or not in this version. The watch delivers the newer one."""


@dataclass(frozen=True, slots=True)
class DesiredStatus:
    """What a lock's newest plan reports. `lock` None: there is no resource, only labels to remove."""

    lock: Lock | None
    status: Mapping[str, Any] | None
    labels: tuple[LabelPod, ...]


class Reports:
    """Sends reports. Calls `reconcile_again` with each lock whose status was written: its next plan sees the result.

    Labels are different: the watch reports them. Reconciling at once would ask for the label until the watch delivers
    it, and without end if there is no such pod: a candidate outlives its pod by up to a lease duration.
    """

    def __init__(
        self, api: ApiContext, locks: Locks, clock: Callable[[], float], reconcile_again: Callable[[LockName], None]
    ) -> None:
        self._api = api
        self._locks = locks
        self._clock = clock
        self._reconcile_again = reconcile_again
        self._queue: WorkQueue[LockName] = WorkQueue(clock)
        self._desired: dict[LockName, DesiredStatus] = {}
        self._not_before: dict[LockName, float] = {}
        self._events: deque[tuple[Lock, Event]] = deque(maxlen=MAX_EVENTS)
        self._more_events = asyncio.Event()
        self._sending = 0

    def __len__(self) -> int:
        """How many reports wait or are being sent: locks with a status or labels, and events."""
        return len(self._desired) + len(self._events) + self._sending

    def set_desired(self, name: LockName, desired: DesiredStatus) -> None:
        """Report this, in place of what was desired for the lock before."""
        if desired.status is None and not desired.labels:
            self._desired.pop(name, None)
            return
        self._desired[name] = desired
        now = self._clock()
        if (wait := self._not_before.get(name, now) - now) > 0:
            self._queue.add_after(name, wait)
        else:
            self._queue.add(name)

    def add_event(self, lock: Lock, event: Event) -> None:
        """Emit an event on the Lock, once."""
        if len(self._events) == MAX_EVENTS:
            _log.warning("too many events are waiting: the oldest one is dropped")
        self._events.append((lock, event))
        self._more_events.set()

    def forget(self, name: LockName) -> None:
        """The resource no longer exists."""
        self._desired.pop(name, None)
        self._not_before.pop(name, None)

    async def work(self) -> None:
        """Send statuses and labels until cancelled. Several of these may run at once."""
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
            self._on_failure(name, error)
        except Exception:  # a bug that concerns one lock must not end the reports of all others
            _log.exception("reporting the status of %s failed", name)
            self._api.metrics.error("bug")
            self._queue.failed(name)
        else:
            self._queue.succeeded(name)
            self._api.retries.requeue_all()

    async def _send(self, name: LockName) -> None:
        if name not in self._desired:
            return
        await self._api.limiter.acquire()
        desired = self._desired.pop(name, None)  # only now: a newer one may have replaced it meanwhile
        if desired is None:
            return
        self._sending += 1
        self._not_before[name] = self._clock() + STATUS_INTERVAL_SECONDS
        try:
            await self._patch(name, desired)
            desired = replace(desired, status=None)  # a label that is refused must not hold back the status
            await self._label(name, desired)
        except BaseException:
            self._desired.setdefault(name, desired)
            raise
        finally:
            self._sending -= 1

    async def _patch(self, name: LockName, desired: DesiredStatus) -> None:
        if desired.lock is None or desired.status is None:
            return
        body = await self._api.kube.patch_status(name, desired.lock.uid, desired.status)
        self._api.metrics.api_write("status")
        self._locks.seen(body)
        self._desired.pop(name, None)  # planned meanwhile, without knowing the status that has just been written
        self._reconcile_again(name)

    async def _label(self, name: LockName, desired: DesiredStatus) -> None:
        for label in desired.labels:
            try:
                await self._api.kube.label_pod(name, label)
            except KubeError as error:
                if error.status not in OUTDATED:
                    raise
                self._reconcile_again(name)  # the pod changed during each attempt
            else:
                self._api.metrics.api_write("label")

    def _on_failure(self, name: LockName, error: KubeFailure) -> None:
        if isinstance(error, KubeError) and error.status in OUTDATED:
            self._desired.pop(name, None)
            self._reconcile_again(name)
            return
        self._api.metrics.error("api")
        delay = self._queue.failed(name, error.retry_after)
        self._api.retries.add(self._queue, name, error)
        level = logging.WARNING if delay >= WARN_DELAY_SECONDS else logging.DEBUG
        _log.log(level, "cannot write the status of %s, trying again in %.1f s: %s", name, delay, error)

    async def work_events(self) -> None:
        """Send events until cancelled."""
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
        await self._api.limiter.acquire()
        try:
            is_sent = await self._api.kube.emit(lock, event)
        except KubeFailure as error:
            self._api.metrics.error("api")
            _log.warning("dropped the event %s of %s: %s", event.reason, lock.name, error)
            return
        if is_sent:
            self._api.metrics.api_write("event")
