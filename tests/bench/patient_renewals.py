"""What a term needs after its token has become void, by clients without another time limit: the login alone is not it.

Each has a connection, a token and a lease with a key, as a sidecar has. When all tokens are void it logs in, renews the
lease, and confirms that by a read, as guarantee 2 asks, at the instant at which a sidecar would. No candidate can keep
a term that such a client is too late for.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError

GIVE_UP_SECONDS: Final = 90.0
"""For the login, the renewal, and the read: each longer than any lease here."""
LEASE_SECONDS: Final = 3600
LOGINS_AT_ONCE: Final = 4
STEPS: Final = ("logged in", "renewed", "confirmed")


@dataclass(frozen=True)
class Patient:
    """One client, with its lease and the key on it."""

    client: EtcdClient
    lease: int
    key: str

    async def renew(self, at: float) -> list[float]:
        """From this instant of the monotonic clock: the seconds until each of STEPS was done, infinity if never."""
        await asyncio.sleep(at - time.monotonic())
        done = []
        with contextlib.suppress(EtcdError):  # etcd gives each request a time of its own, too
            # the first call logs in; what it reads comes before the renewal, and proves nothing
            for step in (self.client.range(self.key), self.client.keep_alive(self.lease), self.client.range(self.key)):
                await step
                done.append(time.monotonic() - at)
        return done + [math.inf] * (len(STEPS) - len(done))


class Patients:
    """All of them, connected and logged in while entered."""

    def __init__(self, url: str, user: str, password: Path, prefix: str, count: int) -> None:
        self._clients = [
            EtcdClient([url], clock=time.monotonic, user=user, password_file=password, timeout=GIVE_UP_SECONDS)
            for _ in range(count)
        ]
        self._prefix = prefix
        self._turn = asyncio.Semaphore(LOGINS_AT_ONCE)
        self._patients: list[Patient] = []

    async def prepare(self) -> None:
        """Connect, log in, and write the keys."""
        self._patients = await asyncio.gather(*(self._prepared(number) for number in range(len(self._clients))))

    async def _prepared(self, number: int) -> Patient:
        client, key = self._clients[number], f"{self._prefix}{number}"
        async with self._turn:
            lease = (await client.grant(LEASE_SECONDS)).lease
            await client.put(key, b"", lease=lease)
        return Patient(client, lease, key)

    async def renew(self, starts: Sequence[float]) -> list[list[float]]:
        """Have each renew its lease, beginning so many seconds from now."""
        begin = time.monotonic()
        renewals = (one.renew(begin + start) for one, start in zip(self._patients, starts, strict=True))
        return await asyncio.gather(*renewals)

    async def close(self) -> None:
        """Disconnect."""
        await asyncio.gather(*(client.close() for client in self._clients))
