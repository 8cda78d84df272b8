"""All locks of one root as they stand in etcd: an index that is loaded once and then follows a watch. Pure.

It holds what was read, never what somebody hopes to have written. Keys that are no lock's are none of its business;
a value that cannot be read makes a foreign candidate, or a spec that is None, never an error: anybody who may write to
etcd could otherwise stop the operator for every lock.

Ten thousand locks fit into a few dozen megabytes: texts that many records share (namespaces, nodes, groups) are kept
once, and values only where they are compared later.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from leasehold.candidate.store import entry_of
from leasehold.etcd import KeyValue, WatchEvent
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.operator.plan.observed import Departed, StoredLock, StoredSpec

MOST_DEPARTED: Final = 10_000
"""Departures that are kept for those who never ask; the oldest are forgotten first."""
_MOST_TEXTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose a key is: the lock's name, and whether it is its spec key or, else, one of its queue."""

    lock: LockName
    is_spec: bool


def locks_prefix(root: str) -> str:
    """What all keys of all locks begin with."""
    return f"{root}/locks/"


def place_of(key: bytes, root: str) -> KeyOwner | None:
    """Whose key it is; None for one that is no lock's. All that is under a queue is a candidate, as for sidecars."""
    prefix = locks_prefix(root).encode()
    parts = key[len(prefix) :].split(b"/", 3)
    if not key.startswith(prefix) or len(parts) < 3:
        return None
    is_spec = parts[2:] == [b"spec"]
    if not is_spec and (parts[2] != b"queue" or len(parts) < 4):
        return None
    try:
        return KeyOwner(LockName(parts[0].decode(), parts[1].decode()), is_spec)
    except ValueError:  # undecodable, or not by Kubernetes' rules
        return None


class _Slot:
    """One lock's keys; the candidates by their key, put in order when somebody asks."""

    __slots__ = ("entries", "ordered", "spec")

    def __init__(self) -> None:
        self.spec: StoredSpec | None = None
        self.entries: dict[str, Entry] = {}
        self.ordered: StoredLock | None = None

    def stored(self) -> StoredLock:
        if self.ordered is None:
            queue = tuple(sorted(self.entries.values(), key=lambda entry: (entry.create_revision, entry.key)))
            self.ordered = StoredLock(self.spec, queue)
        return self.ordered


class Listing:
    """The keys of all locks, by lock. A reading of etcd is gathered in one, page by page."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._slots: dict[LockName, _Slot] = {}
        self._texts: dict[str, str] = {}

    def get(self, name: LockName) -> StoredLock:
        """The lock's keys; of a lock without any, an empty one."""
        slot = self._slots.get(name)
        return slot.stored() if slot else StoredLock()

    def names(self) -> tuple[LockName, ...]:
        """The locks that have any key."""
        return tuple(self._slots)

    def declared(self) -> tuple[LockName, ...]:
        """The locks that have a spec key."""
        return tuple(name for name, slot in self._slots.items() if slot.spec is not None)

    def put(self, kv: KeyValue) -> LockName | None:
        """Take a key as it stands; the lock whose it is."""
        place = place_of(kv.key, self._root)
        if place is None:
            return None
        slot = self._slots.setdefault(place.lock, _Slot())
        slot.ordered = None
        if place.is_spec:
            slot.spec = _spec_of(kv)
        else:
            entry = self._compact(entry_of(kv))
            slot.entries[entry.key] = entry
        return place.lock

    def delete(self, key: bytes) -> tuple[LockName | None, Entry | None]:
        """Forget a key; the lock whose it is, and the candidate that it was."""
        place = place_of(key, self._root)
        if place is None:
            return None, None
        slot = self._slots.get(place.lock)
        if slot is None:
            return place.lock, None
        gone: Entry | None = None
        slot.ordered = None
        if place.is_spec:
            slot.spec = None
        else:
            gone = slot.entries.pop(key.decode(errors="surrogateescape"), None)
        if slot.spec is None and not slot.entries:
            del self._slots[place.lock]
        return place.lock, gone

    def _compact(self, entry: Entry) -> Entry:
        old = entry.record
        record = dataclasses.replace(
            old,
            pod=old.identity if old.pod == old.identity else old.pod,
            pod_namespace=self._shared(old.pod_namespace),
            node=self._shared(old.node),
            group=self._shared(old.group),
        )
        return dataclasses.replace(entry, record=record)

    def _shared(self, text: str) -> str:
        if len(self._texts) >= _MOST_TEXTS:
            self._texts.clear()  # what is kept stays as it is; only later texts are not shared with it
        return self._texts.setdefault(text, text)


@dataclass(frozen=True, slots=True)
class ChangedQueue:
    """What an event changed: a lock, and the candidate that went, if one did."""

    lock: LockName
    gone: Entry | None = None


class Mirror:
    """The locks of one root. `revision` is that of the last read or event, `cluster` etcd's id; 0 before the first."""

    def __init__(self, root: str) -> None:
        self.revision = 0
        self.cluster = 0
        self._locks = Listing(root)
        self._departed: dict[LockName, list[Departed]] = {}
        self._departures = 0

    def get(self, name: LockName) -> StoredLock:
        """The lock's keys; of a lock without any, an empty one."""
        return self._locks.get(name)

    def names(self) -> tuple[LockName, ...]:
        """The locks that have any key."""
        return self._locks.names()

    def declared(self) -> tuple[LockName, ...]:
        """The locks that have a spec key."""
        return self._locks.declared()

    def take_departed(self, name: LockName) -> tuple[Departed, ...]:
        """The candidates that went since the last call, in that order; they are forgotten."""
        taken = tuple(self._departed.pop(name, ()))
        self._departures -= len(taken)
        return taken

    # --- what etcd tells ----------------------------------------------------------------------------------------

    def load(self, listing: Listing, revision: int, cluster: int) -> set[LockName]:
        """Take a whole reading in the place of what was known; the locks that differ. The listing is ours then."""
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
                self._note_departed(name, entry)
        return True

    def apply(self, event: WatchEvent) -> ChangedQueue | None:
        """Take one event of the watch, in its order; None when it is no lock's."""
        self.revision = max(self.revision, event.kv.mod_revision)
        if not event.deleted:
            lock = self._locks.put(event.kv)
            return ChangedQueue(lock) if lock else None
        lock, gone = self._locks.delete(event.kv.key)
        if lock and gone:
            self._note_departed(lock, gone)
        return ChangedQueue(lock, gone) if lock else None

    # --- those that went ----------------------------------------------------------------------------------------

    def settle(self, name: LockName, entry: Entry, released: bool) -> None:
        """How a candidate went, now that it is known; without effect when it was taken already."""
        waiting = self._departed.get(name, [])
        for n, departed in enumerate(waiting):
            if departed.entry is entry:
                waiting[n] = Departed(entry, released)

    def _note_departed(self, name: LockName, entry: Entry) -> None:
        self._departed.setdefault(name, []).append(Departed(entry, None))
        self._departures += 1
        while self._departures > MOST_DEPARTED:
            oldest = next(iter(self._departed))
            self._departed[oldest].pop(0)
            self._departures -= 1
            if not self._departed[oldest]:
                del self._departed[oldest]


def _spec_of(kv: KeyValue) -> StoredSpec:
    try:
        spec = Spec.decode(kv.value)
    except ValueError:
        return StoredSpec(kv.value, kv.mod_revision, None)
    return StoredSpec(kv.value, kv.mod_revision, spec)
