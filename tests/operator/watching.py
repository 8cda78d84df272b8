"""A mirror on a real etcd, with all that it told, for the tests of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

from leasehold.clock import now
from leasehold.etcd import EtcdClient, KeyValue, WatchBatch, Watcher
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.operator.plan.observed import EtcdState
from leasehold.operator.watch.mirror import Mirror
from leasehold.operator.watch.mirror_feed import MirrorFeed
from tests.support.http_client import until

LOCK = LockName("shop", "billing")
SILENCE = 9.0
"""Seconds; its third is what a busy machine's etcd has for an answer."""


class Client(EtcdClient):
    """The real client, whose watchers a test can get at."""

    watchers: tuple[Watcher, ...] = ()

    async def __aenter__(self) -> Self:
        return self

    def watch(self, *, timeout: float | None = None, hear: Callable[[WatchBatch], None] | None = None) -> Watcher:
        watcher = super().watch(timeout=timeout, hear=hear)
        self.watchers = (*self.watchers, watcher)
        return watcher


class Watching:
    """One mirror and its feed; what it told is kept in the order it came."""

    def __init__(self, client: EtcdClient, root: str, identity: str = "replica", silence: float = SILENCE) -> None:
        self.client = client
        self.mirror = Mirror(root)
        self.changed: list[LockName] = []
        self.stores: list[EtcdState] = []
        self.meddle: Callable[[], None] = lambda: None
        """Called as part of each `changed`; the first time between the reading and the watch."""
        self.feed = MirrorFeed(
            client,
            root,
            self.mirror,
            identity=identity,
            clock=now,
            changed=self._on_changed,
            store_changed=self.stores.append,
            silence=silence,
        )

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
        await until(lambda: self.feed.store.reachable)

    async def unreachable(self) -> None:
        await until(lambda: not self.feed.store.reachable)

    async def queue(self, *identities: str, lock: LockName = LOCK) -> tuple[Entry, ...]:
        """Wait until exactly these stand in the queue, in this order."""
        wanted = list(identities)
        await until(lambda: [entry.record.identity for entry in self.mirror.get(lock).queue] == wanted)
        return self.mirror.get(lock).queue

    async def settled(self) -> None:
        """Wait until it is known, or given up to find out, how each candidate went."""
        await until(lambda: not any(task.get_name().startswith("mirror departed") for task in asyncio.all_tasks()))

    async def told(self, *names: LockName) -> None:
        """Wait until each of these was told as changed since the last call of this."""
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
