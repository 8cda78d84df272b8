"""The operator's decisions: of one lock, what is to be written, given all that is known of it. Pure.

Level-triggered: a plan depends on what is observed and on little that is remembered, so one that was carried out in
part, or by another replica, is completed by the next. With nothing to do it is empty: that is the fixed point.

    no such resource           its spec key goes, if it is one of ours (an orphan); labels are taken off
    etcd cannot be reached     the status says so, after a moment; any replica may write that: `outage.py`
    not the active replica     nothing
    refused                    a name or key that is somebody else's: the status says so, etcd is not touched
    to be deleted              `deletion.py`
    otherwise                  finalizer, spec key, evictions, labels, status, events

Evicted is whoever stands under `revokeUpToToken`, holder or waiter, ours or not (a waiter would hold next, and be
evicted then), and with `releaseWhenPodEnds` those of ours whose pod has ended for sure. No other key of a queue is
touched. When the tokens that a resource names are heeded: `asked.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.operator.plan import deletion
from leasehold.operator.plan.conditions import judge
from leasehold.operator.plan.declaration import noticed, wanted
from leasehold.operator.plan.etcd_unreachable import away
from leasehold.operator.plan.holders import (
    Holding,
    changes,
    holding,
    learned,
    remembering,
    tokens_before,
)
from leasehold.operator.plan.orders import Evict, PutSpec
from leasehold.operator.plan.resource import FINALIZER, Lock
from leasehold.operator.plan.situation import Event, LabelPod, Memory, ReconcilePlan, Situation
from leasehold.operator.plan.status import FALSE, UNKNOWN, Condition, condition, conditions, holders, stamp
from leasehold.operator.plan.token_limits import highest_asked, in_force, is_rolled_back

__all__ = ["Event", "LabelPod", "Memory", "ReconcilePlan", "Situation", "plan"]

AHEAD: Final = 2.0
"""Seconds until a token that nobody has yet is looked at again: the mirror may merely have been behind."""


def plan(situation: Situation) -> ReconcilePlan:
    """What is to be done about this lock now."""
    if (lock := situation.lock) is None:
        return _orphan(situation)
    situation = replace(situation, memory=_of(lock, situation.memory))
    if lock.deleting and lock.force_delete:
        return _let_go(lock, situation)
    if not situation.store.reachable:
        return away(lock, situation)
    if not situation.active:
        return ReconcilePlan(memory=remembering(situation, noticed(situation)))
    if (refusal := refused(lock, situation)) is not None:
        return _refuse(lock, situation, refusal)
    return _serve(lock, situation)


def _of(lock: Lock, memory: Memory) -> Memory:
    """What is remembered of this resource; of another one that had its name, only what concerns etcd counts."""
    if memory.uid == lock.uid:
        return memory
    if not memory.uid:
        return replace(memory, uid=lock.uid)
    return Memory(uid=lock.uid, capacity=memory.capacity, raise_from=memory.raise_from, longest=memory.longest)


# --- the usual -------------------------------------------------------------------------------------------------------


def _serve(lock: Lock, situation: Situation) -> ReconcilePlan:
    before = tokens_before(situation)
    now = holding(situation.stored, before)
    memory = learned(noticed(situation), situation, now)
    evictions = _evictions(lock, situation)
    evicted = memory.evicted | {one.entry.create_revision for one in evictions}
    memory = replace(memory, evicted=evicted, rolled_back=is_rolled_back(lock, situation), outage=None)
    events = changes(situation, before, now)
    if lock.deleting:
        return _leave(lock, situation, memory, now, events, evictions)
    return _keep(lock, situation, memory, now, events, evictions)


def _keep(
    lock: Lock,
    situation: Situation,
    memory: Memory,
    now: Holding,
    events: tuple[Event, ...],
    evictions: tuple[Evict, ...],
) -> ReconcilePlan:
    """A lock that stays."""
    writes, again, pending = _spec_writes(lock, situation, memory)
    judged = judge(lock, situation, now, pending=pending, rolled_back=memory.rolled_back)
    warnings, memory = _warnings(lock, judged, memory)
    return ReconcilePlan(
        writes=(*writes, *evictions),
        finalizers=None if FINALIZER in lock.finalizers else (*lock.finalizers, FINALIZER),
        status=_status(lock, situation, memory, now, judged),
        events=(*events, *warnings),
        labels=_labels(lock, situation, now),
        again_in=again,
        memory=memory,
    )


def _spec_writes(lock: Lock, situation: Situation, memory: Memory) -> tuple[tuple[PutSpec, ...], float | None, str]:
    """The write that declares the lock, if it is needed; when more can be declared; why it is not as it should be."""
    stored = situation.stored.spec
    if lock.mistakes:
        return (), None, ""
    asked = in_force(lock, situation, lock.spec.handover_up_to_token)
    spec = wanted(lock, situation, memory, handover_up_to=asked)
    held_back = spec.capacity < lock.spec.capacity
    again = max(0.0, memory.raise_from - situation.now) if held_back else None
    if again is None and _may_be_behind(lock, situation, memory):
        again = AHEAD
    value = spec.encode()
    if stored is not None and stored.value == value:
        return (), again, "CapacityHeldBack" if held_back else ""
    return (PutSpec(value, stored.mod_revision if stored else 0),), again, "Declaring"


def _may_be_behind(lock: Lock, situation: Situation, memory: Memory) -> bool:
    """Whether the mirror may not have come to the tokens of this resource yet: once, not for a slip of the finger."""
    is_ahead = highest_asked(lock) > situation.store.revision
    return is_ahead and not memory.rolled_back and "TokenAhead" not in memory.told


def _evictions(lock: Lock, situation: Situation) -> tuple[Evict, ...]:
    if lock.deleting and (lock.spec.deletion_policy == "Orphan" or FINALIZER not in lock.finalizers):
        return ()  # nothing of it is ours any more
    revoked = in_force(lock, situation, lock.spec.revoke_up_to_token)
    found = []
    for entry in reversed(situation.stored.queue):  # or one that is to go would hold for a moment
        record = entry.record
        if entry.create_revision <= revoked:
            found.append(Evict(entry, f"spec.revokeUpToToken is {revoked}"))
        elif lock.spec.release_when_pod_ends and not record.foreign and record.pod_uid in situation.ended_pods:
            found.append(Evict(entry, f"its pod {record.pod} has ended"))
    return tuple(found)


def _leave(
    lock: Lock,
    situation: Situation,
    memory: Memory,
    now: Holding,
    events: tuple[Event, ...],
    evictions: tuple[Evict, ...],
) -> ReconcilePlan:
    """A resource that is to be deleted: nothing but its going."""
    if FINALIZER not in lock.finalizers:
        return ReconcilePlan(memory=memory, labels=_labels(lock, situation, now))
    step = deletion.next_step(lock, situation, memory)
    judged = judge(lock, situation, now, pending="", rolled_back=memory.rolled_back)
    status = None if step.done else _status(lock, situation, step.memory, now, judged)
    return ReconcilePlan(
        writes=(*step.writes, *evictions),
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
        if not one.record.foreign and one.record.pod_namespace == lock.name.namespace and _is_pod(one.record)
    }
    right = chosen if lock.spec.pod_label and not lock.deleting else set()
    on = [LabelPod(*pod, on=True) for pod in sorted(right - situation.labelled)]
    return (*(LabelPod(*pod, on=False) for pod in sorted(situation.labelled - right)), *on)


def _is_pod(record: Record) -> bool:
    """Whether a pod can be of that name: it goes into the path of a request."""
    try:
        LockName(record.pod_namespace, record.pod)
    except ValueError:
        return False
    return bool(record.pod_uid)


def _status(
    lock: Lock, situation: Situation, memory: Memory, now: Holding, judged: Sequence[Condition]
) -> dict[str, Any] | None:
    """The whole status; None where it stands already."""
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
    found["conditions"] = conditions(judged, lock.status, lock.generation, stamp(situation.wall))
    return None if found == dict(lock.status) else found


def _warnings(lock: Lock, judged: Sequence[Condition], memory: Memory) -> tuple[tuple[Event, ...], Memory]:
    """An event for each trouble that has just begun, once; what the status tells of already is no news."""
    bad = [one for one in judged if one.is_trouble() and one.reason not in _QUIET]
    old = memory.told | {str(condition(lock.status, one.type).get("reason")) for one in bad}
    news = tuple(Event(one.reason, one.message, warning=True) for one in bad if one.reason not in old)
    return news, replace(memory, told=frozenset(one.reason for one in bad))


_QUIET: Final = ("Declaring", "CapacityHeldBack", "Deleting")
"""What passes by itself."""


# --- what is not served ----------------------------------------------------------------------------------------------


def _orphan(situation: Situation) -> ReconcilePlan:
    """Nobody declares this lock any more.

    Only a key that an operator of this cluster wrote for a resource is taken away: one written by hand, left by
    `deletionPolicy: Orphan` or declared in another cluster has other owners.
    """
    labels = tuple(LabelPod(*pod, on=False) for pod in sorted(situation.labelled))
    if not (situation.active and situation.store.reachable):
        return ReconcilePlan(memory=situation.memory)
    stored = situation.stored.spec
    ours = (
        stored is not None and stored.spec is not None and stored.spec.uid and stored.spec.cluster == situation.cluster
    )
    step = deletion.sweep(situation) if ours else None
    if step is None:
        return ReconcilePlan(labels=labels)
    return ReconcilePlan(writes=step.writes, labels=labels, again_in=step.again_in, memory=step.memory)


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


def _refuse(lock: Lock, situation: Situation, sentence: str) -> ReconcilePlan:
    memory = remembering(situation, noticed(situation))
    labels = tuple(LabelPod(*pod, on=False) for pod in sorted(situation.labelled))
    if lock.deleting:
        return replace(_let_go(lock, situation), labels=labels, memory=memory)
    judged = [Condition("Ready", FALSE, "KeyCollision", sentence), Condition("Held", UNKNOWN, "NotDeclared", sentence)]
    warnings, memory = _warnings(lock, judged, memory)
    status = {
        "observedGeneration": lock.generation,
        "conditions": conditions(judged, lock.status, lock.generation, stamp(situation.wall)),
    }
    return ReconcilePlan(
        status=None if status == dict(lock.status) else status, events=warnings, labels=labels, memory=memory
    )


def _let_go(lock: Lock, situation: Situation) -> ReconcilePlan:
    """The resource may go at once, whatever is in etcd: a spec key that is left behind is swept as an orphan."""
    kept = tuple(one for one in lock.finalizers if one != FINALIZER)
    return ReconcilePlan(finalizers=kept if FINALIZER in lock.finalizers else None, memory=situation.memory)
