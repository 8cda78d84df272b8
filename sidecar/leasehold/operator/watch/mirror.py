"""All locks of one root as stored in etcd: an index that is loaded once and then follows a watch. Pure.

It contains what was read, never what somebody has tried to write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leasehold.candidate.listing import Listing
from leasehold.etcd.model import WatchEvent
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.stored import StoredLock
from leasehold.operator.plan.model import EndedCandidate

MAX_ENDED_KEPT: Final = 10_000
"""Ended candidates to keep until they are taken; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class ChangedQueue:
    """What an event changed: a lock, and the candidate that ended, if one did."""

    lock: LockName
    ended: Entry | None = None


class Mirror:
    """The locks of one root. `revision` is the last read's or event's, `cluster` etcd's id; both 0 before the first."""

    def __init__(self, root: str) -> None:
        self.revision = 0
        self.cluster = 0
        self._locks = Listing(root)
        self._ended: dict[LockName, list[EndedCandidate]] = {}
        self._ended_count = 0

    def get(self, name: LockName) -> StoredLock:
        """The lock's keys; an empty StoredLock if it has none."""
        return self._locks.get(name)

    def names(self) -> tuple[LockName, ...]:
        """The locks that have any key."""
        return self._locks.names()

    def declared(self) -> tuple[LockName, ...]:
        """The locks that have a spec key."""
        return self._locks.declared()

    def take_ended(self, name: LockName) -> tuple[EndedCandidate, ...]:
        """The candidates that have ended since the last call, in that order. They are forgotten."""
        taken = tuple(self._ended.pop(name, ()))
        self._ended_count -= len(taken)
        return taken

    # --- changes -----------------------------------------------------------------------------------------------

    def load(self, listing: Listing, revision: int, cluster: int) -> set[LockName]:
        """Replace everything by a complete reading; the locks that differ. The listing must not be used afterwards."""
        old, self._locks = self._locks, listing
        self.revision, self.cluster = revision, cluster
        return {name for name in {*old.names(), *listing.names()} if self._differs(name, old.get(name))}

    def _differs(self, name: LockName, before: StoredLock) -> bool:
        now = self.get(name)
        if before == now:
            return False
        still = {(entry.key, entry.create_revision) for entry in now.queue}
        for entry in before.queue:
            if (entry.key, entry.create_revision) not in still:
                self._note_ended(name, entry)
        return True

    def apply(self, event: WatchEvent) -> ChangedQueue | None:
        """Take the next event of the watch; None if it concerns no lock."""
        self.revision = max(self.revision, event.kv.mod_revision)
        if not event.deleted:
            lock = self._locks.put(event.kv)
            return ChangedQueue(lock) if lock else None
        lock, ended = self._locks.delete(event.kv.key)
        if lock and ended:
            self._note_ended(lock, ended)
        return ChangedQueue(lock, ended) if lock else None

    # --- ended candidates ---------------------------------------------------------------------------------------

    def note_end(self, name: LockName, entry: Entry, released: bool) -> None:
        """How a candidate ended is now known. Without effect if it was taken already."""
        waiting = self._ended.get(name, [])
        for n, one in enumerate(waiting):
            if one.entry is entry:
                waiting[n] = EndedCandidate(entry, released)

    def _note_ended(self, name: LockName, entry: Entry) -> None:
        self._ended.setdefault(name, []).append(EndedCandidate(entry, None))
        self._ended_count += 1
        while self._ended_count > MAX_ENDED_KEPT:
            oldest = next(iter(self._ended))
            self._ended[oldest].pop(0)
            self._ended_count -= 1
            if not self._ended[oldest]:
                del self._ended[oldest]
