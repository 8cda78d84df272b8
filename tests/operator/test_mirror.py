"""The mirror on a real etcd: what it shows and tells, and the canary that proves it."""

import asyncio
from collections.abc import Callable

import pytest

from leasehold.base.clock import now
from leasehold.candidate import lock_reading
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError
from leasehold.etcd.model import Compare, Op, Put, RangeAnswer
from leasehold.lock.keys import Keys, locks_prefix
from leasehold.lock.names import LockName
from leasehold.lock.spec import Spec
from leasehold.operator.watch.etcd_canary import canary_key
from tests.operator.watched_mirror import LOCK, Client, Watching, join, keys_of, watching
from tests.servers import PATIENCE, EtcdServer
from tests.support.etcd_keys import delete
from tests.support.http_client import until

Servers = Callable[..., EtcdServer]


# --- what it shows -------------------------------------------------------------------------------------------------


async def test_reads_and_follows(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """The mirror reads what is there, and then follows each change."""
    await join(client, root, "a")
    async with watching(etcd.url, root) as mirrored:
        await mirrored.queue("a")
        await mirrored.reachable()
        key, _ = await join(client, root, "b")
        await mirrored.queue("a", "b")
        spec = Spec(ttl=9, uid="1").encode()
        revision = (await client.put(Keys(LOCK, root).spec, spec)).origin.revision
        await until(lambda: mirrored.mirror.declared() == (LOCK,))
        stored = mirrored.mirror.get(LOCK).spec
        assert stored is not None
        assert (stored.value, stored.mod_revision, stored.spec) == (spec, revision, Spec(ttl=9, uid="1"))
        mirrored.changed.clear()
        await delete(client, key)
        await mirrored.notified(LOCK)
        await mirrored.queue("a")
        await delete(client, Keys(LOCK, root).spec)
        await until(lambda: mirrored.mirror.declared() == ())
        assert mirrored.feed.etcd_state.revision >= revision
        assert mirrored.states[-1].reachable
        assert not mirrored.states[-1].error


class Counting(EtcdClient):
    """Our own client, that counts the keys of each page that it reads."""

    def __init__(self, urls: list[str], *, clock: Callable[[], float]) -> None:
        super().__init__(urls, clock=clock)
        self.pages: list[int] = []

    async def range(self, *args: object, **options: object) -> RangeAnswer:
        answer = await super().range(*args, **options)  # type: ignore[arg-type]  # whatever was asked
        self.pages.append(len(answer.kvs))
        return answer


async def declare_many(writer: EtcdClient, root: str, names: list[LockName], spec: bytes) -> None:
    """Declare all of them, with a candidate in every tenth queue."""
    for start in range(0, len(names), 100):
        puts: list[Op] = [Put(Keys(name, root).spec, spec) for name in names[start : start + 100]]
        await writer.txn([], puts)
    lease = (await writer.grant(600)).lease
    for start in range(0, len(names), 1000):
        entries = [Keys(name, root).entry(lease) for name in names[start : start + 1000 : 10]]
        await writer.txn([], [Put(key, b"pod", lease) for key in entries])


async def rewrite_for_ever(writer: EtcdClient, puts: list[Op]) -> None:
    while True:
        await writer.txn([], puts)


def note_loads(mirrored: Watching, both: tuple[LockName, LockName]) -> list[tuple[int, ...]]:
    """Of both locks, the revisions that the mirror has at each load, as they come."""
    loaded: list[tuple[int, ...]] = []

    def at_load() -> None:
        stored = [mirrored.mirror.get(name).spec for name in both]
        loaded.append(tuple(spec.mod_revision for spec in stored if spec))

    mirrored.meddle = at_load
    return loaded


async def test_pages_are_of_one_revision(etcd_factory: Servers, root: str) -> None:
    """While it reads, somebody rewrites the first and the last lock in one transaction: it sees both or neither."""
    server = etcd_factory()
    spec = Spec(ttl=15, uid="u", generation=1).encode()
    names = [LockName(f"team-{n % 100:03}", f"lock-{n:05}") for n in range(10_000)]
    both = (min(names, key=str), max(names, key=str))
    puts: list[Op] = [Put(Keys(name, root).spec, spec) for name in both]
    counting = Counting([server.url], clock=now)
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as writer, counting as reader:
        await declare_many(writer, root, names, spec)
        await writer.txn([], puts)  # as they were declared, in two transactions, they tell nothing
        mirrored = Watching(reader, root, silence=30)
        loaded = note_loads(mirrored, both)
        rewriting = asyncio.create_task(rewrite_for_ever(writer, puts))
        try:
            async with mirrored.running():
                await mirrored.reachable()
                has_all(mirrored, names, counting.pages)
                assert len(loaded) >= 10_000
                assert len(loaded[0]) == 2
                assert len(set(loaded[0])) == 1
        finally:
            rewriting.cancel()


def has_all(mirrored: Watching, names: list[LockName], pages: list[int]) -> None:
    """The mirror has them all, in pages that are not too long."""
    assert max(pages) <= lock_reading.PAGE_KEYS
    assert sum(pages) >= 11_000
    assert len(mirrored.mirror.names()) == len(mirrored.mirror.declared()) == len(names)
    assert sum(len(mirrored.mirror.get(name).queue) for name in names) == 1_000


async def test_foreign_keys_and_values(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """Whatever others write under the root breaks nothing."""
    strays = [f"{root}/locks/shop/billing", f"{root}/locks/Shop/x/spec", f"{root}/other", f"{root}/locks/shop/b/spec/x"]
    for key in strays:
        await client.put(key, b"\xff")
    async with watching(etcd.url, root) as mirrored:
        await mirrored.reachable()
        assert mirrored.mirror.names() == ()
        for key in (*strays, f"{root}/locks/\N{SNOWMAN}/x/queue/1", Keys(LOCK, root).spec, Keys(LOCK, root).entry(1)):
            await client.put(key, b"\xff{")
        await mirrored.queue("\ufffd{")
        stored = mirrored.mirror.get(LOCK)
        assert stored.queue[0].record.foreign
        assert stored.spec is not None
        assert stored.spec.spec is None
        assert mirrored.mirror.names() == (LOCK,)
        assert set(mirrored.changed) == {LOCK}


# --- who departed --------------------------------------------------------------------------------------------------


async def test_how_a_candidate_went(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """A key that was deleted while its lease lives on was given up. One that went with its lease was not."""
    async with watching(etcd.url, root) as mirrored:
        key, _ = await join(client, root, "gives-up")
        _, lease = await join(client, root, "expires")
        await mirrored.queue("gives-up", "expires")
        await client.put(Keys(LOCK, root).queue + "by-hand", b"no lease")
        await mirrored.queue("gives-up", "expires", "no lease")
        for how in (delete(client, key), client.revoke(lease), delete(client, Keys(LOCK, root).queue + "by-hand")):
            before = len(mirrored.mirror.get(LOCK).queue)
            mirrored.changed.clear()
            await how
            await until(lambda before=before: len(mirrored.mirror.get(LOCK).queue) < before)  # type: ignore[misc]  # no type for a lambda's default
            await mirrored.notified(LOCK)
        await mirrored.settled()
        went = {gone.entry.record.identity: gone.released for gone in mirrored.mirror.take_ended(LOCK)}
    assert went.keys() == {"gives-up", "expires", "no lease"}
    assert went["gives-up"] is True
    assert went["expires"] is not True  # None if this machine was too busy to ask soon
    assert went["no lease"] is None


async def test_many_depart_at_once(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """Many candidates that go at once hold nothing up."""
    names = [LockName("shop", f"lock-{n}") for n in range(600)]
    async with watching(etcd.url, root) as mirrored:
        lease = (await client.grant(600)).lease
        for start in range(0, len(names), 100):
            puts: list[Op] = [Put(Keys(n, root).entry(lease), b"pod", lease) for n in names[start : start + 100]]
            await client.txn([], puts)
        await until(lambda: len(mirrored.mirror.names()) == len(names))
        await until(lambda: set(names) <= set(mirrored.changed))
        mirrored.changed.clear()
        await client.revoke(lease)
        await mirrored.notified(*names)
        assert mirrored.mirror.names() == ()
        assert all(len(mirrored.mirror.take_ended(name)) == 1 for name in names)


# --- the canary ----------------------------------------------------------------------------------------------------


async def test_silent_watch_is_found_out(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """The server ends the watch without a word that counts: calls pass, events do not come any more."""
    async with Client([etcd.url], clock=now) as own, Watching(own, root).running() as mirrored:
        await mirrored.reachable()
        own.watchers[-1].silent = True
        await join(client, root, "unseen")
        await mirrored.queue("unseen")
        await until(lambda: len(own.watchers) == 2)
        assert own.connects == 1
        assert all(state.reachable for state in mirrored.states)


async def test_canary_proves_what_is_older(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """Once a canary has been seen, nothing older is missing."""
    async with watching(etcd.url, root) as mirrored:
        with pytest.raises(EtcdError, match="just being read"):
            await mirrored.feed.confirm()
        await mirrored.reachable()
        for n in range(20):
            await client.put(Keys(LOCK, root).spec, b'{"capacity":%d}' % (n + 1))
            await mirrored.feed.confirm()
            stored = mirrored.mirror.get(LOCK).spec
            assert stored is not None
            assert stored.spec is not None
            assert stored.spec.capacity == n + 1


async def test_each_replica_has_a_canary(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """It hangs on a lease, stands outside the locks, and is no lock."""
    identities = ("one", "of/two")
    async with watching(etcd.url, root, identity="one") as one, watching(etcd.url, root, identity="of/two") as two:
        for mirrored in (one, two):
            await mirrored.reachable()
            age = mirrored.feed.canary_age()
            assert age is not None
            assert mirrored.mirror.names() == ()
        found = await keys_of(client, f"{root}/operator/")
        assert {kv.key.decode() for kv in found} == {canary_key(root, identity) for identity in identities}
        assert all(kv.lease for kv in found)
        assert not any(kv.key.startswith(locks_prefix(root).encode()) for kv in found)


async def test_canary_survives_a_revocation(etcd: EtcdServer, client: EtcdClient, root: str) -> None:
    """A canary whose lease was revoked is written under another."""
    key = canary_key(root, "replica")
    async with watching(etcd.url, root) as mirrored:
        await mirrored.reachable()
        written = (await client.range(key)).first
        assert written is not None
        await client.revoke(written.lease)
        await mirrored.feed.confirm()
        found = await client.txn([Compare.create_revision(key, ">", written.create_revision)])
        assert found.succeeded
        assert all(state.reachable and not state.error for state in mirrored.states)
