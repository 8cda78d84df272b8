"""What the page shows of every lock, made from what etcd stores. Pure: the wall clock is an argument.

Each lock is a row, encoded once when it changes and sent to all browsers as it is. `take_changed` returns the rows that
have changed since the last call, so that a burst of changes to one lock is one message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from leasehold.candidate.listing import Listing
from leasehold.candidate.shown_reason import shown_reason
from leasehold.etcd.model import WatchEvent
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredLock, holds
from leasehold.ui.history import History

MAX_HOLDERS_IN_ROW: Final = 4
MAX_QUEUE_SHOWN: Final = 200
"""Candidates on a lock's own page; how many more there are is said."""
MAX_HISTORIES: Final = 20_000
"""Locks whose terms are remembered; those that changed first are forgotten first."""


class Row:
    """One lock as it was last encoded, and the candidates that hold it."""

    __slots__ = ("holders", "text", "version")

    def __init__(self) -> None:
        self.version = 0
        self.text = ""
        self.holders: tuple[Entry, ...] = ()


class LockTable:
    """All locks of one root. `listing` is what etcd stores; `revision` is the last reading's or event's."""

    def __init__(self, root: str) -> None:
        self.listing = Listing(root)
        self.revision = 0
        self._rows: dict[LockName, Row] = {}
        self._histories: dict[LockName, History] = {}
        self._changed: dict[LockName, None] = {}
        self._loaded = False

    def __len__(self) -> int:
        return len(self._rows)

    # --- changes ------------------------------------------------------------------------------------------------

    def load(self, listing: Listing, revision: int, now: float) -> None:
        """Replace everything by a complete reading. Holders that the first one shows were there before `now`."""
        before, self.listing, self.revision = self.listing, listing, revision
        for name in {*before.names(), *listing.names()}:
            if before.get(name) != listing.get(name):
                self._refresh(name, now)
        self._loaded = True

    def apply(self, event: WatchEvent, now: float) -> Entry | None:
        """Take the next event of the watch; the holder that ended by it, if one did."""
        self.revision = max(self.revision, event.kv.mod_revision)
        if event.deleted:
            name, ended = self.listing.delete(event.kv.key)
        else:
            name, ended = self.listing.put(event.kv), None
        if name is None:
            return None
        held = self._rows[name].holders if name in self._rows else ()
        self._refresh(name, now)
        return ended if ended is not None and any(one.key == ended.key for one in held) else None

    def note_end(self, name: LockName, token: int, ended: str) -> None:
        """How a holder's term ended."""
        history = self._histories.get(name)
        if history is not None and history.note_end(token, ended):
            self._refresh(name, None)

    def _refresh(self, name: LockName, now: float | None) -> None:
        stored = self.listing.get(name)
        row = self._rows.setdefault(name, Row())
        holders = tuple(_holders(stored))
        tokens = [one.create_revision for one in holders]
        if now is not None and self._loaded and tokens != [one.create_revision for one in row.holders]:
            self._history(name).change(row.holders, holders, now)
        row.holders = holders
        before, row.version = row.text, row.version + 1
        history = self._histories.get(name)
        if stored == StoredLock() and (history is None or not history.terms):
            del self._rows[name]
            row.text = ""
        else:
            row.text = _encode(name, row.version, stored, holders, history)
        if row.text != before:
            self._changed[name] = None

    def _history(self, name: LockName) -> History:
        if name not in self._histories and len(self._histories) >= MAX_HISTORIES:
            del self._histories[next(iter(self._histories))]
        return self._histories.setdefault(name, History())

    # --- what is shown ------------------------------------------------------------------------------------------

    def take_changed(self) -> list[str]:
        """The rows that have changed since the last call, encoded."""
        changed, self._changed = self._changed, {}
        return [self._rows[name].text if name in self._rows else _gone(name) for name in changed]

    def rows(self) -> list[str]:
        """All rows, encoded, in the order of their names."""
        ordered = sorted(self._rows.items(), key=lambda item: (item[0].namespace, item[0].name))
        return [row.text for _, row in ordered]

    def lock(self, name: LockName) -> dict[str, Any] | None:
        """One lock with its queue and its terms; None if there is none of this name."""
        if name not in self._rows:
            return None
        stored, history = self.listing.get(name), self._histories.get(name)
        spec = _spec(stored)
        queue = [
            {**_standing(position, entry, stored.queue[0], spec), **_candidate(entry)}
            for position, entry in enumerate(stored.queue[:MAX_QUEUE_SHOWN])
        ]
        return {
            **json.loads(self._rows[name].text),
            "queue": queue,
            "more": max(0, len(stored.queue) - MAX_QUEUE_SHOWN),
            "preferredHolder": spec.preferred_holder,
            "preferredGroup": spec.preferred_group,
            "terms": [term.fields() for term in history.terms] if history else [],
            "vacantSince": history.vacant_since if history else None,
        }


def _spec(stored: StoredLock) -> Spec:
    return (stored.spec.spec if stored.spec else None) or Spec()


def _holders(stored: StoredLock) -> Iterator[Entry]:
    spec = _spec(stored)
    for position, entry in enumerate(stored.queue):
        if holds(position, entry, spec):
            yield entry
        elif position >= spec.capacity:
            return


def _standing(position: int, entry: Entry, first: Entry, spec: Spec) -> dict[str, Any]:
    """Its place, and why it does not hold; without a reason it holds."""
    reason = shown_reason(position, entry, first, spec)
    fields = {"position": position, "holds": reason is None}
    return {**fields, "reason": reason.sentence(0.0), "reasonCode": reason.code.value} if reason else fields


def _candidate(entry: Entry) -> dict[str, Any]:
    record = entry.record
    named = {
        "identity": record.identity,
        "token": str(entry.create_revision),  # as text: JavaScript's numbers end at 2**53
        "lease": f"{entry.lease:x}" if entry.lease else "",
        "yieldTo": record.yield_to,
        "foreign": record.foreign,
        "node": record.node,
        "pod": record.pod,
        "group": record.group,
        "priority": record.priority,
    }
    return {name: value for name, value in named.items() if value}


def _holder(entry: Entry, since: float | None) -> dict[str, Any]:
    kept = ("identity", "token", "lease", "yieldTo", "foreign")
    fields = {name: value for name, value in _candidate(entry).items() if name in kept}
    return {**fields, "since": since} if since is not None else fields


def _state(stored: StoredLock, holders: tuple[Entry, ...]) -> str:
    if stored == StoredLock():
        return "gone"
    if stored.spec is not None and stored.spec.spec is None:
        return "broken"
    spec = _spec(stored)
    if spec.deleting:
        return "deleting"
    if spec.suspend:
        return "suspended"
    return "held" if holders else "free"


def _encode(
    name: LockName, version: int, stored: StoredLock, holders: tuple[Entry, ...], history: History | None
) -> str:
    spec = _spec(stored)
    held = {entry.key for entry in holders}
    waiters = [entry for entry in stored.queue if entry.key not in held]
    fields: dict[str, Any] = {"name": str(name), "version": version, "state": _state(stored, holders)}
    fields["holders"] = [
        _holder(one, history.since(one.create_revision) if history else None) for one in holders[:MAX_HOLDERS_IN_ROW]
    ]
    more: dict[str, Any] = {
        "holderCount": len(holders) if len(holders) > MAX_HOLDERS_IN_ROW else 0,
        "waiting": len(waiters),
        "next": waiters[0].record.identity if waiters else "",
        "capacity": spec.capacity if spec.capacity != 1 else 0,
        "ttl": spec.ttl,
        "declared": stored.spec is not None,
        "vacantSince": history.vacant_since if history else None,
    }
    fields.update({key: value for key, value in more.items() if value})
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _gone(name: LockName) -> str:
    return json.dumps({"name": str(name), "state": "removed"}, separators=(",", ":"))


def joined(rows: Iterable[str]) -> bytes:
    """Encoded rows as the JSON list that one event carries."""
    return f"[{','.join(rows)}]".encode()
