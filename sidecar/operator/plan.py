"""The operator's decisions: of one lock, what is to be written, given all that is known of it. Pure.

Level-triggered: a plan depends on what is observed and on little that is remembered, so one that was carried out in
part, or by another replica, is completed by the next. With nothing to do it is empty: that is the fixed point.

    no such resource           its spec key goes, if it is one of ours (an orphan); labels are taken off
    etcd cannot be reached     the status says so, after a moment; any replica may write that
    not the active replica     nothing
    refused                    a name or key that is somebody else's: the status says so, etcd is not touched
    to be deleted              `deletion.py`
    otherwise                  finalizer, spec key, evictions, labels, status, events

Evicted is whoever stands under `revokeUpToToken`, holder or waiter, ours or not (a waiter would hold next, and be
evicted then), and with `releaseWhenPodEnds` those of ours whose pod has ended for sure. No other key of a queue is
touched.

`StoreRolledBack`: etcd's revision lies below the token on record, so it was wiped or restored from a backup, and
tokens begin again lower. `handoverUpToToken` and `revokeUpToToken` name tokens of before, and would hit whoever comes
now: they are ignored until they lie below everybody in the queue, because they were lowered by hand or outgrown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sidecar.keys import Keys
from sidecar.operator import deletion
from sidecar.operator.conditions import judge
from sidecar.operator.declaration import noticed, wanted
from sidecar.operator.holding import Holding, changes, holding, learned, tokens_before
from sidecar.operator.orders import Evict, PutSpec
from sidecar.operator.resource import FINALIZER, Lock
from sidecar.operator.situation import Event, LabelPod, Memory, Plan, Situation
from sidecar.operator.status import FALSE, UNKNOWN, Condition, condition, conditions, holders, number, stamp

__all__ = ["Event", "LabelPod", "Memory", "Plan", "Situation", "plan"]

PATIENCE: Final = 10.0
"""Seconds for which etcd may be away before the statuses say so."""


def plan(situation: Situation) -> Plan:
    """What is to be done about this lock now."""
    if situation.lock is None:
        return _orphan(situation)
    if not situation.store.reachable:
        return _away(situation.lock, situation)
    if not situation.active:
        return Plan(memory=replace(noticed(situation), tokens=None))
    if (refusal := refused(situation.lock, situation)) is not None:
        return _refuse(situation.lock, situation, refusal)
    return _serve(situation.lock, situation)


# --- the usual -------------------------------------------------------------------------------------------------------


def _serve(lock: Lock, situation: Situation) -> Plan:
    before = tokens_before(situation)
    now = holding(situation.stored, before)
    memory = learned(noticed(situation), situation, now)
    evictions = _evictions(lock, situation)
    memory = replace(memory, evicted=memory.evicted | {one.entry.create_revision for one in evictions})
    events = changes(situation, before, now)
    if lock.deleting:
        return _leave(lock, situation, memory, now, events)
    spec, again = _spec_writes(lock, situation, memory)
    status = _status(lock, situation, memory, now, pending=again is not None)
    return Plan(
        writes=(*spec, *evictions),
        finalizers=None if FINALIZER in lock.finalizers else (*lock.finalizers, FINALIZER),
        status=status,
        events=(*events, *_warnings(lock, status)),
        labels=_labels(lock, situation, now),
        again_in=again,
        memory=memory,
    )


def _spec_writes(lock: Lock, situation: Situation, memory: Memory) -> tuple[tuple[PutSpec, ...], float | None]:
    """The write that declares the lock, if it is needed, and in how many seconds more can be declared."""
    stored = situation.stored.spec
    if lock.mistakes:
        return (), None
    spec = wanted(lock, situation, memory, rolled_back=is_rolled_back(lock, situation))
    again = max(0.0, memory.raise_from - situation.now) if spec.capacity < lock.spec.capacity else None
    value = spec.encode()
    if stored is not None and stored.value == value:
        return (), again
    return (PutSpec(value, stored.mod_revision if stored else 0),), again


def _evictions(lock: Lock, situation: Situation) -> tuple[Evict, ...]:
    revoked = 0 if is_rolled_back(lock, situation) else lock.spec.revoke_up_to_token
    found = []
    for entry in situation.stored.queue:
        record = entry.record
        if entry.create_revision <= revoked:
            found.append(Evict(entry, f"spec.revokeUpToToken is {revoked}"))
        elif lock.spec.release_when_pod_ends and not record.foreign and record.pod_uid in situation.ended_pods:
            found.append(Evict(entry, f"its pod {record.pod} has ended"))
    return tuple(found)


def is_rolled_back(lock: Lock, situation: Situation) -> bool:
    """Whether tokens of before may be meant by this resource; as the module says."""
    recorded = max(number(lock.status, "fencingToken"), situation.memory.highest)
    if situation.store.revision < recorded:
        return True
    if condition(lock.status, "Degraded").get("reason") != "StoreRolledBack":
        return False
    lowest = min((one.create_revision for one in situation.stored.queue), default=situation.store.revision + 1)
    return max(lock.spec.handover_up_to_token, lock.spec.revoke_up_to_token) >= lowest


def _leave(lock: Lock, situation: Situation, memory: Memory, now: Holding, events: tuple[Event, ...]) -> Plan:
    """A resource that is to be deleted: nothing but its going."""
    if FINALIZER not in lock.finalizers:
        return Plan(memory=memory, labels=_labels(lock, situation, now))
    step = deletion.next_step(lock, situation, memory)
    status = None if step.done else _status(lock, situation, step.memory, now, pending=False)
    return Plan(
        writes=step.writes,
        finalizers=tuple(one for one in lock.finalizers if one != FINALIZER) if step.done else None,
        status=status,
        events=events,
        labels=_labels(lock, situation, now),
        again_in=step.again_in,
        memory=step.memory,
    )


def _labels(lock: Lock, situation: Situation, now: Holding) -> tuple[LabelPod, ...]:
    """Only pods in the Lock's own namespace: its owner has no say over others."""
    chosen = {
        (one.record.pod_namespace, one.record.pod, one.record.pod_uid)
        for one in now.holders
        if one.record.pod_uid and one.record.pod_namespace == lock.name.namespace and not one.record.foreign
    }
    right = chosen if lock.spec.pod_label and not lock.deleting else set()
    on = [LabelPod(*pod, on=True) for pod in sorted(right - situation.labelled)]
    return (*(LabelPod(*pod, on=False) for pod in sorted(situation.labelled - right)), *on)


def _status(lock: Lock, situation: Situation, memory: Memory, now: Holding, *, pending: bool) -> dict[str, Any] | None:
    found: dict[str, Any] = {
        "observedGeneration": lock.generation,
        "key": Keys(lock.name, situation.root).prefix,
        "holderCount": len(now.holders),
        "waiterCount": len(now.waiters),
        "transitionCount": memory.transitions,
        "holders": holders(now.holders, memory.first_seen),
    }
    if now.holders:
        found["holderIdentity"] = now.holders[0].record.identity
        found["acquireTime"] = memory.first_seen[now.tokens[0]]
    if memory.highest:
        found["fencingToken"] = memory.highest
    judged = judge(lock, situation, now, pending=pending, rolled_back=is_rolled_back(lock, situation))
    found["conditions"] = conditions(judged, lock.status, lock.generation, stamp(situation.wall))
    return None if found == dict(lock.status) else found


def _warnings(lock: Lock, status: dict[str, Any] | None) -> tuple[Event, ...]:
    """An event for what has just gone wrong, by the conditions: those whose reason is new."""
    found = []
    for one in (status or {}).get("conditions", ()):
        bad = one["status"] == ("True" if one["type"] == "Degraded" else "False")
        news = condition(lock.status, one["type"]).get("reason") != one["reason"]
        if one["type"] != "Held" and bad and news and one["reason"] not in _QUIET:
            found.append(Event(one["reason"], one["message"], warning=True))
    return tuple(found)


_QUIET: Final = ("CapacityHeldBack", "Deleting", "EtcdUnreachable")
"""What is no trouble, or has an event of its own."""


# --- what is not served ----------------------------------------------------------------------------------------------


def _orphan(situation: Situation) -> Plan:
    """Nobody declares this lock any more.

    Only a key that an operator of this cluster wrote for a resource is taken away: one written by hand, left by
    `deletionPolicy: Orphan` or declared in another cluster has other owners.
    """
    labels = tuple(LabelPod(*pod, on=False) for pod in sorted(situation.labelled))
    if not (situation.active and situation.store.reachable):
        return Plan(memory=situation.memory)
    stored = situation.stored.spec
    ours = (
        stored is not None and stored.spec is not None and stored.spec.uid and stored.spec.cluster == situation.cluster
    )
    step = deletion.sweep(situation) if ours else None
    if step is None:
        return Plan(labels=labels)
    return Plan(writes=step.writes, labels=labels, again_in=step.again_in, memory=step.memory)


def refused(lock: Lock, situation: Situation) -> str | None:
    """Why this lock is not served, in a sentence; None if it is."""
    if lock.name == situation.own:
        return f"the name {lock.name} is taken: the operator's own replicas elect with it; choose another name"
    stored = situation.stored.spec
    if stored and stored.spec and stored.spec.cluster not in ("", situation.cluster):
        return (
            "its keys in etcd are declared by another cluster (its UID stands in the spec key): give this operator "
            "another --root, or this lock another name"
        )
    return None


def _refuse(lock: Lock, situation: Situation, sentence: str) -> Plan:
    memory = replace(noticed(situation), tokens=None)
    kept = tuple(one for one in lock.finalizers if one != FINALIZER)
    if lock.deleting:
        return Plan(finalizers=kept if FINALIZER in lock.finalizers else None, memory=memory)
    now = stamp(situation.wall)
    judged = [Condition("Ready", FALSE, "KeyCollision", sentence), Condition("Held", UNKNOWN, "NotDeclared", sentence)]
    status = {
        "observedGeneration": lock.generation,
        "conditions": conditions(judged, lock.status, lock.generation, now),
    }
    changed = None if status == dict(lock.status) else status
    return Plan(status=changed, events=_warnings(lock, changed), memory=memory)


def _away(lock: Lock, situation: Situation) -> Plan:
    """etcd is away: what was so is left standing, with a word that it may be so no longer."""
    memory = situation.memory
    if lock.deleting and lock.force_delete and FINALIZER in lock.finalizers:
        return Plan(finalizers=tuple(one for one in lock.finalizers if one != FINALIZER), memory=memory)
    left = situation.store.since + PATIENCE - situation.now
    if left > 0:
        return Plan(again_in=left, memory=memory)
    text = _AWAY_DELETING if lock.deleting else _AWAY
    judged = [Condition("Ready", FALSE, "EtcdUnreachable", text), Condition("Held", UNKNOWN, "EtcdUnreachable", _AWAY)]
    status = dict(lock.status)
    others = [one for one in status.get("conditions") or () if one.get("type") not in ("Ready", "Held")]
    status["conditions"] = conditions(judged, lock.status, lock.generation, stamp(situation.wall)) + others
    if status == dict(lock.status):
        return Plan(memory=memory)
    known = condition(lock.status, "Held").get("reason") == "EtcdUnreachable"
    events = () if known else (Event("EtcdUnavailable", _AWAY, warning=True),)
    return Plan(status=status, events=events, memory=memory)


_AWAY: Final = "the operator cannot reach etcd, so it does not know who holds the lock; the sidecars go on without it"
_AWAY_DELETING: Final = (
    "the operator cannot reach etcd, so the lock cannot be released; it goes when etcd is back, or at once, leaving "
    "its keys in etcd, with kubectl annotate lock NAME leasehold.dev/force-delete=true"
)
