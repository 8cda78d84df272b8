"""The mirror on a real etcd that fails: it becomes true again whatever befalls etcd or the way to it, and says so."""

import asyncio
from collections.abc import Callable
from itertools import groupby

import pytest

from leasehold.base.clock import now
from leasehold.candidate import lock_reading
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import RangeAnswer
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.operator.watched_mirror import LOCK, Client, Watching, join, watching
from tests.servers import PATIENCE, EtcdCluster, EtcdServer, Toxiproxy
from tests.support.etcd_keys import delete, until_good
from tests.support.http_client import until

Servers = Callable[..., EtcdServer]
OTHER = LockName("shop", "other")


async def test_changes_during_a_cut_are_told(
    etcd: EtcdServer, client: EtcdClient, toxiproxy: Toxiproxy, root: str
) -> None:
    """A candidate that came, one that went, one replaced under the same key; and nobody else."""
    proxy = toxiproxy.proxy(etcd.port)
    same, gone, new, again = (LockName("shop", name) for name in ("same", "gone", "new", "again"))
    for lock in (same, gone):
        await join(client, root, "a", lock=lock)
    key, lease = await join(client, root, "a", lock=again)
    async with watching(proxy.url, root) as mirrored:
        await mirrored.notified(same, gone, again)
        await mirrored.reachable()
        proxy.cut()
        await mirrored.unreachable()
        old = mirrored.mirror.get(again).queue
        assert mirrored.changed == []
        await delete(client, Keys(gone, root).queue, end=Keys(gone, root).queue + "\x7f")
        await join(client, root, "b", lock=new)
        await delete(client, key)
        await client.put(key, b"successor", lease=lease)
        proxy.heal()
        await mirrored.reachable()
        await until(lambda: set(mirrored.changed) == {gone, new, again})
        await mirrored.queue("b", lock=new)
        assert [departed.released for departed in mirrored.mirror.take_ended(gone)] == [None]
        assert tuple(departed.entry for departed in mirrored.mirror.take_ended(again)) == old
        assert mirrored.mirror.take_ended(same) == ()
        assert [reachable for reachable, _ in groupby(state.reachable for state in mirrored.states)] == [
            True,
            False,
            True,
        ]


async def test_a_bug_ends_the_feed(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """An error that is not etcd's is raised instead of retried."""

    def fail() -> None:
        raise LookupError("planted")

    async with EtcdClient([etcd.url], clock=now) as own:
        mirrored = Watching(own, root)
        feeding = asyncio.create_task(mirrored.feed.run())
        await mirrored.reachable()
        mirrored.meddle = fail
        await join(client, root, "a")
        with pytest.raises(ExceptionGroup) as caught:
            await feeding
        assert caught.group_contains(LookupError, match="planted")


async def test_compaction_before_the_watch(etcd_factory: Servers, root: str) -> None:
    """The watch is refused for its revision: everything is read again."""
    server = etcd_factory()
    compacted: list[int] = []
    async with (
        EtcdClient([server.url], clock=now, timeout=PATIENCE) as writer,
        Client([server.url], clock=now) as client,
    ):
        await join(writer, root, "a")
        mirrored = Watching(client, root)

        def compact() -> None:
            """Called between the reading and the watch; etcd goes on while this loop stands still."""
            if not compacted:
                for n in range(3):
                    server.ctl.put(Keys(OTHER, root).spec, f'{{"capacity":{n + 1}}}')
                compacted.append(server.ctl.revision())
                server.ctl.compact(compacted[0])

        mirrored.meddle = compact
        async with mirrored.running():
            await mirrored.reachable()
            assert compacted
            assert mirrored.mirror.get(OTHER).spec is not None
            assert len(client.watchers) > 1
            assert mirrored.feed.etcd_state.revision >= compacted[0]


async def test_compaction_between_two_pages(etcd_factory: Servers, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages' revision is gone: the reading begins anew, and none of the old pages is kept."""
    server = etcd_factory()
    monkeypatch.setattr(lock_reading, "PAGE_KEYS", 2)
    names = [LockName("shop", f"lock-{n}") for n in range(5)]
    calls: list[int] = []

    class Compacting(EtcdClient):
        async def range(self, *args: object, **options: object) -> RangeAnswer:
            answer = await super().range(*args, **options)  # type: ignore[arg-type]  # whatever was asked
            calls.append(answer.origin.revision)
            if len(calls) == 1:
                await asyncio.to_thread(server.ctl.delete, Keys(names[0], root).spec)
                await asyncio.to_thread(server.ctl.compact)
            return answer

    async with (
        EtcdClient([server.url], clock=now, timeout=PATIENCE) as writer,
        Compacting([server.url], clock=now) as client,
    ):
        for name in names:
            await writer.put(Keys(name, root).spec, b"{}")
        async with Watching(client, root).running() as mirrored:
            await mirrored.reachable()
            assert set(mirrored.mirror.declared()) == set(names[1:])
            assert len(calls) == 3  # one page; after the refusal of its second one, two


async def test_compaction_under_a_current_watch(etcd_factory: Servers, root: str) -> None:
    """A watch that is up to date notices nothing of a compaction."""
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as writer, watching(server.url, root) as mirrored:
        for n in range(5):
            await join(writer, root, str(n))
        await mirrored.queue(*"01234")
        await asyncio.to_thread(server.ctl.compact)
        await join(writer, root, "after")
        await mirrored.queue(*"01234", "after")


async def test_frozen_etcd_is_noticed(etcd_factory: Servers, root: str) -> None:
    """Its connection stands, and its watch is as silent as one with no events: the canary finds out."""
    server = etcd_factory()
    async with watching(server.url, root) as mirrored:
        await mirrored.reachable()
        server.pause()
        await mirrored.unreachable()
        assert mirrored.feed.etcd_state.error
        await until(lambda: (mirrored.feed.canary_age() or 0) > mirrored.feed.seconds_since_progress())
        server.resume()
        await mirrored.reachable()
        await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).spec, "{}")
        await mirrored.notified(LOCK)
        assert not mirrored.feed.etcd_state.error


async def test_killed_etcd_is_not_stormed(etcd_factory: Servers, root: str) -> None:
    """While it is away: a handful of attempts a second at most, and the feed is alive by its beat."""
    server = etcd_factory()
    async with watching(server.url, root) as mirrored:
        await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).spec, "{}")
        await mirrored.notified(LOCK)
        server.kill()
        await mirrored.unreachable()
        began, attempts = now(), mirrored.client.connects
        await until(lambda: mirrored.client.connects >= attempts + 5)
        assert now() - began > 0.8
        await asyncio.to_thread(server.start)
        await mirrored.reachable()
        assert mirrored.mirror.declared() == (LOCK,)
        assert mirrored.changed == []
        await asyncio.to_thread(server.ctl.delete, Keys(LOCK, root).spec)
        await mirrored.notified(LOCK)


async def test_wiped_etcd_shows_nothing(etcd_factory: Servers, root: str) -> None:
    """What is shown is what etcd has now: nothing."""
    server = etcd_factory()
    async with watching(server.url, root) as mirrored:
        for n in range(5):
            await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).spec, f'{{"capacity":{n + 1}}}')
        await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).entry(1), "someone")
        await mirrored.queue("someone")
        revision = mirrored.feed.etcd_state.revision
        server.kill()
        await mirrored.unreachable()
        server.wipe()
        mirrored.changed.clear()
        await asyncio.to_thread(server.start)
        await mirrored.notified(LOCK)
        await mirrored.reachable()
        assert mirrored.mirror.names() == ()
        assert mirrored.feed.etcd_state.revision < revision
        assert any(state.revision < revision for state in mirrored.states[-2:])
        assert len(mirrored.mirror.take_ended(LOCK)) == 1


async def test_endpoints_of_two_clusters(etcd_factory: Servers, root: str) -> None:
    """A mistake in the settings, or a cluster rebuilt: the mirror is that of whoever answers, and says so."""
    first, second = etcd_factory(), etcd_factory(name="stranger")
    await asyncio.to_thread(first.ctl.put, Keys(LOCK, root).spec, "{}")
    await asyncio.to_thread(second.ctl.put, Keys(OTHER, root).spec, "{}")
    async with watching([first.url, second.url], root) as mirrored:
        await mirrored.notified(LOCK)
        cluster = mirrored.mirror.cluster
        first.kill()
        await mirrored.notified(LOCK, OTHER)
        await mirrored.reachable()
        assert mirrored.mirror.declared() == (OTHER,)
        assert mirrored.mirror.cluster != cluster


async def test_restored_snapshot(etcd_factory: Servers, root: str) -> None:
    """The same cluster by its id, with revisions that fall: what was written since is gone, and told as changed."""
    server = etcd_factory()
    await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).entry(1), "early")
    server.stop()
    saved = server.save_data()
    server.start()
    async with watching(server.url, root) as mirrored:
        await mirrored.queue("early")
        await asyncio.to_thread(server.ctl.delete, Keys(LOCK, root).entry(1))
        for n in range(20):
            await asyncio.to_thread(server.ctl.put, Keys(OTHER, root).entry(2), f"late-{n}")
        await mirrored.queue("late-19", lock=OTHER)
        revision, cluster = mirrored.feed.etcd_state.revision, mirrored.mirror.cluster
        server.kill()
        server.restore_data(saved)
        mirrored.states.clear()
        await asyncio.to_thread(server.start)
        await mirrored.queue("early")
        await mirrored.queue(lock=OTHER)
        await mirrored.reachable()
        assert mirrored.mirror.cluster == cluster
        assert min(state.revision for state in mirrored.states) < revision
        assert [gone.entry.record.identity for gone in mirrored.mirror.take_ended(OTHER)] == ["late-19"]
        await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).entry(3), "after")
        await mirrored.queue("early", "after")


async def test_password_demanded(etcd_factory: Servers, root: str) -> None:
    """An etcd that demands a password is as good as unreachable, and that is said."""
    server = etcd_factory()
    async with watching(server.url, root) as mirrored:
        await mirrored.reachable()
        await asyncio.to_thread(server.enable_auth, {})
        await mirrored.unreachable()
        await until(lambda: "password" in mirrored.feed.etcd_state.error)
        await asyncio.to_thread(server.ctl.put, Keys(LOCK, root).spec, "{}")
        await asyncio.to_thread(server.disable_auth)
        await mirrored.notified(LOCK)
        await mirrored.reachable()


async def test_full_etcd_is_still_mirrored(etcd_factory: Servers, root: str) -> None:
    """No canary can be written then: that is said, and deletions, which still work, are still seen."""
    server = etcd_factory(flags=["--quota-backend-bytes=2097152"])
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as writer, watching(server.url, root) as mirrored:
        key, _ = await join(writer, root, "a")
        await mirrored.queue("a")
        await mirrored.reachable()

        async def fill() -> None:
            for n in range(100):
                await writer.put(f"{root}/filler/{n}", bytes(100_000))

        with pytest.raises(EtcdError, match="NOSPACE"):
            await fill()
        await until(lambda: "takes no writes" in mirrored.feed.etcd_state.error)
        assert mirrored.feed.etcd_state.reachable
        await delete(writer, key)
        await mirrored.queue()
        await mirrored.reachable()


async def test_frozen_member_is_left(cluster_factory: Callable[..., EtcdCluster], root: str) -> None:
    """A member that hangs is left for another."""
    cluster = cluster_factory(3)
    frozen, *others = cluster.followers()[:1] + [m for m in cluster.members if m is not cluster.followers()[0]]
    urls = [frozen.url, *(member.url for member in others)]
    async with EtcdClient(urls[1:], clock=now) as writer, watching(urls, root) as mirrored:
        await join(writer, root, "a")
        await mirrored.queue("a")
        await mirrored.reachable()
        frozen.pause()
        await until_good(lambda: writer.put(Keys(LOCK, root).spec, b"{}"))
        await until(lambda: mirrored.mirror.declared() == (LOCK,))
        await mirrored.reachable()
        frozen.resume()
