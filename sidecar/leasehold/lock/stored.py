"""All keys of one lock as they are stored in etcd, and which of its candidates hold it."""

from __future__ import annotations

from leasehold.base.records import dataclass
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """A lock's spec key as stored in etcd. `spec` is None if the value cannot be decoded."""

    value: bytes
    mod_revision: int
    spec: Spec | None


@dataclass(frozen=True, slots=True)
class StoredLock:
    """All keys of one lock. `queue` is in order of create revisions and includes foreign candidates."""

    spec: StoredSpec | None = None
    queue: tuple[Entry, ...] = ()


def holds(position: int, entry: Entry, spec: Spec) -> bool:
    """Whether the queue's order makes this candidate a holder; its place in the queue counts from 0.

    Foreign candidates know neither capacity nor suspension: the first key leads, as etcd's own election has it.
    """
    if entry.record.foreign:
        return position == 0
    return position < spec.capacity and not spec.suspend
