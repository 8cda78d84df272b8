"""What a member does with a request: answer, wait, or refuse. The other end of each command of the election."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.lock.reason import Code
from leasehold.lock.record import Entry

from .cluster import Cluster, Member
from .store import KEYS, LeaseNotFound


@dataclass(slots=True, eq=False)
class Request:
    """One command on its way to one member. `sent` is the sender's local instant."""

    command: Any
    member: Member
    sent: float
    reply: Callable[[ev.Event], None]


class Service:
    """Serves requests against the cluster's store."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.refuses = False
        """Whether etcd is full: writes are answered by an error, though one may yet have been done. Deletes pass."""
        self.on_give_up: Callable[[cmd.Resign, Sequence[Entry]], None] = lambda command, queue: None
        self._handlers: dict[type, Callable[[Any, Member, float], ev.Event | None]] = {
            cmd.ReadSpec: self._read_spec,
            cmd.ReadQueue: self._read_queue,
            cmd.ReadOwn: self._read_own,
            cmd.Grant: self._grant,
            cmd.Join: self._join,
            cmd.Write: self._write,
            cmd.Resign: self._give_up,
            cmd.Revoke: self._revoke,
        }

    def receive(self, request: Request) -> None:
        """The request has reached its member."""
        if request.member.hung:
            request.member.parked.append(lambda: self.receive(request))
        elif isinstance(request.command, cmd.KeepAlive):
            self._keep_alive(request, self.cluster.own_origin(request.member))
        else:
            self._serve(request)

    def _keep_alive(self, request: Request, origin: ev.ResponseHeader) -> None:
        """The header is filled in before the renewal, as etcd does it."""
        ttl = self.cluster.renew(request.member, request.command.lease)
        if ttl is None:
            request.member.parked.append(lambda: self._keep_alive(request, origin))
        else:
            request.reply(ev.KeptAlive(request.command.op, origin, ttl, request.sent))

    def _serve(self, request: Request) -> None:
        member = request.member
        reads = isinstance(request.command, (cmd.ReadSpec, cmd.ReadQueue, cmd.ReadOwn))
        if not self.cluster.reaches_quorum(member) or (reads and member.stuck):
            member.parked.append(lambda: self._retry(request))
            return
        event = self._apply(request)
        if event is not None:
            self._answer(request, event)

    def _retry(self, request: Request) -> None:
        """A read is tried again; a proposal that found no leader is lost as often as not."""
        reads = isinstance(request.command, (cmd.ReadSpec, cmd.ReadQueue, cmd.ReadOwn))
        if reads or not self.cluster.reaches_quorum(request.member) or self.cluster.rng.random() < 0.5:
            self._serve(request)

    def _answer(self, request: Request, event: ev.Event) -> None:
        """Now, or when the member comes unstuck; by then it may know of a newer term."""
        member = request.member
        if member.stuck:
            member.parked.append(lambda: self._answer(request, event))
        elif isinstance(event, ev.Answer) and event.origin.term != member.term:
            request.reply(replace(event, origin=replace(event.origin, term=member.term)))
        else:
            request.reply(event)

    def _apply(self, request: Request) -> ev.Event | None:
        command = request.command
        full = self.refuses and isinstance(command, (cmd.Grant, cmd.Join, cmd.Write))
        no_space = (
            ev.Failed(command.op, "etcdserver: mvcc: database space exceeded", code=Code.ETCD_FULL) if full else None
        )
        if no_space is not None and self.cluster.rng.random() < 0.8:
            return no_space  # etcd does the write that crosses its quota, and then says that it has no space
        before = self.cluster.store.revision
        try:
            event = self._handlers[type(command)](command, request.member, request.sent)
        except LeaseNotFound:
            gone = "etcdserver: requested lease not found"
            return (
                None if isinstance(command, cmd.Revoke) else ev.Failed(command.op, gone, True, True, code=Code.KEY_LOST)
            )
        if self.cluster.store.revision != before:
            self.cluster.on_commit()
        return no_space or event

    # --- one by one

    def _read_spec(self, command: cmd.ReadSpec, member: Member, sent: float) -> ev.Event:
        return ev.SpecRead(command.op, self.cluster.origin(member), self.cluster.store.declared)

    def _read_queue(self, command: cmd.ReadQueue, member: Member, sent: float) -> ev.Event:
        store = self.cluster.store
        return ev.QueueRead(command.op, self.cluster.origin(member), store.queue(), store.declared)

    def _read_own(self, command: cmd.ReadOwn, member: Member, sent: float) -> ev.Event:
        store = self.cluster.store
        if self.is_as_expected(command):
            return ev.Unchanged(command.op, self.cluster.origin(member))
        own = store.entries.get(KEYS.entry(command.lease))
        ahead = store.entries.get(command.ahead) if command.ahead else None
        origin, count = self.cluster.origin(member), len(store.queue())
        return ev.OwnRead(command.op, origin, own, ahead, store.head(), store.declared, count)

    def is_as_expected(self, command: cmd.ReadOwn) -> bool:
        """Whether the comparisons of a confirming read hold; without any it reads."""
        store, expected = self.cluster.store, command.expected
        if expected is None:
            return False
        own = store.by_token(KEYS.entry(command.lease), expected.token)
        ahead = store.entries.get(command.ahead) if command.ahead else None
        return (
            own is not None
            and own.mod_revision == expected.mod_revision
            and store.declared.revision == expected.spec_revision
            and (not command.ahead or (ahead.mod_revision if ahead else 0) == expected.ahead_revision)
        )

    def _grant(self, command: cmd.Grant, member: Member, sent: float) -> ev.Event:
        lease = self.cluster.grant(command.ttl)
        return ev.Granted(command.op, self.cluster.origin(member), lease, command.ttl, sent)

    def _join(self, command: cmd.Join, member: Member, sent: float) -> ev.Event:
        store, key = self.cluster.store, KEYS.entry(command.lease)
        if store.declared.revision != command.spec_revision or key in store.entries:
            return ev.Joined(command.op, self.cluster.origin(member), created=False)
        store.put(key, command.lease, command.record)
        return ev.Joined(command.op, self.cluster.origin(member), created=True, queue=store.queue())

    def _write(self, command: cmd.Write, member: Member, sent: float) -> ev.Event:
        store, key = self.cluster.store, KEYS.entry(command.lease)
        entry = store.by_token(key, command.token)
        done = entry is not None and entry.mod_revision == command.mod_revision
        if done:
            store.put(key, command.lease, command.record)
        return ev.Written(command.op, self.cluster.origin(member), done)

    def _give_up(self, command: cmd.Resign, member: Member, sent: float) -> ev.Event:
        store, key = self.cluster.store, KEYS.entry(command.lease)
        guards = [store.by_token(entry.key, entry.create_revision) for entry in (*command.skipped, *command.guards)]
        spec = command.spec_revision in (None, store.declared.revision)
        done = spec and all(guards) and store.by_token(key, command.token) is not None
        if done:
            self.on_give_up(command, store.queue())
            own = [] if command.keep_own else [key]
            store.delete(own + [entry.key for entry in command.skipped])
        return ev.Written(command.op, self.cluster.origin(member), done)

    def _revoke(self, command: cmd.Revoke, member: Member, sent: float) -> None:
        self.cluster.revoke(command.lease, "revokes")
