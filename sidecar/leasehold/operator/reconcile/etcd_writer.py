"""The operator's writes to etcd: each one transaction, which says itself whether it may still be done.

Two comparisons stand in every one of them. The first is of the operator's own candidate, that it still holds the lock
of the operators: an operator that was paused, and has been replaced, writes nothing any more, whatever it believes.
The second is of what was read: the spec's mod revision, or the candidate's create revision, so that a change in between
is looked at first.

An eviction does not compare the lock's spec. A candidate is named by its create revision, for ever and alone; that its
pod has ended, or that a person wanted it revoked, stays true whatever the spec says by then. Nor does it compare the
candidate's mod revision: the record may change while it lives, and it is the same candidate.

Nothing is repeated here. An unknown outcome (OutcomeUnknown) is raised like any other: who acts on the mirror will see
what became of it, and decide anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leasehold.etcd import Compare, Delete, EtcdClient, Get, Op, Put, RangeAnswer, TxnAnswer
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.operator.plan.orders import DeleteSpec, Evict, PutSpec

TIMEOUT: Final = 2.0
"""Seconds that one write may take."""


class NotActive(Exception):
    """Nothing was written: this replica does not hold the operators' lock (any more)."""


class Conflict(Exception):
    """Nothing was written: the key is no longer as it was read. Look again."""


class Writer:
    """Writes for the active replica. `guard` gives its own queue key and token, None while it is not active.

    All writes raise NotActive, Conflict or EtcdError; after OutcomeUnknown it may have been done, or yet be.
    """

    def __init__(self, client: EtcdClient, root: str, guard: Callable[[], tuple[str, int] | None]) -> None:
        self._client = client
        self._root = root
        self._guard = guard

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
        """Delete the key of a candidate of this lock; ValueError for one of another."""
        key = evict.entry.key
        if not key.startswith(Keys(name, self._root).queue):
            raise ValueError(f"{key!r} is no candidate of the lock {name}")
        await self._write(Compare.create_revision(key, "=", evict.entry.create_revision), Delete(key))

    async def _write(self, compare: Compare, op: Op) -> TxnAnswer:
        guard = self._guard()
        if guard is None:
            raise NotActive("this replica is not the active one")
        own, token = guard
        answer = await self._client.txn(
            [Compare.create_revision(own, "=", token), compare], [op], [Get(own, keys_only=True)], timeout=TIMEOUT
        )
        if answer.succeeded:
            return answer
        if _create_revision(answer) != token:
            raise NotActive("this replica has been replaced: its own key is gone")
        raise Conflict(f"{_name(compare)} is no longer as it was read")


def _create_revision(answer: TxnAnswer) -> int:
    found = answer.answers[0]
    return found.first.create_revision if isinstance(found, RangeAnswer) and found.first else 0


def _name(compare: Compare) -> str:
    return compare.key if isinstance(compare.key, str) else compare.key.decode(errors="replace")
