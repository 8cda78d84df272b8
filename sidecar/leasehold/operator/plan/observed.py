"""What is known of the locks in etcd, as plain values: made by the mirror, judged by the plan. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """A lock's spec key as it stands in etcd; `spec` is None when the value cannot be read as one."""

    value: bytes
    mod_revision: int
    spec: Spec | None


@dataclass(frozen=True, slots=True)
class StoredLock:
    """All keys of one lock; `queue` is in the order of create revisions, foreign candidates included."""

    spec: StoredSpec | None = None
    queue: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Departed:
    """A candidate whose key is gone.

    `released` says how: True when its lease still lived afterwards (the key was deleted: given up, passed over,
    evicted, or removed by hand), False when the lease had ended, so that the key went with it, None when neither is
    known. It is a hint for a message, not proof of anything.
    """

    entry: Entry
    released: bool | None


@dataclass(frozen=True, slots=True)
class EtcdState:
    """etcd as a whole; `since` is when `reachable` last changed, in seconds of the clock, and `error` one sentence.

    `revision` is that of the mirror. It falls when etcd was wiped, or restored from a backup.
    """

    reachable: bool
    revision: int
    since: float
    error: str
