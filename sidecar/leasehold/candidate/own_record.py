"""The record in our own key, with the name by which we are connected to etcd.

The operator reads there whether a certificate is still in use, which etcd does not tell. A certificate can change
during a term, so the name is compared at each keep-alive, and the record is rewritten when it differs. The transaction
compares the key's revisions: a key that was deleted, given up or taken over meanwhile is not touched. The election
sees its own record change, as it does when a process takes up the term of the one before it.
"""

from __future__ import annotations

from leasehold.base.records import replace
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import Compare, KeyValue, Put
from leasehold.lock.keys import Keys
from leasehold.lock.names import sanitise
from leasehold.lock.record import Record


class OwnRecord:
    """The record of the candidates that one client puts into the queue of `keys`."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        client.prove_by(keys.entry(0))  # no candidate has this key: no lease has the id 0
        self._client = client
        self._keys = keys
        self._written: tuple[int, str] | None = None
        """The lease whose record was last seen to be right, and the name in it."""

    @property
    def _name(self) -> str:
        return sanitise(self._client.common_name)

    def encode(self, record: Record) -> bytes:
        """The record as the value of our key."""
        return replace(record, certificate=self._name).encode()

    def first(self, record: Record, lease: int) -> bytes:
        """The same, for a key that does not stand yet."""
        self._written = (lease, self._name)
        return self.encode(record)

    def is_outdated(self, lease: int) -> bool:
        """Whether the record of this lease's key may name another certificate than ours."""
        return bool(self._name) and self._written != (lease, self._name)

    async def update(self, lease: int, timeout: float) -> None:
        """Rewrite the record if it names another; `timeout` in seconds. If that fails, it is outdated still."""
        name = self._name
        try:
            kv = (await self._client.range(self._keys.entry(lease), timeout=timeout / 2)).first
            if kv is None or await self._rewritten(kv, name, timeout / 2):
                self._written = (lease, name)
        except EtcdError:
            return  # also without an answer: what stands there is read at the next keep-alive

    async def _rewritten(self, kv: KeyValue, name: str, timeout: float) -> bool:
        """Whether the key is in order now."""
        record = Record.decode(kv.value)
        if record.foreign or record.certificate == name:
            return True
        unchanged = [
            Compare.create_revision(kv.key, "=", kv.create_revision),
            Compare.mod_revision(kv.key, "=", kv.mod_revision),
        ]
        put = Put(kv.key, replace(record, certificate=name).encode(), lease=kv.lease)
        return (await self._client.txn(unchanged, [put], timeout=timeout)).succeeded
