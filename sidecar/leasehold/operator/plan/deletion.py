"""How a lock is deleted. Each reconcile does the next step. Pure.

`deletionPolicy: Release`, and an orphan, which is a spec key whose resource is gone: first the spec key says `suspend`
and `deleting`, so that holders hand over and nobody becomes a holder. The key is deleted once all who held then are
gone, or a lease duration after this was first seen. After a restart of the operator that time starts again.

`deletionPolicy: Orphan`: the spec key stays, but without the resource's UID, so it counts as written by hand and is not
swept as an orphan. It also loses the preferred group, which nobody would update. A release in progress is undone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leasehold.operator.plan.declaration import releasing_spec
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import DeleteSpec, Memory, PutSpec
from leasehold.operator.plan.resource import Lock


@dataclass(frozen=True, slots=True)
class DeletionStep:
    """What to write now. `done`: nothing is left to do after that. `again_in` is in seconds."""

    writes: tuple[PutSpec | DeleteSpec, ...]
    done: bool
    again_in: float | None
    memory: Memory


def deletion_step(lock: Lock, facts: Facts, memory: Memory) -> DeletionStep:
    """The next step for a resource that is being deleted."""
    if facts.situation.stored.spec is None:
        return DeletionStep((), True, None, memory)
    if lock.spec.deletion_policy == "Orphan":
        return _disown(lock, facts, memory)
    return _release(lock.uid, facts, memory)


def sweep_step(facts: Facts) -> DeletionStep:
    """The next step for an orphan. Its spec key exists and can be decoded."""
    assert facts.declared is not None, "an orphan is a spec key that can be decoded"
    return _release(facts.declared.uid, facts, facts.situation.memory)


def _disown(lock: Lock, facts: Facts, memory: Memory) -> DeletionStep:
    stored, spec = facts.situation.stored.spec, facts.declared
    if stored is None or spec is None or not spec.uid:
        return DeletionStep((), True, None, memory)
    suspend = lock.spec.suspend if spec.deleting else spec.suspend
    freed = replace(spec, uid="", cluster="", generation=0, preferred_group="", deleting=False, suspend=suspend)
    return DeletionStep((PutSpec(freed.encode(), stored.mod_revision),), True, None, memory)


def _release(uid: str, facts: Facts, memory: Memory) -> DeletionStep:
    stored = facts.situation.stored.spec
    assert stored is not None, "only a declared lock can be released"
    if facts.declared is None or not facts.declared.deleting:
        put = PutSpec(releasing_spec(uid, facts).encode(), stored.mod_revision)
        return DeletionStep((put,), False, None, replace(memory, releasing=None))
    if memory.releasing is None:
        memory = replace(memory, releasing=_possible_holders(facts), releasing_since=facts.situation.now)
    return _await_release(facts, memory, DeleteSpec(stored.mod_revision))


def _await_release(facts: Facts, memory: Memory, delete: DeleteSpec) -> DeletionStep:
    present = {one.create_revision for one in facts.situation.stored.queue}
    left = memory.releasing_since + facts.longest_lease - facts.situation.now
    if left > 0 and present & (memory.releasing or frozenset()):
        return DeletionStep((), False, left, memory)
    return DeletionStep((delete,), True, None, memory)


def _possible_holders(facts: Facts) -> frozenset[int]:
    """The tokens to wait for: those of previous holders that joined before the spec said `suspend`.

    If previous holders are unknown, the first of the queue are taken. Foreign candidates never obey, so they are not
    waited for.
    """
    situation, stored = facts.situation, facts.situation.stored.spec
    capacity = facts.declared.capacity if facts.declared else 1
    is_unknown = situation.lock is None and situation.memory.tokens is None
    return frozenset(
        one.create_revision
        for one in situation.stored.queue[:capacity]
        if stored is not None and one.create_revision < stored.mod_revision and not one.record.foreign
        if is_unknown or one.create_revision in facts.previous_tokens
    )
