"""The operator's decisions: from all that is known of one lock, what to write. Pure.

`gather` computes the facts once, then the first rule that applies makes the plan:

    the resource is gone       delete its spec key if it is ours (an orphan), and take labels off
    force_delete               remove the finalizer, whatever is in etcd
    etcd_unreachable           say so in the status after a while; any replica may do that
    standby                    do nothing: this replica is not the active one
    refuse                     another owner has this name or key: say so in the status, leave etcd alone
    delete                     release the lock step by step, see `deletion`
    serve                      finalizer, spec key, evictions, labels, status, events

Level-triggered: a plan depends on what is observed and on little that is remembered. If a plan was carried out only in
part, or by another replica, the next one completes it. If nothing is left to do, the plan is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from leasehold.lock.keys import Keys
from leasehold.operator.plan.absent import look_again_in, nobody_since, render_absent
from leasehold.operator.plan.conditions import evaluate, stalled
from leasehold.operator.plan.declaration import declare, note_declared
from leasehold.operator.plan.deletion import deletion_step, sweep_step
from leasehold.operator.plan.etcd_unreachable import report_unreachable
from leasehold.operator.plan.evictions import evictions
from leasehold.operator.plan.facts import Facts, gather
from leasehold.operator.plan.history import remember_terms
from leasehold.operator.plan.holders import holder_events, remember_holders, standby_memory
from leasehold.operator.plan.labels import label_changes, remove_labels
from leasehold.operator.plan.model import Event, Evict, Memory, ReconcilePlan, Situation
from leasehold.operator.plan.resource import FINALIZER, Lock
from leasehold.operator.plan.status import FALSE, UNKNOWN, Condition, render_conditions, render_holders, render_waiters
from leasehold.operator.plan.suspension import suspension_events

TRANSIENT_REASONS: Final = ("Declaring", "CapacityHeldBack", "Deleting")
"""Reasons that need no event: they pass without anybody's help."""


def plan(situation: Situation) -> ReconcilePlan:
    """What to do about this lock now."""
    facts = gather(situation)
    if facts.situation.lock is None:
        return _sweep(facts)
    for rule in RULES:
        if (decision := rule(facts.situation.lock, facts)) is not None:
            return decision
    raise AssertionError("the last rule applies to every lock")


# --- the rules, in this order ---------------------------------------------------------------------------------------


def _force_delete(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    """Let the resource go at once. A spec key that stays behind is swept later, as an orphan."""
    return _without_finalizer(lock, facts) if lock.deleting and lock.force_delete else None


def _etcd_unreachable(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    return None if facts.situation.etcd.reachable else report_unreachable(lock, facts)


def _standby(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    if facts.situation.active:
        return None
    return ReconcilePlan(memory=standby_memory(facts, note_declared(facts)))


def _refuse(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    """Serve no lock whose name or key belongs to somebody else."""
    if not (refusal := _refusal(lock, facts)):
        return None
    memory = standby_memory(facts, note_declared(facts))
    if lock.deleting:
        return replace(_without_finalizer(lock, facts), labels=remove_labels(facts), memory=memory)
    ready = Condition("Ready", FALSE, "KeyCollision", refusal)
    conditions = [ready, Condition("Held", UNKNOWN, "NotDeclared", refusal), *stalled(ready)]
    status = {
        "observedGeneration": lock.generation,
        "conditions": render_conditions(conditions, facts.recorded, lock.generation, facts.timestamp),
    }
    return ReconcilePlan(
        status=_if_changed(status, facts),
        events=_warnings(conditions, facts, memory),
        labels=remove_labels(facts),
        memory=_reported(conditions, memory),
    )


def _delete(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    """A resource that is being deleted: release the lock in etcd, then remove the finalizer."""
    if not lock.deleting:
        return None
    evicted = evictions(lock, facts)
    memory = _next_memory(facts, evicted)
    if FINALIZER not in lock.finalizers:
        return ReconcilePlan(memory=memory, labels=label_changes(lock, facts))
    step = deletion_step(lock, facts, memory)
    status = None if step.done else _status(lock, facts, step.memory, evaluate(lock, facts, pending=""))
    return ReconcilePlan(
        writes=(*step.writes, *evicted),
        finalizers=_other_finalizers(lock) if step.done else None,
        status=status,
        events=holder_events(facts),
        labels=label_changes(lock, facts),
        again_in=step.again_in,
        memory=step.memory,
    )


def _serve(lock: Lock, facts: Facts) -> ReconcilePlan | None:
    """The usual case: a lock that stays. Applies to every lock."""
    evicted = evictions(lock, facts)
    memory = _next_memory(facts, evicted)
    declaration = declare(lock, facts, memory)
    conditions = evaluate(lock, facts, declaration.pending)
    return ReconcilePlan(
        writes=(*declaration.writes, *evicted),
        finalizers=None if FINALIZER in lock.finalizers else (*lock.finalizers, FINALIZER),
        status=_status(lock, facts, memory, conditions),
        events=(*suspension_events(lock, facts), *holder_events(facts), *_warnings(conditions, facts, memory)),
        labels=label_changes(lock, facts),
        again_in=_sooner(declaration.again_in, look_again_in(facts)),
        memory=_reported(conditions, memory),
    )


Rule = Callable[[Lock, Facts], ReconcilePlan | None]
"""A rule returns None if it does not apply."""
RULES: Final[tuple[Rule, ...]] = (_force_delete, _etcd_unreachable, _standby, _refuse, _delete, _serve)


# --- pieces of several rules ----------------------------------------------------------------------------------------


def _next_memory(facts: Facts, evicted: Sequence[Evict]) -> Memory:
    memory = remember_terms(remember_holders(note_declared(facts), facts), facts)
    tokens = memory.evicted | {one.entry.create_revision for one in evicted}
    return replace(
        memory,
        evicted=tokens,
        rolled_back=facts.rolled_back,
        reported_outage=None,
        nobody_since=nobody_since(facts),
    )


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((delay for delay in (one, other) if delay is not None), default=None)


def _status(lock: Lock, facts: Facts, memory: Memory, conditions: Sequence[Condition]) -> dict[str, Any] | None:
    holding = facts.holding
    status: dict[str, Any] = {
        "observedGeneration": lock.generation,
        "key": Keys(lock.name, facts.situation.root).prefix,
        "holderCount": len(holding.holders),
        "waiterCount": len(holding.waiters),
        "transitionCount": memory.transitions,
        "holders": render_holders(holding.holders, memory.first_seen),
        "waiters": render_waiters(holding.waiters),
        "absentCount": len(facts.situation.absent),
        "absent": render_absent(facts.situation.absent, facts.recorded, facts.timestamp),
        "recentTerms": [dict(term) for term in memory.terms],
    }
    if holding.holders:
        status["holderIdentity"] = holding.holders[0].record.identity
        status["acquireTime"] = memory.first_seen[holding.tokens[0]]
    if memory.token_on_record:
        status["fencingToken"] = memory.token_on_record
    status["conditions"] = render_conditions(conditions, facts.recorded, lock.generation, facts.timestamp)
    return _if_changed(status, facts)


def _if_changed(status: dict[str, Any], facts: Facts) -> dict[str, Any] | None:
    return None if status == dict(facts.recorded.fields) else status


def _warnings(conditions: Sequence[Condition], facts: Facts, memory: Memory) -> tuple[Event, ...]:
    """An event for each problem that has just begun. The status reports the others already."""
    problems = [one for one in conditions if _is_problem(one)]
    known = memory.reported | {str(facts.recorded.condition(one.type).get("reason")) for one in problems}
    return tuple(Event(one.reason, one.message, warning=True) for one in problems if one.reason not in known)


def _reported(conditions: Sequence[Condition], memory: Memory) -> Memory:
    return replace(memory, reported=frozenset(one.reason for one in conditions if _is_problem(one)))


def _is_problem(condition: Condition) -> bool:
    return condition.needs_attention() and condition.reason not in TRANSIENT_REASONS


def _without_finalizer(lock: Lock, facts: Facts) -> ReconcilePlan:
    finalizers = _other_finalizers(lock) if FINALIZER in lock.finalizers else None
    return ReconcilePlan(finalizers=finalizers, memory=facts.situation.memory)


def _other_finalizers(lock: Lock) -> tuple[str, ...]:
    return tuple(one for one in lock.finalizers if one != FINALIZER)


def _refusal(lock: Lock, facts: Facts) -> str:
    """Why this lock is not served, in a sentence; "" if it is."""
    if lock.name == facts.situation.own_lock:
        return f"the name {lock.name} is taken: the operator's replicas use it for their election; choose another name"
    if facts.declared and facts.declared.cluster not in ("", facts.situation.cluster):
        return (
            "another cluster declares its keys in etcd (the spec key has that cluster's UID): give this operator "
            "another --root, or this lock another name"
        )
    return ""


def _sweep(facts: Facts) -> ReconcilePlan:
    """The resource is gone.

    Delete its spec key only if an operator of this cluster wrote it for a resource. A key that was written by hand,
    left by `deletionPolicy: Orphan` or declared in another cluster belongs to somebody else.
    """
    situation, declared = facts.situation, facts.declared
    if not (situation.active and situation.etcd.reachable):
        return ReconcilePlan(memory=situation.memory)
    if declared is None or not declared.uid or declared.cluster != situation.cluster:
        return ReconcilePlan(labels=remove_labels(facts))
    step = sweep_step(facts)
    return ReconcilePlan(writes=step.writes, labels=remove_labels(facts), again_in=step.again_in, memory=step.memory)
