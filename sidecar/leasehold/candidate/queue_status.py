"""A lock's queue and spec, read from etcd at one revision, for `leasehold status` and `kubectl leasehold describe`.

A candidate that is first in the queue there may have lost contact a moment ago, and no longer answer 200.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from leasehold.candidate.connect import client_for
from leasehold.candidate.store import declared_of, entry_of
from leasehold.election.events import Declared
from leasehold.etcd import EtcdClient, EtcdError, Get, RangeAnswer, SortBy
from leasehold.lock.keys import Entry, Keys, Spec, prefix_end
from leasehold.settings.etcd import EtcdConfig

_AT_ONCE: Final = 16


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
        Candidate(position, _holds(position, entry, declared.spec or Spec()), entry, seconds)
        for position, (entry, seconds) in enumerate(zip(entries, left, strict=True))
    )
    return Queue(keys, declared, answer.origin.revision, candidates)


def _holds(position: int, entry: Entry, spec: Spec) -> bool:
    """Foreign candidates know neither capacity nor suspension: the first key leads, as etcd's own election has it."""
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
