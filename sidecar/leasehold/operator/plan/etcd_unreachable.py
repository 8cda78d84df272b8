"""What a Lock's status says while etcd cannot be reached. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from leasehold.kube.api import FORCE_DELETE
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.holders import keep_ended
from leasehold.operator.plan.model import Event, ReconcilePlan
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.status import FALSE, UNKNOWN, Condition, render_conditions

REPORT_AFTER_SECONDS: Final = 10.0
"""How long etcd may be unreachable before the statuses say so."""
_UNREACHABLE: Final = (
    "the operator cannot reach etcd and does not know who holds the lock; the sidecars work without the operator"
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
    situation, memory = facts.situation, keep_ended(facts, facts.situation.memory)
    if not situation.active:
        memory = replace(memory, tokens=None)
    left = situation.etcd.since + REPORT_AFTER_SECONDS - situation.now
    if left > 0:
        return ReconcilePlan(again_in=left, memory=memory)
    text = _UNREACHABLE_WHILE_DELETING if lock.deleting else _UNREACHABLE
    outage = situation.etcd.since, text
    if memory.reported_outage == outage or facts.recorded.condition("Ready").get("message") == text:
        return ReconcilePlan(memory=replace(memory, reported_outage=outage))
    is_reported = (
        "EtcdUnreachable" in memory.reported or facts.recorded.condition("Held").get("reason") == "EtcdUnreachable"
    )
    return ReconcilePlan(
        status=_status(lock, facts, text),
        events=() if is_reported else (Event("EtcdUnavailable", _UNREACHABLE, warning=True),),
        memory=replace(memory, reported=memory.reported | {"EtcdUnreachable"}),
    )


def _status(lock: Lock, facts: Facts, text: str) -> dict[str, object]:
    changed = [
        Condition("Ready", FALSE, "EtcdUnreachable", text),
        Condition("Held", UNKNOWN, "EtcdUnreachable", _UNREACHABLE),
    ]
    conditions = render_conditions(changed, facts.recorded, lock.generation, facts.timestamp)
    others = [dict(one) for one in facts.recorded.conditions if one.get("type") not in ("Ready", "Held")]
    return {**facts.recorded.fields, "conditions": conditions + others}
