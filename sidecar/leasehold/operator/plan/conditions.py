"""The conditions of a Lock that is served: Ready, Held, Degraded, Stalled. Pure.

Stalled is there while Ready is False for a reason that does not pass by itself: what waits for a Lock, such as Flux,
Helm or Argo CD, then fails at once with its message, instead of waiting until its time is over.

Degraded has one reason at a time, the most urgent one. It also reports a foreign holder (`etcdctl elect`, a Go
program), because such a holder knows nothing of suspension, preference or a lowered capacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leasehold.operator.plan.absent import is_abandoned, nobody_can_come
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.status import FALSE, TRUE, Condition

PENDING_MESSAGES: Final[Mapping[str, str]] = {
    "Declaring": "the desired spec is not in etcd yet: its key is being written",
    "CapacityHeldBack": "the capacity was lowered less than a lease duration ago: it is raised after that time",
}
"""The message of Ready by the reason for which a spec key is not yet as the resource asks."""


STALLED: Final = "Stalled"
"""The type of the condition that is there only while it is True."""
STALLED_REASONS: Final = ("InvalidSpec", "KeyCollision")
"""The reasons of Ready that do not pass unless somebody acts."""


def evaluate(lock: Lock, facts: Facts, pending: str) -> tuple[Condition, ...]:
    """All conditions. `pending` is a key of `PENDING_MESSAGES`, or "" if the lock is fully declared."""
    ready = _ready(lock, pending)
    return ready, _held(facts), _degraded(facts, ready), *stalled(ready)


def stalled(ready: Condition) -> tuple[Condition, ...]:
    """Stalled, if Ready is False until somebody acts."""
    if ready.status != FALSE or ready.reason not in STALLED_REASONS:
        return ()
    return (Condition(STALLED, TRUE, ready.reason, ready.message),)


def not_ready() -> Condition:
    """Degraded while nothing but Ready is known to be wrong."""
    return Condition("Degraded", FALSE, "NotReady", "the condition Ready is False, and says why")


def _ready(lock: Lock, pending: str) -> Condition:
    if lock.deleting:
        text = "the lock is being released: it is deleted once nobody holds it, or after its lease duration"
        return Condition("Ready", FALSE, "Deleting", text)
    if lock.mistakes:
        text = "; ".join(lock.mistakes) + "; until that is corrected, the lock stays declared as before"
        return Condition("Ready", FALSE, "InvalidSpec", text)
    if pending:
        return Condition("Ready", FALSE, pending, PENDING_MESSAGES[pending])
    return Condition("Ready", TRUE, "Declared", "the lock is declared in etcd, and this status follows it")


def _held(facts: Facts) -> Condition:
    if facts.holding.holders:
        return Condition("Held", TRUE, "Held", "somebody holds the lock")
    if facts.declared and facts.declared.suspend:
        return Condition("Held", FALSE, "Suspended", "the lock is suspended: nobody may hold it")
    return Condition("Held", FALSE, "Vacant", "nobody holds the lock")


def _degraded(facts: Facts, ready: Condition) -> Condition:
    if facts.rolled_back:
        text = (
            "etcd has lost data: its revision, or a candidate's token, is below a fencing token on record; "
            "spec.handoverUpToToken and spec.revokeUpToToken are ignored until they are below every candidate's "
            "token, and may be lowered now"
        )
        return Condition("Degraded", TRUE, "StoreRolledBack", text)
    if facts.limits_ahead:
        text = (
            "spec.handoverUpToToken or spec.revokeUpToToken is above every fencing token that etcd has given out and "
            "would hit every future candidate: it is ignored, and may be lowered now"
        )
        return Condition("Degraded", TRUE, "TokenAhead", text)
    if any(one.record.foreign for one in facts.holding.holders):
        text = "a foreign candidate, not Leasehold's, holds the lock: it obeys neither suspend, preference nor capacity"
        return Condition("Degraded", TRUE, "ForeignHolder", text)
    absent = facts.situation.absent
    if is_abandoned(facts):
        return Condition("Degraded", TRUE, "NoCandidate", nobody_can_come(absent))
    if ready.status == FALSE:
        return not_ready()
    if not facts.situation.stored.queue:
        text = "pods that name the lock have not joined its queue yet" if absent else "no pod names the lock"
        return Condition("Degraded", FALSE, "NobodyQueued", f"nobody is in the queue: {text}")
    if absent:
        text = "somebody can hold the lock; status.absent names the pods that are not in its queue, and why"
        return Condition("Degraded", FALSE, "SomeAbsent", text)
    return Condition("Degraded", FALSE, "AsExpected", "nothing needs attention")
