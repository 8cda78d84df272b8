"""Which of the tokens that a resource names, in `handoverUpToToken` and `revokeUpToToken`, are heeded. Pure.

`StoreRolledBack`: etcd's revision lies below the token on record, so it was wiped or restored from a backup, and
tokens begin again lower. `handoverUpToToken` and `revokeUpToToken` name tokens of before, and would hit whoever comes
now: they are ignored until they lie below everybody in the queue, because they were lowered by hand or outgrown.

`TokenAhead`: a token above etcd's revision, such as a slip of the finger. No holder can be meant by it, and it would
hit everyone to come: it is ignored, and may be lowered, until etcd has given it out.

A fall is noticed by the revision, or, where that has grown past the record again, by a candidate below the record.
"""

from __future__ import annotations

from leasehold.operator.plan.holders import on_record
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.situation import Situation
from leasehold.operator.plan.status import condition


def highest_asked(lock: Lock) -> int:
    """The highest token that this resource names."""
    return max(lock.spec.handover_up_to_token, lock.spec.revoke_up_to_token)


def in_force(lock: Lock, situation: Situation, token: int) -> int:
    """The token that holders are asked by, 0 while it cannot be meant."""
    return 0 if token > situation.store.revision or is_rolled_back(lock, situation) else token


def is_rolled_back(lock: Lock, situation: Situation) -> bool:
    """Whether tokens of before may be meant by this resource."""
    memory, record = situation.memory, on_record(situation.memory, lock.status)
    if situation.store.revision < record or _fell_behind(situation, record):
        return True
    if not memory.rolled_back and condition(lock.status, "Degraded").get("reason") != "StoreRolledBack":
        return False
    lowest = min((one.create_revision for one in situation.stored.queue), default=situation.store.revision + 1)
    return highest_asked(lock) >= lowest


def _fell_behind(situation: Situation, record: int) -> bool:
    """Whether somebody comes before the token on record: whoever holds after it in the same data came after it.

    Not so where one that is not of Leasehold held under suspension, which others before it obeyed.
    """
    queue = situation.stored.queue
    return bool(queue) and queue[0].create_revision < record and not any(one.record.foreign for one in queue)
