"""The candidates' keys of all locks under one root, read and deleted: a restored etcd must not keep any.

A restore brings the keys of the snapshot back, each attached to its lease with a full TTL. Their create revisions, the
fencing tokens, stay as they were: `--bump-revision` raises only the revisions that etcd gives out afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.base.records import dataclass
from leasehold.candidate.any_member import QueueUnreadable, ask_any
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import Compare, Delete
from leasehold.lock.keys import locks_prefix, prefix_end

_PAGE_KEYS: Final = 500
"""A page has the values as well: without them (`keys_only`), etcd 3.7 leaves the leases out."""
_TRANSACTION_KEYS: Final = 100
"""etcd takes 128 operations, and as many comparisons, in one transaction (`--max-txn-ops`)."""
_PARALLEL_REQUESTS: Final = 16
_REQUEST_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class QueueKey:
    """One candidate's key. `lock` is `namespace/name`, as the key has it; `lease` is 0 for a key without one."""

    lock: str
    key: bytes
    lease: int
    create_revision: int


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """All candidates' keys at one revision of etcd, in the order of their names."""

    revision: int
    keys: tuple[QueueKey, ...]


class QueueKeyStore:
    """The candidates' keys of all locks under `root`. All methods raise QueueUnreadable.

    `prefix` is what the keys of all these locks begin with.
    """

    def __init__(self, client: EtcdClient, members: int, root: str) -> None:
        """`members`: how many etcd has."""
        self._client = client
        self._members = members
        self.prefix = locks_prefix(root)

    async def read(self) -> QueueKeys:
        """Read all keys, at one revision."""
        return await ask_any(self._members, self._read)

    async def leases(self, keys: Sequence[QueueKey]) -> Mapping[int, int]:
        """The seconds left of each of these keys' leases that exists."""
        turns = asyncio.Semaphore(_PARALLEL_REQUESTS)

        async def ask(lease: int) -> tuple[int, int]:
            async with turns:
                return lease, (await self._client.time_to_live(lease, timeout=_REQUEST_TIMEOUT_SECONDS)).ttl

        async def ask_all() -> Sequence[tuple[int, int]]:
            return await asyncio.gather(*(ask(lease) for lease in {key.lease for key in keys if key.lease}))

        return {lease: seconds for lease, seconds in await ask_any(self._members, ask_all) if seconds >= 0}

    async def delete(self, keys: Sequence[QueueKey]) -> int:
        """Delete those of these keys that are still the ones that were read; returns how many."""
        deleted = 0
        for start in range(0, len(keys), _TRANSACTION_KEYS):
            try:
                deleted += await self._delete(keys[start : start + _TRANSACTION_KEYS])
            except EtcdError as error:
                raise QueueUnreadable(
                    f"{error.reason}; {deleted} of {len(keys)} keys are known to be deleted"
                ) from None
        return deleted

    async def _read(self) -> QueueKeys:
        prefix = self.prefix
        start, end = prefix.encode(), prefix_end(prefix)
        found: list[QueueKey] = []
        revision, more = 0, True
        while more:
            page = await self._client.range(
                start, end=end, limit=_PAGE_KEYS, revision=revision, timeout=_REQUEST_TIMEOUT_SECONDS
            )
            revision, more = revision or page.origin.revision, page.more
            for kv in page.kvs:
                lock = _lock_of(kv.key, prefix)
                if lock is not None:
                    found.append(QueueKey(lock, kv.key, kv.lease, kv.create_revision))
                start = kv.key + b"\0"
        return QueueKeys(revision, tuple(found))

    async def _delete(self, keys: Sequence[QueueKey]) -> int:
        answer = await self._client.txn(
            [Compare.create_revision(key.key, "=", key.create_revision) for key in keys],
            [Delete(key.key) for key in keys],
            timeout=_REQUEST_TIMEOUT_SECONDS,
        )
        if answer.succeeded:
            return len(keys)
        # one of them is gone, or was created again, and holds up the others: find it by halves
        if len(keys) == 1:
            return 0
        half = len(keys) // 2
        return await self._delete(keys[:half]) + await self._delete(keys[half:])


def _lock_of(key: bytes, prefix: str) -> str | None:
    """The lock whose queue this key stands in; None for every other key."""
    parts = key.decode(errors="replace").removeprefix(prefix).split("/", 3)
    return "/".join(parts[:2]) if len(parts) == 4 and parts[2] == "queue" else None
