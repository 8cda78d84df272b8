"""How a lock goes, step by step; each look does the next. Pure.

`Release` (and an orphan: a spec key whose resource is gone): the spec key first says `suspend` and `deleting`, so that
the holders hand over, and nobody holds anew. It is deleted when none of those who held then is left, or when a lease
duration has passed since this was first seen: after a start of the operator that begins anew. `Orphan`: the spec key
stays, without its resource's UID, so that it counts as written by hand and no sweep takes it for an orphan, and without
the preferred group, which nobody would keep up to date; a release that was under way is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leasehold.operator.plan.declaration import lease_duration, released
from leasehold.operator.plan.holders import tokens_before
from leasehold.operator.plan.orders import DeleteSpec, PutSpec
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.situation import Memory, Situation


@dataclass(frozen=True, slots=True)
class Step:
    """What to write now; `done` when nothing is left to do after that."""

    writes: tuple[PutSpec | DeleteSpec, ...]
    done: bool
    again_in: float | None
    memory: Memory


def next_step(lock: Lock, situation: Situation, memory: Memory) -> Step:
    """The next step of a resource that is to be deleted."""
    stored = situation.stored.spec
    if stored is None:
        return Step((), True, None, memory)
    if lock.spec.deletion_policy == "Orphan":
        if stored.spec is None or not stored.spec.uid:
            return Step((), True, None, memory)
        suspend = lock.spec.suspend if stored.spec.deleting else stored.spec.suspend
        freed = replace(
            stored.spec, uid="", cluster="", generation=0, preferred_group="", deleting=False, suspend=suspend
        )
        return Step((PutSpec(freed.encode(), stored.mod_revision),), True, None, memory)
    if stored.spec is None or not stored.spec.deleting:
        spec = released(lock.uid, situation)
        return Step((PutSpec(spec.encode(), stored.mod_revision),), False, None, replace(memory, releasing=None))
    return _await_release(situation, memory)


def sweep(situation: Situation) -> Step:
    """The next step of an orphan."""
    stored = situation.stored.spec
    assert stored is not None, "an orphan is a spec key"
    assert stored.spec is not None, "one that can be read"
    if not stored.spec.deleting:
        spec = released(stored.spec.uid, situation)
        return Step(
            (PutSpec(spec.encode(), stored.mod_revision),), False, None, replace(situation.memory, releasing=None)
        )
    return _await_release(situation, situation.memory)


def _await_release(situation: Situation, memory: Memory) -> Step:
    stored = situation.stored.spec
    assert stored is not None, "only what is declared can be released"
    if memory.releasing is None:
        memory = replace(memory, releasing=_who_may_hold(situation), releasing_since=situation.now)
    here = {one.create_revision for one in situation.stored.queue}
    left = memory.releasing_since + lease_duration(situation) - situation.now
    if left > 0 and here & (memory.releasing or frozenset()):
        return Step((), False, left, memory)
    return Step((DeleteSpec(stored.mod_revision),), True, None, memory)


def _who_may_hold(situation: Situation) -> frozenset[int]:
    """Those of ours who held, as far as that is known; else those first in the queue before the spec said `suspend`.

    Whoever is not ours never obeys.
    """
    stored = situation.stored.spec
    capacity = stored.spec.capacity if stored and stored.spec else 1
    before = frozenset(tokens_before(situation))
    unknown = situation.lock is None and situation.memory.tokens is None
    return frozenset(
        one.create_revision
        for one in situation.stored.queue[:capacity]
        if stored is not None and one.create_revision < stored.mod_revision and not one.record.foreign
        if unknown or one.create_revision in before
    )
