"""The store on etcd: the election's questions as requests, and etcd's answers as the election's events. No decisions.

`store.py` says what is promised. Whether a failure proves that nothing was done is the client's word (`Refused`,
`NotSent`); the outcome of everything else is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from leasehold.base.etcd_bugs import known_bug_of
from leasehold.base.records import replace
from leasehold.candidate.own_record import OwnRecord
from leasehold.candidate.resignation import Resignation
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown, Refused
from leasehold.etcd.model import (
    Answered,
    Compare,
    Get,
    KeyValue,
    Op,
    Put,
    RangeAnswer,
    SortBy,
    WatchBatch,
    WatchEvent,
)
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.reason import Code
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

_UNDECLARED: Final = ev.Declared(None)


def entry_of(kv: KeyValue) -> Entry:
    """A key of the queue as a candidate. Any writer may have put it there."""
    key = kv.key.decode(errors="surrogateescape")  # whatever bytes it is of, it can be watched, compared and deleted
    return Entry(key, kv.lease, kv.create_revision, kv.mod_revision, Record.decode(kv.value))


def declared_of(kv: KeyValue | None) -> ev.Declared:
    """The spec key's value, or what is wrong with it."""
    if kv is None:
        return _UNDECLARED
    try:
        return ev.Declared(Spec.decode(kv.value), kv.mod_revision)
    except ValueError as error:
        return ev.Declared(None, kv.mod_revision, broken=str(error))


def header_of(answer: Answered) -> ev.ResponseHeader:
    """The header of an answer, as the election's own value: the election knows nothing of the client."""
    header = answer.origin
    return ev.ResponseHeader(header.cluster, header.member, header.term, header.revision)


class EtcdStore:
    """One lock in etcd. `client` is the caller's to close."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._own = OwnRecord(client, keys)
        self._resignation = Resignation(client, keys)
        self._last_header = ev.ResponseHeader(0, 0, 0, 0)
        self._last_entries: dict[KeyValue, Entry] = {}
        self._handlers: dict[type, Callable[[Any, float], Awaitable[ev.Event]]] = {
            cmd.ReadSpec: self._read_spec,
            cmd.Grant: self._grant,
            cmd.Join: self._join,
            cmd.ReadQueue: self._read_queue,
            cmd.ReadOwn: self._read_own,
            cmd.KeepAlive: self._keep_alive,
            cmd.Write: self._write,
            cmd.Resign: self._resign,
        }

    async def perform(self, question: cmd.Question, timeout: float) -> ev.Event:
        """Ask etcd, within `timeout` seconds, and return the answer as an event."""
        try:
            return await self._handlers[type(question)](question, timeout)
        except EtcdError as error:
            nothing_done = isinstance(error, (Refused, NotSent))
            gone = _is_lease_gone(error)
            return ev.Failed(question.op, str(error), refused=nothing_done, lease_gone=gone, code=code_of(error))

    def prepare(self, lease: int, token: int) -> None:
        """Translate the transaction by which this candidate will resign."""
        self._resignation.prepare(lease, token)

    async def revoke(self, lease: int, timeout: float) -> str | None:
        """End a lease. None if it is gone, else why it may not be."""
        try:
            await self._client.revoke(lease, timeout=timeout)
        except EtcdError as error:
            return None if _is_lease_gone(error) else str(error)
        return None

    async def time_to_live(self, lease: int, timeout: float) -> int | None:
        """Seconds that are left of a lease, -1 if it is gone; None if etcd does not say."""
        try:
            return (await self._client.time_to_live(lease, timeout=timeout)).ttl
        except EtcdError:
            return None

    async def known_bug(self, timeout: float) -> str | None:
        """What is wrong with the version of the member that answers, if that is known."""
        try:
            return known_bug_of((await self._client.status(timeout=timeout)).version)
        except EtcdError:
            return None  # the election reports that etcd does not answer

    # --- watches -----------------------------------------------------------------------------------------------------

    async def follow(self, watch: cmd.Watch, on_event: Callable[[ev.Event], None]) -> ev.WatchLost:
        """Tell `on_event` of each change until some may have been missed."""

        def on_batch(batch: WatchBatch) -> None:
            for event in batch.events:
                on_event(self.event_of(event, batch.origin.revision))

        try:
            async with self._client.watch(on_batch=on_batch) as watcher:
                await self._add(watcher, watch)
                await anext(watcher)  # it brings no batch, but raises when events may have been missed, or a bug
        except EtcdError as error:
            return ev.WatchLost(str(error), code_of(error))
        raise AssertionError("a watcher with a listener brings no batches")

    async def _add(self, watcher: Watcher, watch: cmd.Watch) -> None:
        keys, revision = self._keys, watch.revision
        if watch.queue:
            await watcher.add(keys.queue, end=prefix_end(keys.queue), start_revision=revision)
        for key in sorted(watch.keys):
            await watcher.add(key, start_revision=revision)
        if watch.spec:
            await watcher.add(keys.spec, start_revision=revision)

    def event_of(self, event: WatchEvent, revision: int) -> ev.Event:
        """One watch event, of a batch at `revision`. The watches are on the spec key and on keys of the queue."""
        key = event.kv.key.decode(errors="surrogateescape")
        if key == self._keys.spec:
            return ev.SpecChanged(declared_of(None if event.deleted else event.kv), event.kv.mod_revision or revision)
        if event.deleted:
            return ev.EntryGone(key, event.kv.mod_revision or revision)
        return ev.EntryPut(entry_of(event.kv))

    # --- questions ---------------------------------------------------------------------------------------------------

    def _header_of(self, answer: Answered) -> ev.ResponseHeader:
        """The same object as long as it is equal, as on a quiet etcd, and else made of the same parts, where they are.

        Whoever keeps answers keeps all of that once.
        """
        header, last = answer.origin, self._last_header
        if (header.cluster, header.member, header.term) != (last.cluster, last.member, last.term):
            self._last_header = header_of(answer)
        elif header.revision != last.revision:
            self._last_header = replace(last, revision=header.revision)
        return self._last_header

    def _entries_of(self, *read: KeyValue | None) -> list[Entry | None]:
        """What a confirming read found. An entry that is as it was in the last one is the same object, not made again.

        Nearly all are, and most of the work for such a read is to take their records apart.
        """
        known, self._last_entries = self._last_entries, {}
        for kv in read:
            if kv is not None and kv not in self._last_entries:
                self._last_entries[kv] = known.get(kv) or entry_of(kv)
        return [None if kv is None else self._last_entries[kv] for kv in read]

    async def _read_spec(self, command: cmd.ReadSpec, timeout: float) -> ev.Event:
        answer = await self._client.range(self._keys.spec, timeout=timeout)
        return ev.SpecRead(command.op, self._header_of(answer), declared_of(answer.first))

    async def _grant(self, command: cmd.Grant, timeout: float) -> ev.Event:
        answer = await self._client.grant(command.ttl, timeout=timeout)
        return ev.Granted(command.op, self._header_of(answer), answer.lease, answer.ttl, answer.sent)

    async def _join(self, command: cmd.Join, timeout: float) -> ev.Event:
        key = self._keys.entry(command.lease)
        answer = await self._client.txn(
            [
                Compare.mod_revision(self._keys.spec, "=", command.spec_revision),
                Compare.create_revision(key, "=", 0),
            ],
            [Put(key, self._own.first(command.record, command.lease), lease=command.lease), self._whole_queue()],
            timeout=timeout,
        )
        queue = _entries(answer.answers[1]) if answer.succeeded else ()
        return ev.Joined(command.op, self._header_of(answer), answer.succeeded, queue)

    async def _read_queue(self, command: cmd.ReadQueue, timeout: float) -> ev.Event:
        answer = await self._client.txn((), [self._whole_queue(), Get(self._keys.spec)], timeout=timeout)
        queue, spec = answer.answers
        return ev.QueueRead(command.op, self._header_of(answer), _entries(queue), declared_of(_first(spec)))

    async def _read_own(self, command: cmd.ReadOwn, timeout: float) -> ev.Event:
        own = self._keys.entry(command.lease)
        queue = self._keys.queue
        head = Get(queue, end=prefix_end(queue), sort=SortBy.CREATE, limit=1)
        wanted: list[Op] = [Get(own), Get(self._keys.spec), head, *([Get(command.ahead)] if command.ahead else [])]
        compares = self._expectations(command)
        # Without a comparison every transaction succeeds; with them, success is that there is nothing to read. The
        # reads must stand in the other branch then: etcd asks the quorum about a transaction only if one of its
        # operations is a linearizable read, whichever branch runs. Else a leader that was replaced would answer.
        branches = ([], wanted) if compares else (wanted, [])
        if command.ahead is None:  # whoever leads may have to resign
            self._client.expect()
        answer = await self._client.txn(compares, *branches, timeout=timeout)
        if compares and answer.succeeded:
            return ev.Unchanged(command.op, self._header_of(answer))
        found = [_first(part) for part in answer.answers]
        entries = self._entries_of(found[0], found[2], *found[3:4])
        ahead = entries[2] if command.ahead else None
        count = _count(answer.answers[2])
        return ev.OwnRead(
            command.op, self._header_of(answer), entries[0], ahead, entries[1], declared_of(found[1]), count
        )

    def _expectations(self, command: cmd.ReadOwn) -> list[Compare]:
        expected, own = command.expected, self._keys.entry(command.lease)
        if expected is None:
            return []
        compares = [
            Compare.create_revision(own, "=", expected.token),
            Compare.mod_revision(own, "=", expected.mod_revision),
            Compare.mod_revision(self._keys.spec, "=", expected.spec_revision),
        ]
        if command.ahead:
            compares.append(Compare.mod_revision(command.ahead, "=", expected.ahead_revision))
        return compares

    async def _keep_alive(self, command: cmd.KeepAlive, timeout: float) -> ev.Event:
        begun = asyncio.get_running_loop().time()
        answer = await self._client.keep_alive(command.lease, timeout=timeout)
        left = timeout - (asyncio.get_running_loop().time() - begun)
        if answer.ttl > 0 and left > 0 and self._own.is_outdated(command.lease):
            await self._own.update(command.lease, left)
        return ev.KeptAlive(command.op, self._header_of(answer), answer.ttl, answer.sent)

    async def _write(self, command: cmd.Write, timeout: float) -> ev.Event:
        key = self._keys.entry(command.lease)
        answer = await self._client.txn(
            [
                Compare.create_revision(key, "=", command.token),
                Compare.mod_revision(key, "=", command.mod_revision),
            ],
            [Put(key, self._own.encode(command.record), lease=command.lease)],
            timeout=timeout,
        )
        return ev.Written(command.op, self._header_of(answer), answer.succeeded)

    async def _resign(self, command: cmd.Resign, timeout: float) -> ev.Event:
        answer = await self._client.perform(self._resignation.of(command), timeout=timeout, urgent=True)
        return ev.Written(command.op, self._header_of(answer), answer.succeeded)

    def _whole_queue(self) -> Get:
        return Get(self._keys.queue, end=prefix_end(self._keys.queue), sort=SortBy.CREATE)


def code_of(error: EtcdError) -> Code:
    """The kind of this failure, for whoever asks why a sidecar does not lead."""
    if error.concerns_login:
        return Code.ETCD_LOGIN
    if _is_lease_gone(error):
        return Code.KEY_LOST
    if isinstance(error, Refused):
        return Code.ETCD_REFUSES
    full = isinstance(error, OutcomeUnknown) and error.no_space
    return Code.ETCD_FULL if full else Code.ETCD_UNREACHABLE


def _is_lease_gone(error: EtcdError) -> bool:
    return isinstance(error, Refused) and error.lease_gone


def _entries(answer: object) -> tuple[Entry, ...]:
    return tuple(entry_of(kv) for kv in answer.kvs) if isinstance(answer, RangeAnswer) else ()


def _first(answer: object) -> KeyValue | None:
    return answer.first if isinstance(answer, RangeAnswer) else None


def _count(answer: object) -> int:
    """How many keys the range has in all, whatever its limit was."""
    return answer.count if isinstance(answer, RangeAnswer) else 0
