"""The Lock resources as last seen: by the watch, by a whole list, or in the answer to a write of our own. Pure.

These three tell of one resource in any order, so the newest counts, by its resourceVersion. A resource that is not
here may merely not have been seen yet: only `is_gone` says that there is none, and it wants proof.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from leasehold.lock.names import LockName
from leasehold.operator.plan.resource import Lock, parse

_BURIED: Final = 20_000
"""UIDs of deleted resources that are remembered: an answer or a list may still be on its way that shows one alive."""


class Locks:
    """The cache, by name. Bodies that are no Lock at all (no name, no UID) raise ValueError and change nothing."""

    def __init__(self, ignored: LockName | None = None) -> None:
        """`ignored` is no Lock to be served: it is never shown."""
        self._ignored = ignored
        self._locks: dict[LockName, Lock] = {}
        self._gone: dict[LockName, set[str]] = {}
        self._buried: OrderedDict[str, None] = OrderedDict()
        self.complete = False
        """Whether a whole list was ever taken: until then, what is not here may exist all the same."""

    def get(self, name: LockName) -> Lock | None:
        """The resource as last seen."""
        return self._locks.get(name)

    def names(self) -> tuple[LockName, ...]:
        """All that are known."""
        return tuple(self._locks)

    def __len__(self) -> int:
        return len(self._locks)

    def seen(self, body: Mapping[str, Any], deleted: bool = False) -> LockName | None:
        """Take a resource as it is now, or was at its deletion; its name, or None when that is no news."""
        return self._take(parse(body), deleted)

    def _take(self, lock: Lock, deleted: bool) -> LockName | None:
        if lock.name == self._ignored:
            return None
        if deleted:
            return self._delete(lock)
        known = self._locks.get(lock.name)
        if lock.uid in self._buried or (known is not None and _is_older(lock, known)):
            return None
        self._locks[lock.name] = lock
        return lock.name

    def is_gone(self, name: LockName, uid: str) -> bool:
        """Whether it is proven that the resource of this UID, which a spec key names, does not exist any more."""
        return name not in self._locks and uid in self._gone.get(name, ())

    def forget(self, name: LockName) -> None:
        """Nothing of this name is left in etcd: how it went is of no use any more."""
        self._gone.pop(name, None)

    # --- whole lists --------------------------------------------------------------------------------------------

    def take_list(
        self, bodies: Iterable[Mapping[str, Any]], before: Mapping[LockName, Lock], declared: Mapping[LockName, str]
    ) -> set[LockName]:
        """Take the list that was asked for after `before` and `declared` were noted; the names that want a look.

        `before` are the resources known then, `declared` the UIDs that spec keys named then. Whatever of them is not in
        the list was deleted while nobody watched: a UID was a resource's before it stood in a spec key, and no other
        will ever have it.
        """
        listed: set[str] = set()
        news: set[LockName] = set()
        versions = {lock.uid: lock.resource_version for lock in before.values()}
        for body in bodies:
            if (uid := _unchanged(body, versions)) is not None:  # nearly all: ten thousand would take a second to read
                listed.add(uid)
                continue
            lock = parse(body)
            listed.add(lock.uid)
            if (name := self._take(lock, deleted=False)) is not None:
                news.add(name)
        for name, lock in before.items():
            if lock.uid not in listed and self._locks.get(name) is lock:
                self._delete(lock)
                news.add(name)
        for name, uid in declared.items():
            if uid not in listed and name not in self._locks:
                self._gone.setdefault(name, set()).add(uid)
                news.add(name)
        self.complete = True
        return news

    def snapshot(self) -> dict[LockName, Lock]:
        """All resources known, to hand to `take_list`."""
        return dict(self._locks)

    def _delete(self, lock: Lock) -> LockName | None:
        self._buried[lock.uid] = None
        if len(self._buried) > _BURIED:
            self._buried.popitem(last=False)
        self._gone.setdefault(lock.name, set()).add(lock.uid)
        known = self._locks.get(lock.name)
        if known is not None and known.uid == lock.uid:
            del self._locks[lock.name]
        return lock.name


def _unchanged(body: Mapping[str, Any], versions: Mapping[str, str]) -> str | None:
    """The UID, if this is just what is known of it."""
    metadata = body.get("metadata") or {}
    uid: str = metadata.get("uid", "")
    return uid if uid in versions and versions[uid] == metadata.get("resourceVersion") else None


def _is_older(lock: Lock, known: Lock) -> bool:
    """Whether this is what is known already, or older. A resource of another UID counts by its version as well."""
    new, old = lock.resource_version, known.resource_version
    if new.isdecimal() and old.isdecimal():
        return int(new) <= int(old)
    return new == old
