"""A cache of the Lock resources: as last seen by the watch, in a full list, or in the answer to our own write. Pure.

These three can show one resource in any order, so the newest counts, by its resourceVersion. A resource that is missing
here may not have been seen yet. Only `is_gone` says that there is none, and it requires proof.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.lock.names import LockName
from leasehold.operator.plan.resource import Lock, parse
from leasehold.operator.watch.api_restore import check_alive, check_version, is_lower

_MAX_DELETED_KEPT: Final = 20_000
"""UIDs of deleted resources to remember: an answer or a list that shows one alive may still be on its way."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known when a list was requested, with the UIDs of what was deleted until then."""

    locks: Mapping[LockName, Lock]
    deleted: frozenset[str]


class Locks:
    """The cache, by name. A body that is not a Lock (no name, no UID) raises ValueError and changes nothing."""

    def __init__(self, ignored: LockName | None = None) -> None:
        """`ignored` names a Lock that is not to be served; it is never returned."""
        self._ignored = ignored
        self._locks: dict[LockName, Lock] = {}
        self._gone: dict[LockName, set[str]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self.complete = False
        """Whether a full list was ever taken. Until then, a resource that is missing here may exist."""

    def get(self, name: LockName) -> Lock | None:
        """The resource as last seen."""
        return self._locks.get(name)

    def names(self) -> tuple[LockName, ...]:
        """The names of all known resources."""
        return tuple(self._locks)

    def all(self) -> tuple[Lock, ...]:
        """All known resources."""
        return tuple(self._locks.values())

    def __len__(self) -> int:
        return len(self._locks)

    def seen(self, body: Mapping[str, Any], deleted: bool = False) -> LockName | None:
        """Take a resource as it is now or was when deleted; its name, or None if that is nothing new."""
        return self._take(parse(body), deleted)

    def _take(self, lock: Lock, deleted: bool) -> LockName | None:
        if lock.name == self._ignored:
            return None
        if deleted:
            return self._delete(lock)
        known = self._locks.get(lock.name)
        if lock.uid in self._deleted or (known is not None and _is_older(lock, known)):
            return None
        self._locks[lock.name] = lock
        return lock.name

    def is_gone(self, name: LockName, uid: str) -> bool:
        """Whether it is proven that the resource of this UID, which a spec key names, no longer exists."""
        return name not in self._locks and uid in self._gone.get(name, ())

    def forget(self, name: LockName) -> None:
        """Nothing of this name is left in etcd, so the UIDs of its former resources are not needed any more."""
        self._gone.pop(name, None)

    # --- full lists ---------------------------------------------------------------------------------------------

    def take_list(
        self, bodies: Iterable[Mapping[str, Any]], before: Seen, declared: Mapping[LockName, str]
    ) -> set[LockName]:
        """Take a list that was requested after `before` and `declared` were noted; the names to reconcile.

        `declared` are the UIDs that spec keys named then. Resources of either that are missing in the list were deleted
        while nobody watched: a UID belongs to a resource before a spec key names it, and never to another one. Raises
        ApiServerRestored if the list is older than `before`.
        """
        listed, changed = self._take_bodies(bodies, before)
        for name, lock in before.locks.items():
            if lock.uid not in listed and self._locks.get(name) is lock:
                self._delete(lock)
                changed.add(name)
        for name, uid in declared.items():
            if uid not in listed and name not in self._locks:
                self._gone.setdefault(name, set()).add(uid)
                changed.add(name)
        self.complete = True
        return changed

    def _take_bodies(self, bodies: Iterable[Mapping[str, Any]], before: Seen) -> tuple[set[str], set[LockName]]:
        """The UIDs of these bodies, and the names of those that are new."""
        listed: set[str] = set()
        changed: set[LockName] = set()
        versions = {lock.uid: lock.resource_version for lock in before.locks.values()}
        for body in bodies:
            if (uid := _unchanged(body, versions)) is not None:  # nearly all: parsing ten thousand takes a second
                listed.add(uid)
                continue
            lock = parse(body)
            listed.add(lock.uid)
            check_version(f"the Lock {lock.name}", lock.resource_version, versions.get(lock.uid, ""))
            check_alive(f"the Lock {lock.name}", lock.uid, before.deleted)
            if (name := self._take(lock, deleted=False)) is not None:
                changed.add(name)
        return listed, changed

    def snapshot(self) -> Seen:
        """All that is known, to pass to `take_list`."""
        return Seen(dict(self._locks), frozenset(self._deleted))

    def _delete(self, lock: Lock) -> LockName | None:
        self._deleted[lock.uid] = None
        if len(self._deleted) > _MAX_DELETED_KEPT:
            self._deleted.popitem(last=False)
        self._gone.setdefault(lock.name, set()).add(lock.uid)
        known = self._locks.get(lock.name)
        if known is not None and known.uid == lock.uid:
            del self._locks[lock.name]
        return lock.name


def _unchanged(body: Mapping[str, Any], versions: Mapping[str, str]) -> str | None:
    """The UID, if this body is what is known of it already."""
    metadata = body.get("metadata") or {}
    uid: str = metadata.get("uid", "")
    return uid if uid in versions and versions[uid] == metadata.get("resourceVersion") else None


def _is_older(lock: Lock, known: Lock) -> bool:
    """Whether this is what is known already, or older. Resources of different UIDs are compared by version as well."""
    new, old = lock.resource_version, known.resource_version
    return new == old or is_lower(new, old)
