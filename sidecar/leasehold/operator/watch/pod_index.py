"""Which locks to reconcile when a pod changes: those with a candidate of that pod in their queue. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry


class PodIndex:
    """An index from pods' UIDs to the locks whose queues name them. Each changed queue has to be reported to it."""

    def __init__(self) -> None:
        self._pods: dict[LockName, frozenset[str]] = {}
        self._locks: dict[str, set[LockName]] = {}

    def update(self, lock: LockName, queue: Iterable[Entry]) -> None:
        """The lock's queue is now this one."""
        now = frozenset(entry.record.pod_uid for entry in queue if entry.record.pod_uid)
        before = self._pods.get(lock, frozenset())
        if now == before:
            return
        for uid in before - now:
            self._locks[uid].discard(lock)
            if not self._locks[uid]:
                del self._locks[uid]
        for uid in now - before:
            self._locks.setdefault(uid, set()).add(lock)
        if now:
            self._pods[lock] = now
        else:
            del self._pods[lock]

    def locks_of(self, uids: Iterable[str]) -> set[LockName]:
        """The locks whose queues name one of these pods."""
        found: set[LockName] = set()
        for uid in uids:
            found |= self._locks.get(uid, set())
        return found
