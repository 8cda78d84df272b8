"""All locks of an etcd as a table for people or as JSON for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from leasehold.base.terminal import aligned, printable
from leasehold.candidate.listing import Listing
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, holds

_COLUMNS: Final = ("LOCK", "HELD BY", "TOKEN", "WAITING", "DECLARED")


def as_table(listing: Listing) -> str:
    """One line a lock, by name."""
    names = sorted(listing.names(), key=str)
    if not names:
        return "No lock has a key here.\n"
    return aligned([_COLUMNS, *(_row(name, listing.get(name)) for name in names)], gap=2)


def as_json(listing: Listing) -> str:
    """The same for programs."""
    locks = [_fields(name, listing.get(name)) for name in sorted(listing.names(), key=str)]
    return json.dumps({"locks": locks}, indent=2) + "\n"


def _row(name: LockName, stored: StoredLock) -> tuple[str, ...]:
    held = _holders(stored)
    others = f" +{len(held) - 1}" if len(held) > 1 else ""
    holder = printable(held[0].record.identity) + others if held else _vacant(stored)
    token = str(held[0].create_revision) if held else "-"
    return str(name), holder, token, str(len(stored.queue) - len(held)), _declared(stored)


def _vacant(stored: StoredLock) -> str:
    return "(suspended)" if _spec(stored).suspend else "-"


def _declared(stored: StoredLock) -> str:
    if stored.spec is None:
        return "no"
    return "yes" if stored.spec.spec else "cannot be read"


def _fields(name: LockName, stored: StoredLock) -> dict[str, Any]:
    held = _holders(stored)
    return {
        "lock": str(name),
        "holders": [{"identity": one.record.identity, "token": one.create_revision} for one in held],
        "waiting": len(stored.queue) - len(held),
        "suspended": _spec(stored).suspend,
        "declared": stored.spec is not None,
    }


def _spec(stored: StoredLock) -> Spec:
    return (stored.spec.spec if stored.spec else None) or Spec()


def _holders(stored: StoredLock) -> Sequence[Entry]:
    """By the queue's order: a lease may have expired a moment ago."""
    return [entry for position, entry in enumerate(stored.queue) if holds(position, entry, _spec(stored))]
