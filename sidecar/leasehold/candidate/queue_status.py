"""A lock's queue and spec, read from etcd at one revision, for `leasehold status` and `kubectl leasehold describe`.

A candidate that is first in the queue there may have lost contact a moment ago, and no longer answer 200.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from leasehold.base.records import dataclass
from leasehold.candidate.any_member import QueueUnreadable, ask_any
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.lock_reading import Reading, read_locks
from leasehold.candidate.shown_reason import shown_reason
from leasehold.candidate.store import Store
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.events import Declared
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code, Reason
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.lock.stored import holds

_PARALLEL_REQUESTS: Final = 16
_REQUEST_TIMEOUT_SECONDS: Final = 2.0


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
        return self.declared.effective

    def why_not(self, candidate: Candidate) -> Reason | None:
        """Why this one does not hold, as far as etcd shows it; None if it holds."""
        if candidate.seconds_left is not None and candidate.seconds_left < 0:
            return Reason(Code.UNCONFIRMED)
        return shown_reason(candidate.position, candidate.entry, self.candidates[0].entry, self.spec)


async def read_any(client: EtcdClient, members: int, root: str, lock: LockName) -> Queue:
    """The lock, from any of so many members. Raises QueueUnreadable."""
    keys = Keys(lock, root)
    store = EtcdStore(client, keys)
    return await ask_any(members, lambda: read(store, keys))


async def read_all(client: EtcdClient, members: int, root: str) -> Reading:
    """All locks under this root, from any of so many members. Raises QueueUnreadable."""
    return await ask_any(members, lambda: read_locks(client, root, timeout=_REQUEST_TIMEOUT_SECONDS))


async def read(store: Store, keys: Keys) -> Queue:
    """The lock's queue and spec at one revision, and after that the leases. Raises QueueUnreadable."""
    answer = await store.perform(cmd.ReadQueue(0), _REQUEST_TIMEOUT_SECONDS)
    if isinstance(answer, ev.Failed):
        raise QueueUnreadable(answer.reason)
    assert isinstance(answer, ev.QueueRead)
    left = await _leases(store, answer.queue)
    candidates = tuple(
        Candidate(position, _holds(position, entry, answer.declared.effective, seconds), entry, seconds)
        for position, (entry, seconds) in enumerate(zip(answer.queue, left, strict=True))
    )
    return Queue(keys, answer.declared, answer.origin.revision, candidates)


def _holds(position: int, entry: Entry, spec: Spec, seconds_left: int | None) -> bool:
    """A lease that has expired holds nothing, though its key may still stand, as under etcd's CORRUPT alarm."""
    if seconds_left is not None and seconds_left < 0:
        return False
    return holds(position, entry, spec)


async def _leases(store: Store, entries: Sequence[Entry]) -> list[int | None]:
    turns = asyncio.Semaphore(_PARALLEL_REQUESTS)

    async def ask(entry: Entry) -> int | None:
        async with turns:
            return await store.time_to_live(entry.lease, _REQUEST_TIMEOUT_SECONDS) if entry.lease else None

    return await asyncio.gather(*(ask(entry) for entry in entries))


def why(error: QueueUnreadable, *, named: bool) -> str:
    """The error, with the mend where it can be known; `named`: whether the client names a user to etcd."""
    said = str(error).rstrip(".")
    if not named and "demands a user name" in said:
        return f"{said}; give --etcd-user and --etcd-password-file."
    return f"{said}."
