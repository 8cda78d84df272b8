"""Which locks are to be looked at when a pod changes: those in whose queue it stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry


class Followers:
    """An index from the UIDs of pods to the locks whose queues name them; kept up to date queue by queue."""

    def __init__(self) -> None:
        self._pods: dict[LockName, frozenset[str]] = {}
        self._locks: dict[str, set[LockName]] = {}

    def follow(self, lock: LockName, queue: Iterable[Entry]) -> None:
        """The lock's queue is this one now."""
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
        """The locks in whose queues one of these pods stands."""
        found: set[LockName] = set()
        for uid in uids:
            found |= self._locks.get(uid, set())
        return found
