"""What a lock's spec key ought to hold. Pure.

A capacity that fell must not rise again within a lease duration: a sidecar that has not heard of the fall yet would
count with the old one, another with the new (the election's first guarantee counts with the largest capacity of the
last TTL). So a higher one waits; and where it is not known when it last fell, as after a start of the operator, or when
another replica may have written since, it waits a lease duration from the first look. A spec key that is gone is a fall
too: to 1, as of an undeclared lock.
"""

from __future__ import annotations

from dataclasses import replace

from leasehold.lock.spec import DEFAULT_TTL, Spec
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.situation import Memory, Situation


def lease_duration(situation: Situation) -> int:
    """The longest lease, in seconds, that a candidate may stand with: it keeps the one that it joined with."""
    stored = situation.stored.spec
    declared = stored.spec.ttl if stored and stored.spec else None
    asked = situation.lock.spec.lease_duration if situation.lock else DEFAULT_TTL
    remembered = situation.memory.longest if situation.stored.queue else 0
    return max(asked, declared or 0, remembered)


def noticed(situation: Situation) -> Memory:
    """The memory with what this look says of the capacity in force."""
    memory, stored = situation.memory, situation.stored.spec
    capacity = stored.spec.capacity if stored and stored.spec else None
    if capacity is None and _was_declared(situation):
        capacity = 1
    fell = memory.capacity is not None and (capacity or 1) < memory.capacity
    unknown = memory.tokens is None and capacity is not None
    longest = lease_duration(situation)
    raise_from = situation.now + longest if fell or unknown else memory.raise_from
    return replace(memory, capacity=capacity, raise_from=raise_from, longest=longest)


def _was_declared(situation: Situation) -> bool:
    status = situation.lock.status if situation.lock else {}
    return situation.memory.capacity is not None or "observedGeneration" in status


def wanted(lock: Lock, situation: Situation, memory: Memory, *, handover_up_to: int) -> Spec:
    """The spec to be declared now; `memory` is the one after `noticed`."""
    spec = lock.spec
    capacity = spec.capacity
    if memory.capacity is not None and capacity > memory.capacity and situation.now < memory.raise_from:
        capacity = memory.capacity
    return Spec(
        ttl=spec.lease_duration,
        capacity=capacity,
        suspend=spec.suspend,
        preferred_holder=spec.preferred_holder,
        preferred_group=situation.preferred_group,
        handover_up_to_token=handover_up_to,
        uid=lock.uid,
        generation=lock.generation,
        cluster=situation.cluster,
    )


def released(uid: str, situation: Situation) -> Spec:
    """The spec of a lock that is going: nobody may hold it any more."""
    stored = situation.stored.spec
    base = stored.spec if stored and stored.spec else Spec()
    return replace(base, suspend=True, deleting=True, uid=uid, cluster=situation.cluster)
