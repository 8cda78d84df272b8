"""One lock in a pretended etcd that never fails: its queue, its spec, its leases, and every change so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

LOCK: Final = LockName("shop", "billing")
KEYS: Final = Keys(LOCK)
UNDECLARED: Final = ev.Declared(None)

Change = ev.EntryPut | ev.EntryGone | ev.SpecChanged


@dataclass
class Queue:
    """One lock in a pretended etcd: its queue, its spec, the leases, and every change so far."""

    revision: int = 100
    cluster: int = 1
    member: int = 11
    term: int = 5
    entries: dict[str, Entry] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    declared: ev.Declared = UNDECLARED
    history: list[tuple[int, Change]] = field(default_factory=list)
    next_lease: int = 0x70
    last_header: ev.ResponseHeader | None = None

    @property
    def origin(self) -> ev.ResponseHeader:
        """The header of an answer given now: the same object as long as it is equal, as the real store has it."""
        header = ev.ResponseHeader(self.cluster, self.member, self.term, self.revision)
        if header != self.last_header or self.last_header is None:
            self.last_header = header
        return self.last_header

    @property
    def order(self) -> tuple[Entry, ...]:
        """The queue by create revision."""
        return tuple(sorted(self.entries.values(), key=lambda entry: entry.create_revision))

    def grant(self, ttl: int) -> int:
        """A fresh lease."""
        self.next_lease += 1
        self.leases[self.next_lease] = ttl
        return self.next_lease

    def join(self, who: Record, ttl: int = 15) -> Entry:
        """Another candidate enters the queue."""
        return self.put(who, self.grant(ttl))

    def put(self, who: Record, lease: int, attached: int | None = None) -> Entry:
        """The key of this lease is written: created, or rewritten in its place; on another lease if one is given."""
        self.revision += 1
        key = KEYS.entry(lease)
        known = self.entries.get(key)
        created = known.create_revision if known else self.revision
        entry = self.entries[key] = Entry(key, lease if attached is None else attached, created, self.revision, who)
        self.history.append((self.revision, ev.EntryPut(entry)))
        return entry

    def delete(self, *entries: Entry) -> int:
        """These keys are deleted, in one transaction; the revision of it."""
        self.revision += 1
        for entry in entries:
            if self.entries.pop(entry.key, None) is not None:
                self.history.append((self.revision, ev.EntryGone(entry.key, self.revision)))
        return self.revision

    def revoke(self, lease: int) -> None:
        """The lease ends, and its key with it."""
        self.leases.pop(lease, None)
        entry = self.entries.get(KEYS.entry(lease))
        if entry is not None:
            self.delete(entry)

    def declare(self, spec: Spec | None, broken: str = "") -> ev.SpecChanged:
        """The spec key is written, or deleted; what a watch says of that."""
        self.revision += 1
        gone = spec is None and not broken
        self.declared = ev.Declared(spec, 0 if gone else self.revision, broken)
        changed = ev.SpecChanged(self.declared, self.revision)
        self.history.append((self.revision, changed))
        return changed

    def answer(self, command: Any, sent: float) -> ev.Event:
        """Do what the command asks, and say so; `sent` is the instant before it was sent."""
        op = command.op
        match command:
            case cmd.ReadSpec():
                return ev.SpecRead(op, self.origin, self.declared)
            case cmd.Grant(ttl=ttl):
                return ev.Granted(op, self.origin, self.grant(ttl), ttl, sent)
            case cmd.Join():
                return self._joined(command)
            case cmd.ReadQueue():
                return ev.QueueRead(op, self.origin, self.order, self.declared)
            case cmd.ReadOwn():
                return self._own_read(command)
            case cmd.KeepAlive(lease=lease):
                return ev.KeptAlive(op, self.origin, self.leases.get(lease, 0), sent)
            case cmd.Write():
                return self._written(command)
            case cmd.Resign():
                return self._given_up(command)
        raise AssertionError(f"not a question: {command}")

    def _joined(self, command: cmd.Join) -> ev.Event:
        if command.lease not in self.leases:
            return ev.Failed(command.op, "lease not found", refused=True, lease_gone=True)
        if command.spec_revision != self.declared.revision or KEYS.entry(command.lease) in self.entries:
            return ev.Joined(command.op, self.origin, created=False)
        self.put(command.record, command.lease)
        return ev.Joined(command.op, self.origin, created=True, queue=self.order)

    def _own_read(self, command: cmd.ReadOwn) -> ev.Event:
        own = self.entries.get(KEYS.entry(command.lease))
        ahead = self.entries.get(command.ahead) if command.ahead else None
        found = own and cmd.Expected(
            own.create_revision, own.mod_revision, self.declared.revision, ahead.mod_revision if ahead else 0
        )
        if command.expected is not None and found == command.expected:
            return ev.Unchanged(command.op, self.origin)
        head = self.order[0] if self.entries else None
        return ev.OwnRead(command.op, self.origin, own, ahead, head, self.declared, len(self.entries))

    def _written(self, command: cmd.Write) -> ev.Event:
        own = self.entries.get(KEYS.entry(command.lease))
        same = own is not None and (own.create_revision, own.mod_revision) == (command.token, command.mod_revision)
        if same:
            self.put(command.record, command.lease)
        return ev.Written(command.op, self.origin, done=same)

    def _given_up(self, command: cmd.Resign) -> ev.Event:
        own = self.entries.get(KEYS.entry(command.lease))
        stands = own is not None and own.create_revision == command.token
        for entry in (*command.skipped, *command.guards):
            known = self.entries.get(entry.key)
            stands = stands and known is not None and known.create_revision == entry.create_revision
        if command.spec_revision is not None:
            stands = stands and command.spec_revision == self.declared.revision
        if stands and own is not None:
            self.delete(*command.skipped, *(() if command.keep_own else (own,)))
        return ev.Written(command.op, self.origin, done=stands)
