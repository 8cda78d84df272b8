"""Keeps etcd from being full, in the active replica: look, do one thing, tell, again.

When etcd is full, no replica can become active that was not in the queue before. So whoever finds the replicas' queue
empty for a while acts as well: two that do the same do no harm, because a member that is held up counts as unhealthy.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from leasehold.base.logs import RepeatedFailureLog
from leasehold.etcd.errors import EtcdError
from leasehold.kube.call import KubeFailure
from leasehold.operator.enrolment.upkeep.members import Members
from leasehold.operator.enrolment.upkeep.model import Action, Compact, Defragment, Disarm, Past, Seen
from leasehold.operator.enrolment.upkeep.plan import has_alarm, is_short, next_action, verdict
from leasehold.operator.own_conditions import OwnCondition, OwnConditions
from leasehold.operator.plan.status import FALSE, UNKNOWN

_log = logging.getLogger("leasehold.operator.enrolment.upkeep.controller")

TYPE: Final = "EtcdHasSpace"
LOOK_EVERY_SECONDS: Final = 15.0
_NEXT_SECONDS: Final = 1.0
"""Between two actions: what etcd says of its pages in use follows a compaction a moment later."""
DESERTED_SECONDS: Final = 30.0
"""How long nobody must have been the active replica before one that is not acts: each waits up to twice as long."""
CENSUS_EVERY_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Around:
    """What the operator gives: whether it is active, whether a replica is in the queue, its clock, who has most keys.

    `most_keys` may raise EtcdError.
    """

    active: Callable[[], bool]
    queued: Callable[[], bool]
    clock: Callable[[], float]
    most_keys: Callable[[], Awaitable[str]]


class UpkeepMetrics:
    """What was done, and whether space is short."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "leasehold_operator_etcd"
        self._done = Counter(f"{prefix}_upkeep", "What was done for etcd's space.", ["action"], registry=registry)
        self.short = Gauge(f"{prefix}_space_short", "1 if a database is near its quota, or full.", registry=registry)
        for kind in (Compact, Defragment, Disarm):
            self._done.labels(kind.__name__.lower())

    def did(self, action: Action) -> None:
        """An action was carried out."""
        self._done.labels(type(action).__name__.lower()).inc()


class Upkeep:
    """The part of the operator that looks after etcd's space."""

    def __init__(self, members: Members, conditions: OwnConditions, metrics: UpkeepMetrics, around: Around) -> None:
        """`members` are the caller's to close."""
        self._members = members
        self._conditions = conditions
        self._metrics = metrics
        self._around = around
        self._past = Past()
        self._most_keys = ""
        self._next_census = float("-inf")
        self._deserted_since: float | None = None
        self._patience = DESERTED_SECONDS * random.uniform(1.0, 2.0)
        self._failure_log = RepeatedFailureLog(_log, "etcd's space cannot be looked after")

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            acted = False
            if self._may_act():
                acted = await self._attempt()
            else:
                self._conditions.forget()
            await asyncio.sleep(_NEXT_SECONDS if acted else LOOK_EVERY_SECONDS)

    def _may_act(self) -> bool:
        now = self._around.clock()
        if self._around.active() or self._around.queued():
            self._deserted_since = None
            return self._around.active()
        if self._deserted_since is None:
            self._deserted_since = now
        return now >= self._deserted_since + self._patience

    async def _attempt(self) -> bool:
        """One round; whether something was done."""
        try:
            seen = await self._members.look()
            action = self._plan(seen)
            await self._tell(seen)
            if action:
                await self._act(action)
        except EtcdError as error:
            self._failure_log.failed(error)
            await self._write(UNKNOWN, "EtcdFails", str(error))
            return False
        self._failure_log.succeeded()
        return action is not None

    def _plan(self, seen: Seen) -> Action | None:
        now = self._around.clock()
        if not has_alarm(seen):
            self._past.alarm_since = None
        elif self._past.alarm_since is None:
            self._past.alarm_since = now
        return next_action(seen, self._past, now)

    async def _act(self, action: Action) -> None:
        """Do it. It counts as done although it fails: it must not be tried all the time."""
        match action:
            case Compact(revision=revision):
                self._past.compacted, self._past.compacted_revision = self._around.clock(), revision
                await self._members.compact(revision)
            case Defragment(member=member):
                self._past.defragmented[member.id] = self._around.clock()
                await self._members.defragment(member)
            case Disarm(members=members):
                for member_id in members:
                    await self._members.disarm(member_id)
        self._metrics.did(action)
        _log.warning("etcd's space is short: %s", _words(action))

    # --- telling ------------------------------------------------------------------------------------------------

    async def _tell(self, seen: Seen) -> None:
        now = self._around.clock()
        self._metrics.short.set(is_short(seen))
        if is_short(seen) and now >= self._next_census:
            self._next_census = now + CENSUS_EVERY_SECONDS
            self._most_keys = await self._around.most_keys()
        await self._write(*verdict(seen, self._past, now, self._most_keys))

    async def _write(self, status: str, reason: str, message: str) -> None:
        """Write the condition. If that fails, the next round does."""
        try:
            is_news = await self._conditions.write(OwnCondition(TYPE, status, reason, message))
        except KubeFailure as error:
            _log.debug("the condition cannot be written: %s", error)
            return
        if is_news:
            level = logging.WARNING if status == FALSE else logging.INFO
            _log.log(level, "%s", message, extra={"fields": {"condition": TYPE, "reason": reason}})


def _words(action: Action) -> str:
    match action:
        case Compact(revision=revision):
            return f"compacted to revision {revision}"
        case Defragment(member=member):
            return f"defragmented {member.name}, of whose {member.size} bytes {member.in_use} were in use"
        case Disarm():
            return "disarmed: it takes writes again"
