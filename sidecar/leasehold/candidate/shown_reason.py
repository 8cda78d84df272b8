"""Why a candidate in the queue does not hold, as far as the keys in etcd show it. Pure.

A candidate itself may know more, such as that its last keep-alive was not confirmed: its `/leader` says so.
"""

from __future__ import annotations

from leasehold.lock.reason import Code, Reason
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import holds


def shown_reason(position: int, entry: Entry, first: Entry, spec: Spec) -> Reason | None:
    """The reason of the candidate at this place, which counts from 0; `first` leads the queue. None if it holds."""
    if holds(position, entry, spec):
        return None
    if spec.suspend and not entry.record.foreign:
        return Reason(Code.DELETING if spec.deleting else Code.SUSPENDED)
    if position > 0:
        return Reason(Code.BEHIND, f"{position} ahead; {first.record.identity} is the first")
    return Reason(Code.NEXT)
