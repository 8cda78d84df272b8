"""What a lock's spec key should contain. Pure.

A capacity that was lowered must not rise again within a lease duration. Otherwise one sidecar, which has not heard of
the lower one yet, would count with the old capacity and another with the new one. (The election's first guarantee uses
the largest capacity of the last TTL.) So a higher capacity waits. It also waits for a lease duration from the first
reconcile if it is unknown when the capacity was last lowered: after the operator started, or when another replica may
have written since. A deleted spec key counts as a lowered capacity too: an undeclared lock has capacity 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from leasehold.lock.spec import Spec
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import Memory, PutSpec
from leasehold.operator.plan.resource import Lock

TOKEN_RECHECK_SECONDS: Final = 2.0
"""A token limit above etcd's revision is checked again after this time: the mirror may only have been behind."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The writes that declare the lock, and when to declare again.

    `pending` is the reason why the spec key is not yet as the resource asks; "" if it is.
    """

    writes: tuple[PutSpec, ...] = ()
    again_in: float | None = None
    pending: str = ""


def note_declared(facts: Facts) -> Memory:
    """The memory, updated with the capacity that is declared now, and with what the resource asks for."""
    situation, memory = facts.situation, facts.situation.memory
    capacity = facts.declared.capacity if facts.declared else None
    if capacity is None and _was_declared(facts):
        capacity = 1
    was_lowered = memory.capacity is not None and (capacity or 1) < memory.capacity
    is_unknown = memory.tokens is None and capacity is not None
    raise_from = situation.now + facts.longest_lease if was_lowered or is_unknown else memory.raise_from
    return replace(
        memory,
        capacity=capacity,
        raise_from=raise_from,
        longest_lease=facts.longest_lease,
        limits=facts.limits,
        suspended=_suspended(facts),
    )


def _suspended(facts: Facts) -> bool | None:
    lock, memory = facts.situation.lock, facts.situation.memory
    return memory.suspended if lock is None or lock.mistakes else lock.spec.suspend


def _was_declared(facts: Facts) -> bool:
    return facts.situation.memory.capacity is not None or "observedGeneration" in facts.recorded.fields


def declare(lock: Lock, facts: Facts, memory: Memory) -> Declaration:
    """How to declare the lock. `memory` is the result of `note_declared`."""
    if lock.mistakes:
        return Declaration()
    stored, spec = facts.situation.stored.spec, _desired_spec(lock, facts, memory)
    is_held_back = spec.capacity < lock.spec.capacity
    again_in = max(0.0, memory.raise_from - facts.situation.now) if is_held_back else None
    if again_in is None and _may_be_behind(facts, memory):
        again_in = TOKEN_RECHECK_SECONDS
    value = spec.encode()
    if stored is not None and stored.value == value:
        return Declaration((), again_in, "CapacityHeldBack" if is_held_back else "")
    return Declaration((PutSpec(value, stored.mod_revision if stored else 0),), again_in, "Declaring")


def _may_be_behind(facts: Facts, memory: Memory) -> bool:
    """Whether the mirror may not have reached the limits' tokens yet. Checked once: a typing mistake stays ahead."""
    return facts.limits_ahead and not facts.rolled_back and "TokenAhead" not in memory.reported


def _desired_spec(lock: Lock, facts: Facts, memory: Memory) -> Spec:
    spec, situation = lock.spec, facts.situation
    capacity = spec.capacity
    if memory.capacity is not None and capacity > memory.capacity and situation.now < memory.raise_from:
        capacity = memory.capacity
    return Spec(
        ttl=spec.lease_duration,
        capacity=capacity,
        suspend=spec.suspend,
        preferred_holder=spec.preferred_holder,
        preferred_group=situation.preferred_group,
        handover_up_to_token=facts.limits.handover,
        uid=lock.uid,
        generation=lock.generation,
        cluster=situation.cluster,
    )


def releasing_spec(uid: str, facts: Facts) -> Spec:
    """The spec of a lock that is being released: nobody may hold it any more."""
    base = facts.declared or Spec()
    return replace(base, suspend=True, deleting=True, uid=uid, cluster=facts.situation.cluster)
