"""The keys of all locks under one root, by lock, as one reading of etcd shows them. Pure.

It contains what was read, never what somebody has tried to write. Keys that belong to no lock are ignored. A value that
cannot be decoded makes a foreign candidate or a spec of None, not an error: otherwise anybody who may write to etcd
could stop, for every lock, whoever reads it.

Ten thousand locks fit into a few dozen megabytes: strings that many records share (namespaces, nodes, groups) are kept
once, and raw values only if they are compared later.
"""

from __future__ import annotations

from typing import Final

from leasehold.base.records import dataclass, replace
from leasehold.candidate.etcd_store import entry_of
from leasehold.etcd.model import KeyValue
from leasehold.lock.keys import locks_prefix
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, StoredSpec

_MAX_SHARED_STRINGS: Final = 100_000


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """The lock that a key belongs to, and whether it is the spec key or else a key of the queue."""

    lock: LockName
    is_spec: bool


def owner_of(key: bytes, root: str) -> KeyOwner | None:
    """The owner of a key; None if it belongs to no lock. Every key under a queue is a candidate, as for sidecars."""
    prefix = locks_prefix(root).encode()
    parts = key[len(prefix) :].split(b"/", 3)
    if not key.startswith(prefix) or len(parts) < 3:
        return None
    is_spec = parts[2:] == [b"spec"]
    if not is_spec and (parts[2] != b"queue" or len(parts) < 4):
        return None
    try:
        return KeyOwner(LockName(parts[0].decode(), parts[1].decode()), is_spec)
    except ValueError:  # undecodable, or not a valid name in Kubernetes
        return None


class _Slot:
    """One lock's keys. Candidates are kept by key and sorted on demand."""

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
    """The keys of all locks, by lock. One reading of etcd is collected in it page by page.

    With `like`, an earlier one, candidates and specs that are the same are kept once, while both are there.
    """

    def __init__(self, root: str, like: Listing | None = None) -> None:
        self._root = root
        self._like = like
        self._slots: dict[LockName, _Slot] = {}
        self._strings: dict[str, str] = {}

    def get(self, name: LockName) -> StoredLock:
        """The lock's keys; an empty StoredLock if it has none."""
        slot = self._slots.get(name)
        return slot.stored() if slot else StoredLock()

    def names(self) -> tuple[LockName, ...]:
        """The locks that have any key."""
        return tuple(self._slots)

    def declared(self) -> tuple[LockName, ...]:
        """The locks that have a spec key."""
        return tuple(name for name, slot in self._slots.items() if slot.spec is not None)

    def put(self, kv: KeyValue) -> LockName | None:
        """Take a key as it is stored; the lock it belongs to."""
        owner = owner_of(kv.key, self._root)
        if owner is None:
            return None
        slot = self._slots.setdefault(owner.lock, _Slot())
        slot.ordered = None
        if owner.is_spec:
            known_spec = self._like.known_spec(owner.lock) if self._like else None
            slot.spec = known_spec if known_spec is not None and _is_of(known_spec, kv) else _spec_of(kv)
        else:
            entry = self._compact(entry_of(kv))
            known = self._like.known(owner.lock, entry.key) if self._like else None
            slot.entries[entry.key] = known if known == entry and known is not None else entry
        return owner.lock

    def known(self, name: LockName, key: str) -> Entry | None:
        """The candidate that has this key."""
        slot = self._slots.get(name)
        return slot.entries.get(key) if slot else None

    def known_spec(self, name: LockName) -> StoredSpec | None:
        """The spec key of this lock."""
        slot = self._slots.get(name)
        return slot.spec if slot else None

    def complete(self) -> None:
        """The reading is complete: the earlier one is let go."""
        self._like = None

    def delete(self, key: bytes) -> tuple[LockName | None, Entry | None]:
        """Forget a key; the lock it belonged to, and the candidate if it was one."""
        owner = owner_of(key, self._root)
        if owner is None:
            return None, None
        slot = self._slots.get(owner.lock)
        if slot is None:
            return owner.lock, None
        ended: Entry | None = None
        slot.ordered = None
        if owner.is_spec:
            slot.spec = None
        else:
            ended = slot.entries.pop(key.decode(errors="surrogateescape"), None)
        if slot.spec is None and not slot.entries:
            del self._slots[owner.lock]
        return owner.lock, ended

    def _compact(self, entry: Entry) -> Entry:
        old = entry.record
        record = replace(
            old,
            pod=old.identity if old.pod == old.identity else old.pod,
            pod_namespace=self._shared(old.pod_namespace),
            node=self._shared(old.node),
            group=self._shared(old.group),
        )
        return replace(entry, record=record)

    def _shared(self, text: str) -> str:
        if len(self._strings) >= _MAX_SHARED_STRINGS:
            self._strings.clear()  # records keep theirs; only later strings are no longer shared with them
        return self._strings.setdefault(text, text)


def _is_of(spec: StoredSpec, kv: KeyValue) -> bool:
    return spec.mod_revision == kv.mod_revision and spec.value == kv.value


def _spec_of(kv: KeyValue) -> StoredSpec:
    try:
        spec = Spec.decode(kv.value)
    except ValueError:
        return StoredSpec(kv.value, kv.mod_revision, None)
    return StoredSpec(kv.value, kv.mod_revision, spec)
