"""The operator's writes to etcd: each is one transaction that checks its own preconditions.

Every transaction compares two revisions. The first is the create revision of the operator's own queue key, which shows
that this replica still holds the operators' lock: a replica that was paused and has been replaced can no longer write.
The second is the one that was read: the spec's mod revision or the candidate's create revision. If it has changed, the
lock has to be reconciled first.

An eviction does not compare the lock's spec. The create revision identifies one candidate permanently. That its pod
has ended, or that somebody wanted it revoked, stays true whatever the spec says by then. The candidate's mod revision
is not compared either: the record may change while the candidate stays the same.

Nothing is retried here. An unknown outcome (OutcomeUnknown) is raised like any other error: the mirror will show the
result, and the next reconcile decides from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import Compare, Delete, Get, Op, Put, RangeAnswer, TxnAnswer
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.operator.plan.model import DeleteSpec, Evict, PutSpec

WRITE_TIMEOUT_SECONDS: Final = 2.0


class NotActive(Exception):
    """Nothing was written: this replica does not hold the operators' lock, or no longer."""


class Conflict(Exception):
    """Nothing was written: the key has changed since it was read. Reconcile again."""


class Writer:
    """Writes for the active replica. `fence` returns its own queue key and token, None while it is not active.

    All writes raise NotActive, Conflict or EtcdError. After OutcomeUnknown, the write may have been done or may still
    be done.
    """

    def __init__(self, client: EtcdClient, root: str, fence: Callable[[], tuple[str, int] | None]) -> None:
        self._client = client
        self._root = root
        self._fence = fence

    async def put_spec(self, name: LockName, put: PutSpec) -> int:
        """Write a lock's spec key; its new mod revision."""
        key = Keys(name, self._root).spec
        answer = await self._write(Compare.mod_revision(key, "=", put.mod_revision), Put(key, put.value))
        return answer.origin.revision

    async def delete_spec(self, name: LockName, delete: DeleteSpec) -> None:
        """Delete a lock's spec key."""
        key = Keys(name, self._root).spec
        await self._write(Compare.mod_revision(key, "=", delete.mod_revision), Delete(key))

    async def evict(self, name: LockName, evict: Evict) -> None:
        """Delete a candidate's key. Raises ValueError if it is a candidate of another lock."""
        key = evict.entry.key
        if not key.startswith(Keys(name, self._root).queue):
            raise ValueError(f"{key!r} is not a candidate of the lock {name}")
        await self._write(Compare.create_revision(key, "=", evict.entry.create_revision), Delete(key))

    async def _write(self, compare: Compare, op: Op) -> TxnAnswer:
        fence = self._fence()
        if fence is None:
            raise NotActive("this replica is not the active one")
        own, token = fence
        answer = await self._client.txn(
            [Compare.create_revision(own, "=", token), compare],
            [op],
            [Get(own, keys_only=True)],
            timeout=WRITE_TIMEOUT_SECONDS,
        )
        if answer.succeeded:
            return answer
        if _create_revision(answer) != token:
            raise NotActive("this replica has been replaced: its own key is gone")
        raise Conflict(f"{_name(compare)} has changed since it was read")


def _create_revision(answer: TxnAnswer) -> int:
    found = answer.answers[0]
    return found.first.create_revision if isinstance(found, RangeAnswer) and found.first else 0


def _name(compare: Compare) -> str:
    return compare.key if isinstance(compare.key, str) else compare.key.decode(errors="replace")
