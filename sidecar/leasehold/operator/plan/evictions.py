"""Which candidates the operator evicts. Pure.

Evicted are all whose token is at most `revokeUpToToken`: holders, waiters (or they would hold next and be evicted
then), and foreign candidates too. With `releaseWhenPodEnds`, also those of ours whose pod has certainly ended. The
operator deletes no other key of a queue.
"""

from __future__ import annotations

from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import Evict
from leasehold.operator.plan.resource import FINALIZER, Lock


def evictions(lock: Lock, facts: Facts) -> tuple[Evict, ...]:
    """The evictions, from the end of the queue: otherwise a waiter to be evicted would hold for a moment."""
    if lock.deleting and (lock.spec.deletion_policy == "Orphan" or FINALIZER not in lock.finalizers):
        return ()  # the lock in etcd does not belong to this resource any more
    found = []
    for entry in reversed(facts.situation.stored.queue):
        record = entry.record
        if entry.create_revision <= facts.limits.revoke:
            found.append(Evict(entry, f"spec.revokeUpToToken is {facts.limits.revoke}"))
        elif lock.spec.release_when_pod_ends and not record.foreign and record.pod_uid in facts.situation.ended_pods:
            found.append(Evict(entry, f"its pod {record.pod} has ended"))
    return tuple(found)
