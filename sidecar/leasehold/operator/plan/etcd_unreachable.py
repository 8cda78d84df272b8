"""What a Lock's status says while etcd cannot be reached. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from leasehold.lock.kube_names import FORCE_DELETE
from leasehold.operator.plan.conditions import STALLED, not_ready
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.holders import keep_ended
from leasehold.operator.plan.model import Event, ReconcilePlan
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.status import FALSE, TRUE, UNKNOWN, Condition, render_conditions, timestamp

REPORT_AFTER_SECONDS: Final = 10.0
"""How long etcd may be unreachable before the statuses say so."""
_UNREACHABLE: Final = (
    "the operator cannot reach etcd and does not know who holds the lock; the sidecars work without the operator; what "
    "this status shows is the last known, from"
)
_UNREACHABLE_WHILE_DELETING: Final = (
    "the operator cannot reach etcd, so the lock cannot be released; it is deleted when etcd is back. To delete it at "
    f"once and leave its keys in etcd: kubectl annotate lock NAME {FORCE_DELETE}=true"
)


def report_unreachable(lock: Lock, facts: Facts) -> ReconcilePlan:
    """Keep the status, but say that it may be outdated.

    Any replica may report that. A replica that alone has lost etcd must not argue with the active one, so an outage
    that the status has once reported is not reported again, whatever the status says later.
    """
    situation, memory = facts.situation, keep_ended(facts, replace(facts.situation.memory, limits=facts.limits))
    if not situation.active:
        memory = replace(memory, tokens=None)
    left = situation.etcd.since + REPORT_AFTER_SECONDS - situation.now
    if left > 0:
        return ReconcilePlan(again_in=left, memory=memory)
    text = _UNREACHABLE_WHILE_DELETING if lock.deleting else _UNREACHABLE
    outage = situation.etcd.since, text
    # the time is each replica's own, by a second or so: it is no reason to write the status again
    said = str(facts.recorded.condition("Ready").get("message", ""))
    if memory.reported_outage == outage or said.startswith(text):
        return ReconcilePlan(memory=replace(memory, reported_outage=outage))
    is_reported = (
        "EtcdUnreachable" in memory.reported or facts.recorded.condition("Held").get("reason") == "EtcdUnreachable"
    )
    return ReconcilePlan(
        status=_status(lock, facts, text),
        events=() if is_reported else (Event("EtcdUnavailable", _last_known(facts), warning=True),),
        memory=replace(memory, reported=memory.reported | {"EtcdUnreachable"}),
    )


def _last_known(facts: Facts) -> str:
    situation = facts.situation
    lost_at = situation.wall - timedelta(seconds=situation.now - situation.etcd.since)
    return f"{_UNREACHABLE} {timestamp(lost_at)}"


def _status(lock: Lock, facts: Facts, text: str) -> dict[str, object]:
    last_known = _last_known(facts)
    changed = [
        Condition("Ready", FALSE, "EtcdUnreachable", last_known if text == _UNREACHABLE else text),
        Condition("Held", UNKNOWN, "EtcdUnreachable", last_known),
    ]
    if facts.recorded.condition("Degraded").get("status") != TRUE:
        changed.append(not_ready())
    conditions = render_conditions(changed, facts.recorded, lock.generation, facts.timestamp)
    kinds = {STALLED, *(one.type for one in changed)}  # whether it still is stalled is not known
    others = [dict(one) for one in facts.recorded.conditions if one.get("type") not in kinds]
    return {**facts.recorded.fields, "conditions": conditions + others}
