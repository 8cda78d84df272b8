"""What a Lock's status says while etcd cannot be reached. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from leasehold.kube.api import FORCE_DELETE
from leasehold.operator.plan.holders import keeping
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.situation import Event, ReconcilePlan, Situation
from leasehold.operator.plan.status import FALSE, UNKNOWN, Condition, condition, conditions, listed, stamp

PATIENCE: Final = 10.0
"""Seconds for which etcd may be away before the statuses say so."""


def away(lock: Lock, situation: Situation) -> ReconcilePlan:
    """etcd is away: what was so is left standing, with a word that it may be so no longer.

    Any replica may say that, and one that alone has lost etcd must not argue with the active one: what the status once
    said of an outage is not said again, whatever it says since.
    """
    store, memory = situation.store, keeping(situation, situation.memory)
    if not situation.active:
        memory = replace(memory, tokens=None)
    left = store.since + PATIENCE - situation.now
    if left > 0:
        return ReconcilePlan(again_in=left, memory=memory)
    text = _AWAY_DELETING if lock.deleting else _AWAY
    judged = [Condition("Ready", FALSE, "EtcdUnreachable", text), Condition("Held", UNKNOWN, "EtcdUnreachable", _AWAY)]
    outage = store.since, text
    if memory.outage == outage or condition(lock.status, "Ready").get("message") == text:
        return ReconcilePlan(memory=replace(memory, outage=outage))
    known = "EtcdUnreachable" in memory.told or condition(lock.status, "Held").get("reason") == "EtcdUnreachable"
    others = [dict(one) for one in listed(lock.status, "conditions") if one.get("type") not in ("Ready", "Held")]
    wanted = conditions(judged, lock.status, lock.generation, stamp(situation.wall)) + others
    return ReconcilePlan(
        status={**lock.status, "conditions": wanted},
        events=() if known else (Event("EtcdUnavailable", _AWAY, warning=True),),
        memory=replace(memory, told=memory.told | {"EtcdUnreachable"}),
    )


_AWAY: Final = "the operator cannot reach etcd, so it does not know who holds the lock; the sidecars go on without it"
_AWAY_DELETING: Final = (
    "the operator cannot reach etcd, so the lock cannot be released; it goes when etcd is back, or at once, leaving "
    f"its keys in etcd, with kubectl annotate lock NAME {FORCE_DELETE}=true"
)
