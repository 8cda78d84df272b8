"""How long leases last, of those that a browser shows just now.

A renewal changes no key, so no watch reports it: etcd has to be asked for each lease. With ten thousand locks that
would be its main work, so only those are asked for that some browser has said, within the last minute, it shows; and
once a second or two, however many browsers show them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError

MAX_LEASES: Final = 300
"""Leases that are asked for at most: some pages' worth. The ones named first are forgotten first."""
INTEREST_SECONDS: Final = 60.0
_INTERVAL_SECONDS: Final = 1.0
_LONG_SECONDS: Final = 10
"""A lease that was granted for longer is asked for half as often, until less than half of it is left."""
_TIMEOUT_SECONDS: Final = 1.0
_PARALLEL_REQUESTS: Final = 8


class LeaseEnd:
    """When one lease ends, narrowed down. etcd answers in whole seconds: 14 says "at least 14, and less than 15"."""

    __slots__ = ("earliest", "granted", "latest")

    def __init__(self) -> None:
        self.earliest = 0.0
        self.latest = 0.0
        self.granted = 0

    def answered(self, ttl: int, granted: int, now: float) -> None:
        """etcd's answer at `now`. A lease that has no overlap with what was known was renewed, or has run out."""
        self.granted = granted
        earliest, latest = (now + ttl, now + ttl + 1.0) if ttl >= 0 else (now, now)
        if max(earliest, self.earliest) <= min(latest, self.latest):
            earliest, latest = max(earliest, self.earliest), min(latest, self.latest)
        self.earliest, self.latest = earliest, latest

    def is_due(self, number: int, now: float) -> bool:
        """Whether to ask for it in the turn of this number."""
        return number % 2 == 0 or self.granted < _LONG_SECONDS or self.left(now) < self.granted / 2

    def left(self, now: float) -> float:
        """Seconds left; 0 once it has ended."""
        return max(0.0, (self.earliest + self.latest) / 2 - now)


class Leases:
    """The leases that browsers show. `clock` gives monotonic seconds."""

    def __init__(self, client: EtcdClient, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._wanted: dict[int, float] = {}
        self._ends: dict[int, LeaseEnd] = {}
        self._new = asyncio.Event()
        self._turn = 0

    def want(self, leases: Iterable[int]) -> None:
        """A browser shows these leases from now on."""
        now = self._clock()
        for lease in leases:
            if lease not in self._ends:
                self._new.set()
            self._wanted.pop(lease, None)
            self._wanted[lease] = now
        while len(self._wanted) > MAX_LEASES:
            del self._wanted[next(iter(self._wanted))]

    def left(self) -> dict[str, list[float]]:
        """For each lease, by its id in hex: the seconds left, and the seconds granted."""
        now = self._clock()
        return {f"{lease:x}": [round(end.left(now), 2), end.granted] for lease, end in self._ends.items()}

    async def run(self) -> None:
        """Ask until cancelled, every second, and at once for a lease that was not known. Failures are the feed's."""
        regular_at = self._clock()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, regular_at - self._clock())):
                    await self._new.wait()
            self._new.clear()
            is_regular = self._clock() >= regular_at
            if is_regular:
                regular_at = self._clock() + _INTERVAL_SECONDS
            await self._ask_all(only_new=not is_regular)

    async def _ask_all(self, *, only_new: bool) -> None:
        now = self._clock()
        self._wanted = {lease: since for lease, since in self._wanted.items() if since >= now - INTEREST_SECONDS}
        self._ends = {lease: end for lease, end in self._ends.items() if lease in self._wanted}
        due = [lease for lease in self._wanted if lease not in self._ends]
        if not only_new:
            self._turn += 1
            due += [lease for lease, end in self._ends.items() if end.is_due(self._turn, now)]
        turns = asyncio.Semaphore(_PARALLEL_REQUESTS)
        await asyncio.gather(*(self._ask(lease, turns) for lease in due))

    async def _ask(self, lease: int, turns: asyncio.Semaphore) -> None:
        async with turns:
            try:
                answer = await self._client.time_to_live(lease, timeout=_TIMEOUT_SECONDS)
            except EtcdError:
                return  # what is shown goes on shrinking, and the feed says that etcd is away
        self._ends.setdefault(lease, LeaseEnd()).answered(answer.ttl, answer.granted, self._clock())
