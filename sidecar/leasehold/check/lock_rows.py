"""What the keys of locks in etcd mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from leasehold.check.etcd_facts import EtcdFacts
from leasehold.check.rows import Level, Row, unasked
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, holds

SECTION: Final = "locks in etcd"


def rows_of(facts: EtcdFacts, lock: LockName | None) -> list[Row]:
    """The rows about one lock, or about all; those of which nothing is to be said are counted in one row."""
    if facts.locks is None:
        why = facts.locks_failure or "no member of etcd answers"
        return [unasked(SECTION, "locks", why, _cure(why))]
    if lock is not None:
        return _one(lock, facts.locks.get(lock))
    names = facts.locks.names()
    found = [row for name in sorted(names, key=str) for row in _problems(name, facts.locks.get(name))]
    troubled = len({row.about for row in found})
    well = len(names) - troubled
    return [Row(SECTION, "locks", Level.OK, f"{well} of {len(names)} locks are well"), *found]


_CURES: Final = {
    "demands a user name": "give --etcd-user and --etcd-password-file, or a certificate: --etcd-cert, --etcd-key",
    "invalid user ID or password": "correct --etcd-user, or the password in --etcd-password-file",
    "permission denied": "grant the user's role the keys: etcdctl role grant-permission ROLE --prefix readwrite ROOT/",
}
"""What to do about a refusal, by a part of its text."""


def _cure(failure: str) -> str:
    return next((cure for part, cure in _CURES.items() if part in failure), "see the rows of etcd's members")


def _one(name: LockName, stored: StoredLock) -> list[Row]:
    problems = list(_problems(name, stored))
    holders = [entry for position, entry in enumerate(stored.queue) if holds(position, entry, _spec(stored))]
    if holders:
        named = ", ".join(f"{_who(entry)} (token {entry.create_revision})" for entry in holders)
        return [Row(SECTION, "lock-held", Level.OK, f"is held by {named}", about=str(name)), *problems]
    if not stored.queue:
        cure = "no candidate is in the queue: look at a pod's sidecar, curl -s localhost:4040/readyz says why"
        return [Row(SECTION, "lock-held", Level.FAILED, "nobody stands in the queue", cure, str(name)), *problems]
    return problems


def _problems(name: LockName, stored: StoredLock) -> Iterator[Row]:
    about = str(name)
    if stored.spec is not None and stored.spec.spec is None:
        cure = "sidecars keep to the last one they could read; the operator repairs it if the Lock exists"
        yield Row(SECTION, "lock-spec", Level.FAILED, "its declaration cannot be read", cure, about)
    yield from _suspension(about, stored)
    yield from _candidates(about, stored)


def _suspension(about: str, stored: StoredLock) -> Iterator[Row]:
    spec = _spec(stored)
    if spec.deleting and stored.queue:
        found = f"is being deleted, and {len(stored.queue)} candidates are still in its queue"
        yield Row(
            SECTION, "lock-deleting", Level.WARNING, found, "nobody can hold it; stop them, or declare it again", about
        )
    elif spec.suspend:
        cure = "kubectl leasehold resume NAME, or set spec.suspend to false"
        yield Row(SECTION, "lock-suspended", Level.WARNING, "is suspended: nobody may hold it", cure, about)


def _candidates(about: str, stored: StoredLock) -> Iterator[Row]:
    endless = [entry for entry in stored.queue if not entry.lease]
    if endless:
        cure = f"somebody wrote it by hand; if it is not meant, delete it: etcdctl del {endless[0].key}"
        found = f"the key of {_who(endless[0])} has no lease: it never leaves the queue by itself"
        yield Row(SECTION, "lock-no-lease", Level.FAILED, found, cure, about)
    foreign = _foreign_holders(stored)
    if foreign:
        cure = "it knows nothing of suspend, capacity or preference; stop it if it is not meant to lead"
        found = f"is held by a candidate that is not Leasehold's: {_who(foreign[0])}"
        yield Row(SECTION, "lock-foreign", Level.WARNING, found, cure, about)


def _foreign_holders(stored: StoredLock) -> Sequence[Entry]:
    held = [entry for position, entry in enumerate(stored.queue) if holds(position, entry, _spec(stored))]
    return [entry for entry in held if entry.record.foreign and entry.lease]


def _spec(stored: StoredLock) -> Spec:
    return (stored.spec.spec if stored.spec else None) or Spec()


def _who(entry: Entry) -> str:
    return entry.record.identity or "(no name)"
