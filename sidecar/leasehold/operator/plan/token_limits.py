"""When `handoverUpToToken` and `revokeUpToToken` are obeyed, and when they are ignored. Pure.

`StoreRolledBack`: etcd's revision is below the token on record, so etcd was wiped or restored from a backup, and new
tokens start lower. The limits name tokens from before that and would hit the candidates of today. They are ignored
until they are below every token in the queue, either because somebody lowered them or because tokens have grown past
them.

`TokenAhead`: a limit is above etcd's revision, for example by a typing mistake. It cannot mean any present holder and
would hit every future one. It is ignored, and may be lowered, until etcd has given that token out.

Who leaves a limit out of the resource, or sets it to 0, takes nothing back: the limit in force stays. So neither
`kubectl replace` nor a manifest without that field undoes a handover that has been asked for. The operator remembers
the limits in force. After a restart it knows the handover's from the spec key that it wrote; it has carried out each
revocation that it saw, unless etcd was away until then.

A loss of data shows in the revision. If the revision has already grown past the record again, or was bumped by the
restore, it shows in a candidate whose token is below the record.
"""

from __future__ import annotations

from leasehold.lock.spec import Spec
from leasehold.operator.plan.model import Limits, Memory, Situation
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.status import RecordedStatus


def highest_limit(lock: Lock) -> int:
    """The higher one of the two limits."""
    return max(lock.spec.handover_up_to_token or 0, lock.spec.revoke_up_to_token or 0)


def limits_in_force(lock: Lock, situation: Situation, declared: Spec | None) -> Limits:
    """The limits to obey, if etcd has lost no data: each only grows, and is ignored while it is ahead of etcd."""
    before = _limits_before(lock, situation, declared)
    return Limits(
        handover=_in_force(lock.spec.handover_up_to_token, before.handover, situation),
        revoke=_in_force(lock.spec.revoke_up_to_token, before.revoke, situation),
    )


def _limits_before(lock: Lock, situation: Situation, declared: Spec | None) -> Limits:
    if situation.memory.limits is not None:
        return situation.memory.limits
    is_ours = declared is not None and (declared.uid, declared.cluster) == (lock.uid, situation.cluster)
    return Limits(declared.handover_up_to_token) if declared and is_ours else Limits()


def _in_force(asked: int | None, before: int, situation: Situation) -> int:
    return max((one for one in (asked or 0, before) if one <= situation.etcd.revision), default=0)


def token_on_record(memory: Memory, recorded: RecordedStatus) -> int:
    """The last known token of a first holder. Without a memory of holders, only the status knows it."""
    return memory.token_on_record if memory.tokens is not None else recorded.fencing_token


def is_rolled_back(lock: Lock, situation: Situation, recorded: RecordedStatus) -> bool:
    """Whether the resource's limits may mean tokens from before etcd lost data."""
    memory, record = situation.memory, token_on_record(situation.memory, recorded)
    if situation.etcd.revision < record or _fell_behind(situation, record):
        return True
    if not memory.rolled_back and recorded.condition("Degraded").get("reason") != "StoreRolledBack":
        return False
    lowest = min((one.create_revision for one in situation.stored.queue), default=situation.etcd.revision + 1)
    return highest_limit(lock) >= lowest


def _fell_behind(situation: Situation, record: int) -> bool:
    """Whether the first candidate's token is below the record: within the same data, later holders have higher tokens.

    The exception is a foreign candidate, which may hold a suspended lock while those before it obey the suspension.
    """
    queue = situation.stored.queue
    return bool(queue) and queue[0].create_revision < record and not any(one.record.foreign for one in queue)
