"""A mirror on a real etcd that records its notifications, for the tests of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import Key, KeyValue, WatchBatch
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.operator.plan.model import EtcdState
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.mirror_feed import FeedConfig, FeedListener, MirrorFeed
from tests.support.http_client import until

LOCK = LockName("shop", "billing")
SILENCE = 9.0
"""Seconds; its third is what a busy machine's etcd has for an answer."""


class SilentWatcher(Watcher):
    """A watcher that a test can silence: as if etcd had ended its watches without a word that counts."""

    def __init__(self, heard: Watcher) -> None:
        self._heard = heard
        self.silent = False

    async def add(self, key: Key, *, end: Key | None = None, start_revision: int) -> int:
        return await self._heard.add(key, end=end, start_revision=start_revision)

    async def close(self) -> None:
        await self._heard.close()

    async def __anext__(self) -> WatchBatch:
        while True:
            batch = await anext(self._heard)
            if not self.silent:
                return batch


class Client(EtcdClient):
    """The real client, whose watchers a test can get at."""

    watchers: tuple[SilentWatcher, ...] = ()

    async def __aenter__(self) -> Self:
        return self

    def watch(self, *, timeout: float | None = None, on_batch: Callable[[WatchBatch], None] | None = None) -> Watcher:
        watcher = SilentWatcher(super().watch(timeout=timeout, on_batch=on_batch))
        self.watchers = (*self.watchers, watcher)
        return watcher


class Watching:
    """One mirror and its feed. Notifications are kept in order."""

    def __init__(self, client: EtcdClient, root: str, identity: str = "replica", silence: float = SILENCE) -> None:
        self.client = client
        self.mirror = Mirror(root)
        self.changed: list[LockName] = []
        self.states: list[EtcdState] = []
        self.meddle: Callable[[], None] = lambda: None
        """Called as part of each `changed`; the first time between the reading and the watch."""
        config = FeedConfig(root, identity, silence)
        self.feed = MirrorFeed(client, self.mirror, config, FeedListener(self._on_changed, self.states.append), now)

    def _on_changed(self, name: LockName) -> None:
        self.changed.append(name)
        self.meddle()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Watching]:
        """Feed it; whatever ends the feed by itself fails the test."""
        task = asyncio.create_task(self.feed.run())
        try:
            yield self
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def reachable(self) -> None:
        await until(lambda: self.feed.etcd_state.reachable)

    async def unreachable(self) -> None:
        await until(lambda: not self.feed.etcd_state.reachable)

    async def queue(self, *identities: str, lock: LockName = LOCK) -> tuple[Entry, ...]:
        """Wait until exactly these stand in the queue, in this order."""
        wanted = list(identities)
        await until(lambda: [entry.record.identity for entry in self.mirror.get(lock).queue] == wanted)
        return self.mirror.get(lock).queue

    async def settled(self) -> None:
        """Wait until etcd has been asked how each candidate ended."""
        await until(lambda: self.feed.pending_ends == 0)

    async def notified(self, *names: LockName) -> None:
        """Wait until each of these was notified as changed since the last call of this."""
        await until(lambda: set(names) <= set(self.changed))
        self.changed.clear()


@asynccontextmanager
async def watching(endpoints: str | Sequence[str], root: str, *, identity: str = "replica") -> AsyncIterator[Watching]:
    """A mirror with a client of its own, running."""
    urls = [endpoints] if isinstance(endpoints, str) else endpoints
    async with EtcdClient(urls, clock=now) as client, Watching(client, root, identity).running() as found:
        yield found


async def join(
    client: EtcdClient, root: str, identity: str, *, lock: LockName = LOCK, ttl: int = 600
) -> tuple[str, int]:
    """Put a candidate into a queue; its key and lease."""
    lease = (await client.grant(ttl)).lease
    key = Keys(lock, root).entry(lease)
    await client.put(key, Record(identity, incarnation="1").encode(), lease=lease)
    return key, lease


async def keys_of(client: EtcdClient, prefix: str) -> tuple[KeyValue, ...]:
    """All keys with a prefix, as etcd has them."""
    return (await client.range(prefix, end=prefix + "\x7f")).kvs
