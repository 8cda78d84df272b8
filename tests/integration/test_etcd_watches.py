"""Watches: no event is missed in silence, whatever becomes of etcd, its history, the connection or the reader."""

import asyncio
import os
from collections.abc import Callable

import pytest

from leasehold.base.clock import now
from leasehold.etcd import watch as watch_module
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, WatchLost
from leasehold.etcd.model import Put, WatchBatch, WatchEvent
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import prefix_end
from tests.servers import PATIENCE, EtcdCluster, EtcdServer
from tests.support.etcd_keys import delete
from tests.support.http_client import until


async def take(watcher: Watcher, count: int) -> list[tuple[int, WatchEvent]]:
    """The next `count` events, each with the id of the watch that saw it."""
    events: list[tuple[int, WatchEvent]] = []
    async with asyncio.timeout(PATIENCE):
        while len(events) < count:
            batch = await anext(watcher)
            events += [(batch.watch_id, event) for event in batch.events]
    return events


async def lost(watcher: Watcher) -> WatchLost:
    """The loss that ends the watcher, past whatever batches came before it."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(WatchLost) as caught:
            async for _ in watcher:
                pass
        with pytest.raises(StopAsyncIteration):
            await anext(watcher)
    return caught.value


async def after_now(client: EtcdClient, key: str) -> int:
    return (await client.range(key)).origin.revision + 1


async def test_puts_and_deletes_with_their_revisions(client: EtcdClient, root: str) -> None:
    async with client.watch() as watcher:
        watch_id = await watcher.add(root, start_revision=await after_now(client, root))
        lease = (await client.grant(60)).lease
        created = (await client.put(root, b"a", lease=lease)).origin.revision
        changed = (await client.put(root, b"b")).origin.revision
        deleted = (await delete(client, root)).origin.revision
        (first, put), (_, second), (_, gone) = await take(watcher, 3)
    assert first == watch_id
    assert (put.deleted, put.kv.value, put.kv.create_revision, put.kv.mod_revision, put.kv.lease) == (
        False,
        b"a",
        created,
        created,
        lease,
    )
    assert (second.kv.value, second.kv.create_revision, second.kv.mod_revision) == (b"b", created, changed)
    assert (gone.deleted, gone.kv.key, gone.kv.value, gone.kv.mod_revision) == (True, root.encode(), b"", deleted)


async def test_several_watches_on_one_stream(client: EtcdClient, root: str) -> None:
    start = await after_now(client, root)
    async with client.watch() as watcher:
        one = await watcher.add(f"{root}/1", start_revision=start)
        two = await watcher.add(f"{root}/2", start_revision=start)
        every = await watcher.add(f"{root}/", end=prefix_end(f"{root}/"), start_revision=start)
        await client.put(f"{root}/1", b"x")
        await client.txn([], [Put(f"{root}/2", b"y"), Put(f"{root}/3", b"z")])
        await delete(client, f"{root}/1")
        seen: dict[int, list[tuple[bytes, bool]]] = {one: [], two: [], every: []}
        for watch_id, event in await take(watcher, 7):
            seen[watch_id].append((event.kv.key.removeprefix(root.encode()), event.deleted))
    assert seen == {
        one: [(b"/1", False), (b"/1", True)],
        two: [(b"/2", False)],
        every: [(b"/1", False), (b"/2", False), (b"/3", False), (b"/1", True)],
    }


async def test_changes_since_the_read_are_seen(client: EtcdClient, root: str) -> None:
    """Changes between the read and the start of the watch are delivered, in order."""
    start = await after_now(client, root)
    revisions = [(await client.put(root, b"%d" % n)).origin.revision for n in range(20)]
    async with client.watch() as watcher:
        await watcher.add(root, start_revision=start)
        events = await take(watcher, 20)
    assert [event.kv.mod_revision for _, event in events] == revisions


async def test_a_callback_hears_all_before_the_loss(client: EtcdClient, root: str) -> None:
    """It hears every event before the loss of the watch, and none after the end of its watcher."""
    heard: list[int] = []
    start = await after_now(client, root)

    def hear(batch: WatchBatch) -> None:
        heard.extend(event.kv.mod_revision for event in batch.events)

    async with client.watch(on_batch=hear) as lasting, client.watch(on_batch=hear) as ended:
        await lasting.add(root, start_revision=start)
        await ended.add(root, start_revision=start)
        first = (await client.put(root, b"1")).origin.revision
        await until(lambda: heard == [first, first])
        await ended.close()
        second = (await client.put(root, b"2")).origin.revision
        await until(lambda: heard[2:] == [second])
        await client.close()
        await lost(lasting)
    assert heard == [first, first, second]


async def test_a_bug_of_a_listener_ends_its_watcher_alone(client: EtcdClient, root: str) -> None:
    """The connection is not at fault: it goes on, and what others do on it."""
    heard: list[WatchBatch] = []
    start = await after_now(client, root)

    def broken(batch: WatchBatch) -> None:
        heard.append(batch)
        raise LookupError("a bug")

    async with client.watch(on_batch=broken) as watcher, client.watch() as other:
        await watcher.add(root, start_revision=start)
        await other.add(root, start_revision=start)
        for n in range(3):
            await client.put(root, b"%d" % n)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(LookupError, match="a bug"):
                await anext(watcher)
        assert len(await take(other, 3)) == 3
    assert len(heard) == 1
    assert client.connects == 1


async def test_compaction_under_a_watch(server: EtcdServer, client: EtcdClient, root: str) -> None:
    """One that follows the present is not harmed; one that asks for the past is told where history begins."""
    start = await after_now(client, root)
    for n in range(5):
        await client.put(root, b"%d" % n)
    async with client.watch() as present, client.watch() as past:
        await present.add(root, start_revision=await after_now(client, root))
        await asyncio.to_thread(server.ctl.compact)
        revision = (await client.range(root)).origin.revision
        await past.add(root, start_revision=start)
        loss = await lost(past)
        assert loss.compact_revision == revision
        assert "compacted" in loss.reason
        with pytest.raises(WatchLost):
            await past.add(root, start_revision=revision)
        await client.put(root, b"on")
        assert len(await take(present, 1)) == 1


async def test_a_restart_of_etcd_ends_the_watcher(etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    """A new watcher goes on from the last revision without a gap.

    A client that resumed the watch without saying so would lose the changes in between unnoticed.
    """
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        watcher = client.watch()
        start = await after_now(client, root)
        await watcher.add(root, start_revision=start)
        await client.put(root, b"before")
        await take(watcher, 1)
        await asyncio.to_thread(server.restart)
        await asyncio.to_thread(server.ctl.put, root, "meanwhile")
        assert "the watch was lost" in (await lost(watcher)).reason
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    read = await client.range(root)
                    break
                except EtcdError:
                    continue
        assert read.kvs[0].value == b"meanwhile"
        async with client.watch() as second:
            await second.add(root, start_revision=start)
            assert [event.kv.value for _, event in await take(second, 2)] == [b"before", b"meanwhile"]


async def test_a_lost_connection_ends_every_watcher(etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    """A frozen member's watch is merely silent: it is the call without an answer that unmasks it."""
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        watchers = [client.watch() for _ in range(3)]
        for watcher in watchers:
            await watcher.add(root, start_revision=await after_now(client, root))
        server.pause()
        with pytest.raises(EtcdError):
            await client.range(root, timeout=0.3)
        for watcher in watchers:
            assert "the watch was lost" in (await lost(watcher)).reason
        server.resume()


async def test_a_watch_that_is_never_made_is_lost(etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        start = await after_now(client, root)
        server.pause()
        watcher = client.watch(timeout=0.3)
        await watcher.add(root, start_revision=start)
        await lost(watcher)
        server.resume()


async def test_a_member_without_a_leader_ends_its_watches(
    cluster_factory: Callable[..., EtcdCluster], root: str
) -> None:
    """Cut off from the others it would go on in silence; the whole connection is given up for another member."""
    cluster = cluster_factory()
    lonely = cluster.followers()[0]
    async with EtcdClient([lonely.url], clock=now, timeout=PATIENCE) as client:
        watcher = client.watch()
        await watcher.add(root, start_revision=await after_now(client, root))
        for member in cluster.members:
            if member is not lonely:
                member.pause()
        assert "no leader" in (await lost(watcher)).reason
        for member in cluster.members:
            member.resume()


async def test_events_larger_than_every_window(client: EtcdClient, root: str) -> None:
    value = os.urandom(1_000_000)
    start = await after_now(client, root)
    for n in range(12):
        await client.put(f"{root}/{n}", value)
    async with client.watch() as watcher:
        await watcher.add(f"{root}/", end=prefix_end(f"{root}/"), start_revision=start)
        events = await take(watcher, 12)
    assert {event.kv.value for _, event in events} == {value}


async def test_a_watcher_that_does_not_read_is_given_up(
    client: EtcdClient, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its watch is lost; the connection and the lease go on."""
    monkeypatch.setattr(watch_module, "MAX_PENDING_EVENTS", 50)
    lease = (await client.grant(60)).lease
    watcher = client.watch()
    start = await after_now(client, root)
    await watcher.add(root, start_revision=start)
    for _ in range(60):
        await client.put(root, b"")
    assert "waiting to be read" in (await lost(watcher)).reason
    assert (await client.keep_alive(lease)).ttl == 60
    assert client.connects == 1


async def test_the_end_of_a_watcher(client: EtcdClient, root: str) -> None:
    watcher = client.watch()
    await watcher.add(root, start_revision=await after_now(client, root))
    reading = asyncio.create_task(anext(watcher))
    await asyncio.sleep(0)
    await watcher.close()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(StopAsyncIteration):
            await reading
    with pytest.raises(WatchLost, match="closed"):
        await watcher.add(root, start_revision=1)
    assert (await client.status()).leader  # the connection goes on
    never_used = client.watch()
    await never_used.close()

    second = client.watch()
    await second.add(root, start_revision=await after_now(client, root))
    await client.close()
    assert "closed" in (await lost(second)).reason
