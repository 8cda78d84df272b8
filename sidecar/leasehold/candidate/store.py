"""The election's questions as etcd requests, and etcd's answers as the election's events. No decisions.

Every question gets exactly one answer: the event that fits it, or `Failed`. Whether a failure means that nothing was
done is the client's word (`Refused`, `NotSent`); everything else is an unknown outcome.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.etcd import (
    Compare,
    Delete,
    EtcdClient,
    EtcdError,
    Get,
    KeyValue,
    NotSent,
    Op,
    Put,
    RangeAnswer,
    Refused,
    SortBy,
    WatchEvent,
)
from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

_CEILING: Final = 2.0
_FLOOR: Final = 0.5


def timeout_for(ttl: int) -> float:
    """Seconds that one request may take: a fifth of the TTL, so that a hung member costs one try, not the lease."""
    return min(_CEILING, max(_FLOOR, ttl / 5))


_SOUND: Final = {(3, 4): 31, (3, 5): 13}
"""The first patch release of a minor version in which a replaced leader's revocations are refused."""


def flaw_of(version: str) -> str | None:
    """What is wrong with this version of etcd, for the log; None if nothing is known to be.

    Until 3.4.31 and 3.5.13 a leader whose disk hung, and that was replaced meanwhile, could pass on to its successor
    the revocation of leases that had been renewed there; and a watch begun anew could miss events. For such a lease
    the key is gone before the deadline, as if it had been deleted by hand.

    Later versions check first that they still lead, unless their raft clock ticked within the last 300 ms: a leader
    that was stopped as a whole ticks first thing on waking, and revokes then all the same (seen with 3.7.3). That
    takes a stopped process or machine, so no version is warned of for it.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return None
    major, minor, patch = (int(number) for number in found.groups())
    if (major, minor) >= (3, 6) or patch >= _SOUND.get((major, minor), math.inf):
        return None
    return (
        f"etcd {version} can revoke leases that are still being renewed, after its leader's disk has hung: two may "
        "lead then until a deadline has passed; use 3.4.31, 3.5.13 or newer"
    )


def entry_of(kv: KeyValue) -> Entry:
    """A key of the queue as a candidate, whoever wrote it."""
    key = kv.key.decode(errors="surrogateescape")  # whatever bytes it is of, it can be watched, compared and deleted
    return Entry(key, kv.lease, kv.create_revision, kv.mod_revision, Record.decode(kv.value))


def declared_of(kv: KeyValue | None) -> ev.Declared:
    """The spec key's value, or what is wrong with it."""
    if kv is None:
        return ev.Declared(None)
    try:
        return ev.Declared(Spec.decode(kv.value), kv.mod_revision)
    except ValueError as error:
        return ev.Declared(None, kv.mod_revision, broken=str(error))


class Store:
    """One lock in etcd, as the election asks about it."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._how: dict[type, Callable[[Any, float], Awaitable[ev.Event]]] = {
            cmd.ReadSpec: self._read_spec,
            cmd.Grant: self._grant,
            cmd.Join: self._join,
            cmd.ReadQueue: self._read_queue,
            cmd.ReadOwn: self._read_own,
            cmd.KeepAlive: self._keep_alive,
            cmd.Write: self._write,
            cmd.Resign: self._give_up,
        }

    async def perform(self, command: Any, timeout: float) -> ev.Event:
        """Ask etcd, within `timeout` seconds, and return the answer as an event."""
        try:
            return await self._how[type(command)](command, timeout)
        except EtcdError as error:
            nothing_done = isinstance(error, (Refused, NotSent))
            gone = isinstance(error, Refused) and error.lease_gone
            return ev.Failed(command.op, str(error), refused=nothing_done, lease_gone=gone)

    async def _read_spec(self, command: cmd.ReadSpec, timeout: float) -> ev.Event:
        answer = await self._client.range(self._keys.spec, timeout=timeout)
        return ev.SpecRead(command.op, answer.origin, declared_of(answer.first))

    async def _grant(self, command: cmd.Grant, timeout: float) -> ev.Event:
        answer = await self._client.grant(command.ttl, timeout=timeout)
        return ev.Granted(command.op, answer.origin, answer.lease, answer.ttl, answer.sent)

    async def _join(self, command: cmd.Join, timeout: float) -> ev.Event:
        key = self._keys.entry(command.lease)
        answer = await self._client.txn(
            [
                Compare.mod_revision(self._keys.spec, "=", command.spec_revision),
                Compare.create_revision(key, "=", 0),
            ],
            [Put(key, command.record.encode(), lease=command.lease), self._whole_queue()],
            timeout=timeout,
        )
        queue = _entries(answer.answers[1]) if answer.succeeded else ()
        return ev.Joined(command.op, answer.origin, answer.succeeded, queue)

    async def _read_queue(self, command: cmd.ReadQueue, timeout: float) -> ev.Event:
        answer = await self._client.txn((), [self._whole_queue(), Get(self._keys.spec)], timeout=timeout)
        queue, spec = answer.answers
        return ev.QueueRead(command.op, answer.origin, _entries(queue), declared_of(_first(spec)))

    async def _read_own(self, command: cmd.ReadOwn, timeout: float) -> ev.Event:
        own = self._keys.entry(command.lease)
        queue = self._keys.queue
        head = Get(queue, end=prefix_end(queue), sort=SortBy.CREATE, limit=1)
        wanted = [Get(own), Get(self._keys.spec), head, *([Get(command.ahead)] if command.ahead else [])]
        answer = await self._client.txn((), wanted, timeout=timeout)
        found = [_first(part) for part in answer.answers]
        entries = [entry_of(kv) if kv else None for kv in (found[0], found[2], *found[3:4])]
        ahead = entries[2] if command.ahead else None
        count = _count(answer.answers[2])
        return ev.OwnRead(command.op, answer.origin, entries[0], ahead, entries[1], declared_of(found[1]), count)

    async def _keep_alive(self, command: cmd.KeepAlive, timeout: float) -> ev.Event:
        answer = await self._client.keep_alive(command.lease, timeout=timeout)
        return ev.KeptAlive(command.op, answer.origin, answer.ttl, answer.sent)

    async def _write(self, command: cmd.Write, timeout: float) -> ev.Event:
        key = self._keys.entry(command.lease)
        answer = await self._client.txn(
            [
                Compare.create_revision(key, "=", command.token),
                Compare.mod_revision(key, "=", command.mod_revision),
            ],
            [Put(key, command.record.encode(), lease=command.lease)],
            timeout=timeout,
        )
        return ev.Written(command.op, answer.origin, answer.succeeded)

    async def _give_up(self, command: cmd.Resign, timeout: float) -> ev.Event:
        key = self._keys.entry(command.lease)
        compares = [Compare.create_revision(key, "=", command.token)]
        others = (*command.skipped, *command.guards)
        compares += [Compare.create_revision(entry.key, "=", entry.create_revision) for entry in others]
        if command.spec_revision is not None:
            compares.append(Compare.mod_revision(self._keys.spec, "=", command.spec_revision))
        deletes: list[Op] = [Delete(entry.key) for entry in command.skipped]
        if not command.keep_own:
            deletes.append(Delete(key))
        answer = await self._client.txn(compares, deletes, timeout=timeout)
        return ev.Written(command.op, answer.origin, answer.succeeded)

    def _whole_queue(self) -> Get:
        return Get(self._keys.queue, end=prefix_end(self._keys.queue), sort=SortBy.CREATE)

    def heard(self, event: WatchEvent, revision: int) -> ev.Event:
        """One watch event. The watches are on the spec key and on keys of the queue."""
        key = event.kv.key.decode(errors="surrogateescape")
        if key == self._keys.spec:
            return ev.SpecChanged(declared_of(None if event.deleted else event.kv), event.kv.mod_revision or revision)
        if event.deleted:
            return ev.EntryGone(key, event.kv.mod_revision or revision)
        return ev.EntryPut(entry_of(event.kv))


def _entries(answer: object) -> tuple[Entry, ...]:
    return tuple(entry_of(kv) for kv in answer.kvs) if isinstance(answer, RangeAnswer) else ()


def _first(answer: object) -> KeyValue | None:
    return answer.first if isinstance(answer, RangeAnswer) else None


def _count(answer: object) -> int:
    """How many keys the range has in all, whatever its limit was."""
    return answer.count if isinstance(answer, RangeAnswer) else 0
