"""What a quorum of the model etcd has agreed on: keys, leases and one linear history. No time, no faults, no members.

Values are the objects that the election sees (`Entry`, `Declared`), not their encodings: this models etcd, and
`tests/unit` holds the codecs. `test_model.py` runs the same operations on a real etcd and compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leasehold.election.events import Declared, EntryGone, EntryPut, SpecChanged
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

KEYS = Keys(LockName("sim", "lock"))
UNDECLARED = Declared(None)

Change = EntryPut | EntryGone | SpecChanged


class LeaseNotFound(Exception):
    """etcd's `requested lease not found`: nothing was done."""


class Compacted(Exception):
    """A watch asked for a revision that is no longer kept."""


@dataclass(frozen=True, slots=True)
class Image:
    """A snapshot file: all that a restore brings back."""

    revision: int
    entries: tuple[Entry, ...]
    declared: Declared
    leases: tuple[tuple[int, int], ...]


class Store:
    """Keys in order of create revision (a `dict` keeps it: a rewritten key keeps its place), leases, history."""

    def __init__(self) -> None:
        self.revision = 1
        self.entries: dict[str, Entry] = {}
        self.declared = UNDECLARED
        self.leases: dict[int, int] = {}
        self.history: list[tuple[int, tuple[Change, ...]]] = []
        self.compacted = 0

    # --- reads

    def queue(self) -> tuple[Entry, ...]:
        return tuple(self.entries.values())

    def head(self) -> Entry | None:
        return next(iter(self.entries.values()), None)

    def by_token(self, key: str, token: int) -> Entry | None:
        """The key, if it still has this create revision."""
        entry = self.entries.get(key)
        return entry if entry is not None and entry.create_revision == token else None

    def since(self, revision: int) -> list[tuple[int, tuple[Change, ...]]]:
        """All changes from this revision on. Raises Compacted."""
        if revision <= self.compacted:
            raise Compacted
        return [change for change in self.history if change[0] >= revision]

    # --- leases

    def grant(self, lease: int, ttl: int) -> None:
        """A grant leaves the revision as it is."""
        self.leases[lease] = ttl

    def revoke(self, lease: int) -> None:
        """End a lease and delete its keys, all in one revision; no revision when it has no keys."""
        if lease not in self.leases:
            raise LeaseNotFound
        del self.leases[lease]
        self.delete(key for key, entry in self.entries.items() if entry.lease == lease)

    # --- writes

    def put(self, key: str, lease: int, record: Record) -> Entry:
        """Write a candidate's key. Raises LeaseNotFound."""
        if lease not in self.leases:
            raise LeaseNotFound
        old = self.entries.get(key)
        self.revision += 1
        created = old.create_revision if old else self.revision
        entry = Entry(key, lease, created, self.revision, record)
        self.entries[key] = entry
        self.history.append((self.revision, (EntryPut(entry),)))
        return entry

    def delete(self, keys: Iterable[str]) -> int:
        """Delete keys in one revision; how many there were. Nothing deleted leaves the revision as it is."""
        found = [key for key in keys if key in self.entries]
        if found:
            self.revision += 1
            gone = tuple(EntryGone(key, self.revision) for key in sorted(found))
            for key in found:
                del self.entries[key]
            self.history.append((self.revision, gone))
        return len(found)

    def declare(self, spec: Spec | None, broken: str = "") -> None:
        """Write the spec key, readable or broken, or delete it (`spec` None and not `broken`)."""
        if spec is None and not broken and not self.declared.revision:
            return
        self.revision += 1
        gone = spec is None and not broken
        self.declared = UNDECLARED if gone else Declared(spec, self.revision, broken)
        self.history.append((self.revision, (SpecChanged(self.declared, self.revision),)))

    # --- maintenance

    def compact(self) -> None:
        """Forget all history up to now."""
        self.compacted = self.revision
        self.history.clear()

    def image(self) -> Image:
        return Image(self.revision, self.queue(), self.declared, tuple(self.leases.items()))

    def restore(self, image: Image, bump: int = 0) -> None:
        """Become what the image holds; the revision falls, unless the restore bumps it."""
        self.revision = image.revision + bump
        self.entries = {entry.key: entry for entry in image.entries}
        self.declared = image.declared
        self.leases = dict(image.leases)
        self.history = []
        self.compacted = self.revision
