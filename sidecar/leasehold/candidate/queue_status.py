"""`leasehold status`: who holds a lock and who waits for it, read from etcd.

Exit codes: 0 when the queue was printed, whoever holds; 1 when etcd could not be asked; 2 for settings. What is
printed is one revision of etcd; whoever stands first there may have lost touch a moment ago, and not say 200 any more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from leasehold.candidate.connect import client_for
from leasehold.candidate.store import declared_of, entry_of
from leasehold.election.events import Declared
from leasehold.etcd import EtcdClient, EtcdError, Get, RangeAnswer, SortBy
from leasehold.lock.keys import DEFAULT_TTL, Entry, Keys, Spec, prefix_end
from leasehold.settings import flags
from leasehold.settings.config import open_settings, read_lock
from leasehold.settings.etcd import EtcdConfig, read_etcd

FAILED: Final = 1
_AT_ONCE: Final = 16
_SUMMARY: Final = "Print a lock's queue from etcd: who holds it, who waits, and how long their leases last."


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry of the queue. `seconds_left` is its lease's, None where etcd would not say, negative once expired."""

    position: int
    holds: bool
    entry: Entry
    seconds_left: int | None


@dataclass(frozen=True, slots=True)
class Queue:
    """A lock at one revision of etcd."""

    keys: Keys
    declared: Declared
    revision: int
    candidates: tuple[Candidate, ...]

    @property
    def spec(self) -> Spec:
        """What the lock was declared as; the defaults where it was not."""
        return self.declared.spec or Spec()


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold status`. Raises ConfigError."""
    settings = open_settings("status", _SUMMARY, flags.STATUS, arguments, environ)
    etcd, lock = read_etcd(settings), read_lock(settings)
    root, output = settings.get(flags.ROOT), settings.get(flags.OUTPUT)
    settings.finish()
    logging.getLogger("leasehold").setLevel(logging.CRITICAL)  # what goes wrong is said below, once
    try:
        queue = asyncio.run(read_any(etcd, Keys(lock, root)))
    except EtcdError as error:
        sys.stderr.write(f"leasehold: The queue cannot be read: {why(etcd, error)}\n")
        return FAILED
    sys.stdout.write(as_json(queue) if output == "json" else as_table(queue))
    return 0


# --- reading ---


async def read_any(etcd: EtcdConfig, keys: Keys) -> Queue:
    """Ask one member after the other. Raises EtcdError, the last one's, when none can be asked."""
    client = client_for(etcd)
    try:
        for _ in etcd.endpoints[1:]:
            try:
                return await read(client, keys)
            except EtcdError:
                continue  # the client goes on to the next member by itself
        return await read(client, keys)
    finally:
        await client.close()


async def read(client: EtcdClient, keys: Keys) -> Queue:
    """The lock's queue and spec at one revision, and after that the leases. Raises EtcdError."""
    whole = Get(keys.queue, end=prefix_end(keys.queue), sort=SortBy.CREATE)
    answer = await client.txn((), (whole, Get(keys.spec)))
    found, spec = answer.answers
    assert isinstance(found, RangeAnswer)
    assert isinstance(spec, RangeAnswer)
    entries = [entry_of(kv) for kv in found.kvs]
    declared = declared_of(spec.first)
    left = await _leases(client, entries)
    candidates = tuple(
        Candidate(position, _holds(position, entry, declared.spec or Spec(), seconds), entry, seconds)
        for position, (entry, seconds) in enumerate(zip(entries, left, strict=True))
    )
    return Queue(keys, declared, answer.origin.revision, candidates)


def _holds(position: int, entry: Entry, spec: Spec, seconds_left: int | None) -> bool:
    """Foreign candidates know neither capacity nor suspension: the first key leads, as etcd's own election has it.

    A lease that has expired holds nothing, though its key may still stand, as under etcd's CORRUPT alarm.
    """
    if seconds_left is not None and seconds_left < 0:
        return False
    if entry.record.foreign:
        return position == 0
    return position < spec.capacity and not spec.suspend


async def _leases(client: EtcdClient, entries: Sequence[Entry]) -> list[int | None]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def ask(entry: Entry) -> int | None:
        async with at_once:
            try:
                return (await client.time_to_live(entry.lease)).ttl if entry.lease else None
            except EtcdError:  # the queue is worth printing without
                return None

    return await asyncio.gather(*(ask(entry) for entry in entries))


def why(etcd: EtcdConfig, error: EtcdError) -> str:
    """The error, with the mend where it can be known."""
    said = str(error).rstrip(".")
    if not etcd.user and "demands a user name" in said:
        return f"{said}; give --etcd-user and --etcd-password-file."
    return f"{said}."


# --- printing ---


def as_json(queue: Queue) -> str:
    """The queue for programs; absent where nothing is known, with the names of the Lock resource."""
    spec = queue.spec
    named = {
        "lock": str(queue.keys.lock),
        "key": queue.keys.prefix,
        "revision": queue.revision,
        "declared": queue.declared.revision > 0,
        "specError": queue.declared.broken or None,
        "leaseDurationSeconds": spec.ttl,
        "capacity": spec.capacity,
        "suspend": spec.suspend,
        "deleting": spec.deleting,
        "preferredHolder": spec.preferred_holder or None,
        "preferredGroup": spec.preferred_group or None,
        "candidates": [_fields(candidate) for candidate in queue.candidates],
    }
    return json.dumps({name: value for name, value in named.items() if value is not None}, indent=2) + "\n"


def _fields(candidate: Candidate) -> dict[str, Any]:
    entry, record = candidate.entry, candidate.entry.record
    named = {
        "position": candidate.position,
        "holds": candidate.holds,
        "identity": record.identity,
        "token": entry.create_revision,
        "leaseID": f"{entry.lease:x}",
        "leaseSecondsLeft": candidate.seconds_left,
        "priority": record.priority,
        "group": record.group or None,
        "pod": record.pod or None,
        "podNamespace": record.pod_namespace or None,
        "podUID": record.pod_uid or None,
        "node": record.node or None,
        "yieldTo": record.yield_to or None,
        "foreign": record.foreign,
    }
    return {name: value for name, value in named.items() if value is not None}


_COLUMNS: Final = ("POSITION", "HOLDS", "IDENTITY", "TOKEN", "GROUP", "PRIORITY", "POD", "NODE", "LEASE LEFT")


def as_table(queue: Queue) -> str:
    """The queue for people."""
    lines = [_headline(queue), _declaration(queue)]
    if queue.candidates:
        rows = [_COLUMNS, *(_row(candidate) for candidate in queue.candidates)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines.append("")
        padded = [[f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)] for row in rows]
        lines += ["  ".join(cells).rstrip() for cells in padded]
    return "\n".join(lines) + "\n"


def _headline(queue: Queue) -> str:
    holders = [c.entry.record.identity for c in queue.candidates if c.holds]
    waiting = len(queue.candidates) - len(holders)
    if holders:
        state = "held by " + ", ".join(_printable(holder) for holder in holders)
    elif queue.spec.suspend:
        state = "suspended: nobody may hold it"
    else:
        state = "vacant"
    return f"Lock {queue.keys.lock}: {state}; {waiting or 'nobody'} waiting."


def _declaration(queue: Queue) -> str:
    spec, declared = queue.spec, queue.declared
    if declared.broken:
        return f"Declared, but {_printable(declared.broken)}. Sidecars keep to the last one they could read."
    if not declared.revision:
        return f"Not declared: no Lock resource stands behind it. TTL: each sidecar's own, else {DEFAULT_TTL} s."
    words = [f"TTL {spec.ttl} s" if spec.ttl else f"TTL each sidecar's own, else {DEFAULT_TTL} s"]
    words.append(f"capacity {spec.capacity}")
    if spec.suspend:
        words.append("being deleted" if spec.deleting else "suspended")
    if spec.preferred_holder:
        words.append(f"preferred holder {_printable(spec.preferred_holder)}")
    if spec.preferred_group:
        words.append(f"preferred group {_printable(spec.preferred_group)}")
    return f"Declared: {', '.join(words)}."


def _row(candidate: Candidate) -> tuple[str, ...]:
    entry, record = candidate.entry, candidate.entry.record
    holds = "yes" if candidate.holds else "no"
    if record.yield_to:
        holds = f"yields to {_printable(record.yield_to)}"
    priority = "(foreign)" if record.foreign else str(record.priority)
    group, pod, node = (_printable(text) or "-" for text in (record.group, record.pod, record.node))
    identity = _printable(record.identity) or "-"
    token = str(entry.create_revision)
    return str(candidate.position), holds, identity, token, group, priority, pod, node, _left(candidate)


def _left(candidate: Candidate) -> str:
    if not candidate.entry.lease:
        return "no lease"
    if candidate.seconds_left is None:
        return "unknown"
    return f"{candidate.seconds_left} s" if candidate.seconds_left >= 0 else "expired"


def _printable(text: str) -> str:
    """Text from etcd on a terminal: nothing invisible, and nothing that changes the direction of the rest."""
    return "".join(character if character.isprintable() else "�" for character in text)
