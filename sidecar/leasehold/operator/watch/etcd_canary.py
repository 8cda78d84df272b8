"""A key that an operator writes in order to see it come back: proof that the watch delivers.

It stands outside the locks but under the same root, so that the one watch brings it between all other changes: when it
has come, all that was written before it has come, too. Its lease takes it away after the operator has gone.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import OutcomeUnknown, Refused
from leasehold.etcd.model import PutAnswer

_LEASE_TTL: Final = 60
"""Seconds that the key outlives its writer."""


def canary_key(root: str, identity: str) -> str:
    """The key of one replica's canary."""
    return f"{root}/operator/canary/{quote(identity, safe='')}"


class WritesRefused(Exception):
    """etcd answered, but takes no writes: its space is used up, or a role is missing. Reads may well go on."""


class EtcdCanary:
    """Writes one replica's canary; knows nothing of the watch."""

    def __init__(self, client: EtcdClient, root: str, identity: str) -> None:
        self._client = client
        self._key = canary_key(root, identity)
        self._lease = 0
        self._renewed = 0.0
        self._count = 0

    async def write(self, timeout: float) -> int:
        """Write it anew; its revision. Each of the requests takes `timeout` at most.

        Raises WritesRefused when etcd lives but takes no writes, EtcdError for anything else.
        """
        try:
            answer = await self._put(timeout)
        except Refused as error:
            raise WritesRefused(str(error)) from error
        except OutcomeUnknown as error:
            if error.no_space:
                raise WritesRefused(str(error)) from error
            raise
        return answer.origin.revision

    async def _put(self, timeout: float) -> PutAnswer:
        self._count += 1
        value, lease = b"%d" % self._count, await self._living_lease(timeout)
        try:
            return await self._client.put(self._key, value, lease=lease, timeout=timeout)
        except Refused as error:
            if not error.lease_gone:
                raise
        if self._lease == lease:
            self._lease = 0  # an etcd that was wiped or restored knows nothing of it
        lease = await self._living_lease(timeout)
        return await self._client.put(self._key, value, lease=lease, timeout=timeout)

    async def _living_lease(self, timeout: float) -> int:
        now = asyncio.get_running_loop().time()
        if self._lease and now < self._renewed + _LEASE_TTL / 3:
            return self._lease
        if not (self._lease and (await self._client.keep_alive(self._lease, timeout=timeout)).ttl > 0):
            self._lease = (await self._client.grant(_LEASE_TTL, timeout=timeout)).lease
        self._renewed = now
        return self._lease
