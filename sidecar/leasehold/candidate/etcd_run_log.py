"""The last successful run of a lock's command, kept in etcd under a lease as long as the period."""

from __future__ import annotations

import contextlib

from leasehold.candidate.run_log import LastRun, RunLogError
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import Compare, Put
from leasehold.lock.keys import Keys


class EtcdRunLog:
    """One lock's record. `client` is the caller's to close."""

    def __init__(self, client: EtcdClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def last_run(self, timeout: float) -> LastRun | None:
        """Read the record. Raises RunLogError."""
        try:
            found = (await self._client.range(self._keys.ran, timeout=timeout)).first
        except EtcdError as error:
            raise RunLogError(str(error)) from None
        return None if found is None else LastRun.decode(found.value)

    async def record(self, run: LastRun, key: str, token: int, period: int, timeout: float) -> bool:
        """Write the record on a new lease, which is given back if the key has gone. Raises RunLogError."""
        try:
            lease = (await self._client.grant(period, timeout=timeout)).lease
            compares = [Compare.create_revision(key, "=", token)]
            put = Put(self._keys.ran, run.encode(), lease=lease)
            answer = await self._client.txn(compares, [put], timeout=timeout)
        except EtcdError as error:
            raise RunLogError(str(error)) from None
        if not answer.succeeded:
            with contextlib.suppress(EtcdError):  # without a key, the lease only takes up room until it ends
                await self._client.revoke(lease, timeout=timeout)
        return answer.succeeded
