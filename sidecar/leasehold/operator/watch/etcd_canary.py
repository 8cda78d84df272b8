"""A key that the operator writes in order to see it come back through the watch, which proves that the watch delivers.

The key is outside the locks but under the same root, so the one watch delivers it in order with all other changes. Once
it has arrived, everything that was written before it has arrived too. Its lease removes it after the operator is gone.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import OutcomeUnknown, Refused
from leasehold.etcd.model import PutAnswer

_LEASE_TTL_SECONDS: Final = 60


def canary_key(root: str, identity: str) -> str:
    """The key of one replica's canary."""
    return f"{root}/operator/canary/{quote(identity, safe='')}"


class WritesRefused(Exception):
    """etcd answered but accepts no writes: its space is used up, or a role is missing. Reads may still work."""


class EtcdCanary:
    """Writes one replica's canary. It knows nothing of the watch."""

    def __init__(self, client: EtcdClient, root: str, identity: str) -> None:
        self._client = client
        self._key = canary_key(root, identity)
        self._lease = 0
        self._renewed_at = 0.0
        self._count = 0

    async def write(self, timeout: float) -> int:
        """Write the next value; its revision. Each request takes at most `timeout` seconds.

        Raises WritesRefused if etcd answers but accepts no writes, and EtcdError for anything else.
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
            self._lease = 0  # etcd was wiped or restored and does not know the lease
        lease = await self._living_lease(timeout)
        return await self._client.put(self._key, value, lease=lease, timeout=timeout)

    async def _living_lease(self, timeout: float) -> int:
        now = asyncio.get_running_loop().time()
        if self._lease and now < self._renewed_at + _LEASE_TTL_SECONDS / 3:
            return self._lease
        if not (self._lease and (await self._client.keep_alive(self._lease, timeout=timeout)).ttl > 0):
            self._lease = (await self._client.grant(_LEASE_TTL_SECONDS, timeout=timeout)).lease
        self._renewed_at = now
        return self._lease
