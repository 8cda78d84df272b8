"""The conditions of a Lock that is served: Ready, Held, Degraded. Pure.

Degraded has one reason at a time, the most urgent. That somebody holds who is not of Leasehold (`etcdctl elect`, a Go
program) is told there, since such a holder knows nothing of suspension, preference or a lowered capacity.
"""

from __future__ import annotations

from typing import Final

from leasehold.operator.plan.holders import Holding
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.situation import Situation
from leasehold.operator.plan.status import FALSE, TRUE, Condition
from leasehold.operator.plan.token_limits import highest_asked


def judge(
    lock: Lock, situation: Situation, now: Holding, *, pending: str, rolled_back: bool
) -> tuple[Condition, Condition, Condition]:
    """All three; `pending`: why the spec key is not yet as it should be, as a reason, or ""."""
    return _ready(lock, pending), _held(situation, now), _degraded(lock, situation, now, rolled_back)


def _ready(lock: Lock, pending: str) -> Condition:
    if lock.deleting:
        text = "the lock is being released, and goes when nobody holds it or its lease duration has passed"
        return Condition("Ready", FALSE, "Deleting", text)
    if lock.mistakes:
        text = "; ".join(lock.mistakes) + "; until then the lock stays as it was declared before"
        return Condition("Ready", FALSE, "InvalidSpec", text)
    if pending:
        return Condition("Ready", FALSE, pending, _PENDING[pending])
    return Condition("Ready", TRUE, "Declared", "the lock is declared in etcd, and this status follows it")


_PENDING: Final = {
    "Declaring": "what this resource wants is not in etcd yet: its spec key is being written",
    "CapacityHeldBack": "the capacity was lowered less than a lease duration ago: it is raised when that has passed",
}


def _held(situation: Situation, now: Holding) -> Condition:
    if now.holders:
        return Condition("Held", TRUE, "Held", "somebody holds the lock")
    stored = situation.stored.spec
    if stored and stored.spec and stored.spec.suspend:
        return Condition("Held", FALSE, "Suspended", "the lock is suspended: nobody may hold it")
    return Condition("Held", FALSE, "Vacant", "nobody holds the lock")


def _degraded(lock: Lock, situation: Situation, now: Holding, rolled_back: bool) -> Condition:
    if rolled_back:
        text = (
            "etcd has lost data: its revision fell below a fencing token on record; spec.handoverUpToToken and "
            "spec.revokeUpToToken are ignored until they lie below every candidate's: they may be lowered now"
        )
        return Condition("Degraded", TRUE, "StoreRolledBack", text)
    if highest_asked(lock) > situation.store.revision:
        text = (
            "spec.handoverUpToToken or spec.revokeUpToToken is above any fencing token that etcd has given out, so it "
            "would hit every candidate to come: it is ignored, and may be lowered now"
        )
        return Condition("Degraded", TRUE, "TokenAhead", text)
    if any(one.record.foreign for one in now.holders):
        text = (
            "a candidate that is not of Leasehold holds the lock: it obeys neither suspend nor preference nor capacity"
        )
        return Condition("Degraded", TRUE, "ForeignHolder", text)
    return Condition("Degraded", FALSE, "AsExpected", "nothing needs attention")
