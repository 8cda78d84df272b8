"""Every call of the client, on every etcd it is to work with."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import Code, NotSent, OutcomeUnknown, Refused
from leasehold.etcd.model import Compare, Delete, DeleteAnswer, Get, Put, RangeAnswer, SortBy
from leasehold.lock.keys import prefix_end
from tests.servers import PATIENCE, EtcdServer
from tests.support.etcd_keys import delete


async def test_writes_reads_and_deletes_as_etcdctl_sees_them(server: EtcdServer, client: EtcdClient, root: str) -> None:
    first = await client.put(f"{root}/a", b"1")
    second = await client.put(f"{root}/a", b"2")
    assert second.origin.revision == first.origin.revision + 1

    seen = server.ctl.get(f"{root}/a")
    read = (await client.range(f"{root}/a")).first
    assert seen is not None
    assert read is not None
    assert (read.key.decode(), read.value.decode()) == (seen.key, seen.value) == (f"{root}/a", "2")
    assert (read.create_revision, read.mod_revision, read.version) == (
        seen.create_revision,
        seen.mod_revision,
        seen.version,
    )

    server.ctl.put(f"{root}/b", "3")
    deleted = await delete(client, f"{root}/", end=prefix_end(f"{root}/"))
    assert deleted.deleted == 2
    assert server.ctl.prefix(root) == []
    assert (await delete(client, f"{root}/a")).deleted == 0


async def test_ranges_by_every_option(client: EtcdClient, root: str) -> None:
    prefix, end = f"{root}/", prefix_end(f"{root}/")
    revisions = [(await client.put(f"{prefix}{name}", name.encode())).origin.revision for name in "cab"]
    await client.put(f"{prefix}c", b"changed")

    async def names(**options: object) -> list[str]:
        answer = await client.range(prefix, end=end, **options)  # type: ignore[arg-type]  # every option in turn
        return [kv.key.decode().removeprefix(prefix) for kv in answer.kvs]

    assert await names() == ["a", "b", "c"]
    assert await names(sort=SortBy.CREATE) == ["c", "a", "b"]
    assert await names(sort=SortBy.CREATE, limit=1) == ["c"]
    assert await names(sort=SortBy.KEY) == ["a", "b", "c"]
    assert await names(revision=revisions[1]) == ["a", "c"]

    limited = await client.range(prefix, end=end, limit=2)
    assert (len(limited.kvs), limited.count, limited.more) == (2, 3, True)
    bare = await client.range(prefix, end=end, keys_only=True)
    assert {kv.value for kv in bare.kvs} == {b""}
    assert (await client.range(f"{root}/none")).first is None


async def test_a_transaction_does_one_branch_at_one_revision(client: EtcdClient, root: str) -> None:
    key, other = f"{root}/k", f"{root}/o"
    made = await client.txn([Compare.create_revision(key, "=", 0)], [Put(key, b"v"), Get(key)], [Delete(key)])
    assert made.succeeded
    put, read = made.answers
    assert isinstance(read, RangeAnswer)
    assert read.first is not None
    assert read.first.create_revision == made.origin.revision == put.origin.revision == read.origin.revision
    assert read.origin == made.origin

    again = await client.txn([Compare.create_revision(key, "=", 0)], [Put(other, b"")], [Delete(key), Get(other)])
    assert not again.succeeded
    gone, absent = again.answers
    assert isinstance(gone, DeleteAnswer)
    assert isinstance(absent, RangeAnswer)
    assert (gone.deleted, absent.kvs) == (1, ())


async def test_an_urgent_transaction(client: EtcdClient, root: str) -> None:
    """It goes over the stream that was opened for it, and needs none; other calls leave that alone."""
    put = client.prepared((), [Put(f"{root}/k", b"v")])
    client.expect()
    for expectations in (0, 1, 2, 1):  # the first time there is no connection yet
        for _ in range(expectations):
            client.expect()
        await client.put(f"{root}/other", b"")
        assert (await client.perform(put, urgent=True)).succeeded
    found = (await client.range(f"{root}/k")).first
    assert found is not None
    assert (found.version, client.connects) == (4, 1)


async def test_an_urgent_transaction_on_a_new_connection(etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        await client.put(f"{root}/other", b"")
        client.expect()
        await asyncio.to_thread(server.restart)
        put = client.prepared((), [Put(f"{root}/k", b"v")])
        with contextlib.suppress(NotSent, OutcomeUnknown):  # it may be the first to meet the connection's end
            await client.perform(put, urgent=True)
        assert (await client.perform(put, urgent=True)).succeeded
        assert client.connects == 2


async def test_every_comparison(client: EtcdClient, root: str) -> None:
    key = f"{root}/k"
    await client.put(key, b"a")
    revision = (await client.put(key, b"b")).origin.revision

    async def holds(*compares: Compare) -> bool:
        return (await client.txn(compares)).succeeded

    assert await holds(Compare.create_revision(key, "=", revision - 1), Compare.mod_revision(key, "=", revision))
    assert await holds(Compare.mod_revision(key, ">", revision - 1), Compare.mod_revision(key, "<", revision + 1))
    assert not await holds(Compare.mod_revision(key, "!=", revision))
    assert not await holds(Compare.create_revision(key, ">", 0), Compare.create_revision(key, "=", 0))
    assert await holds(Compare.mod_revision(root, "<", revision + 1, end=prefix_end(root)))
    assert not await holds(Compare.mod_revision(f"{root}/absent", ">", 0))
    assert await holds(Compare.create_revision(f"{root}/absent", "=", 0))


async def test_the_life_of_a_lease(server: EtcdServer, client: EtcdClient, root: str) -> None:
    before = now()
    granted = await client.grant(60)
    assert before <= granted.sent <= now()
    assert granted.ttl == 60
    await client.put(f"{root}/k", b"", lease=granted.lease)

    before = now()
    renewed = await client.keep_alive(granted.lease)
    assert before <= renewed.sent <= now()
    assert (renewed.lease, renewed.ttl) == (granted.lease, 60)
    left = await client.time_to_live(granted.lease, keys=True)
    assert left.keys == (f"{root}/k".encode(),)
    assert 0 < left.ttl <= 60
    assert (await client.time_to_live(granted.lease)).keys == ()

    await client.revoke(granted.lease)
    assert server.ctl.get(f"{root}/k") is None
    assert (await client.keep_alive(granted.lease)).ttl <= 0
    assert (await client.time_to_live(granted.lease)).ttl == -1
    with pytest.raises(Refused, match="lease not found") as refused:
        await client.revoke(granted.lease)
    assert refused.value.lease_gone


async def test_status_and_the_same_member_in_every_answer(server: EtcdServer, client: EtcdClient, root: str) -> None:
    status = await client.status()
    assert status.version.startswith(server.version)
    assert status.leader == status.origin.member
    assert not status.is_learner
    assert status.errors == ()
    lease = await client.grant(30)
    answers = [status, lease, await client.keep_alive(lease.lease), await client.range(root)]
    assert len({(each.origin.cluster, each.origin.member, each.origin.term) for each in answers}) == 1
    assert client.connects == 1


async def test_refusals_name_the_fault_and_cost_no_connection(client: EtcdClient, root: str) -> None:
    lease = 0x7FFF_FFFF_FFFF_FFF0
    for call, code, words in [
        (client.put("", b""), Code.INVALID_ARGUMENT, "key is not provided"),
        (client.put(root, b"", lease=lease), Code.NOT_FOUND, "lease not found"),
        (client.txn([], [Put(root, b"", lease)]), Code.NOT_FOUND, "lease not found"),
        (client.txn([], [Put(root, b""), Put(root, b"")]), Code.INVALID_ARGUMENT, "duplicate key"),
        (client.txn([], [Get(root)] * 200), Code.INVALID_ARGUMENT, "too many operations"),
        (client.range(root, revision=10**9), Code.OUT_OF_RANGE, "future revision"),
        (client.grant(10**10), Code.OUT_OF_RANGE, "too large lease TTL"),
        (client.put(root, bytes(1_700_000)), Code.INVALID_ARGUMENT, "too large"),
        (client.put(root, bytes(4_000_000)), Code.RESOURCE_EXHAUSTED, "larger than max"),
    ]:
        with pytest.raises(Refused, match=words) as refused:
            await call
        assert refused.value.code is code
    assert (await client.range(root)).kvs == ()
    assert client.connects == 1


async def test_an_answer_larger_than_every_window(client: EtcdClient, root: str) -> None:
    """A queue of a thousand candidates with long records is several megabytes."""
    value = os.urandom(8_000)
    for start in range(0, 1_000, 100):
        names = [f"{root}/{n:04}" for n in range(start, start + 100)]
        await client.txn([], [Put(name, value) for name in names])
    answer = await client.range(f"{root}/", end=prefix_end(f"{root}/"))
    assert len(answer.kvs) == 1_000
    assert {kv.value for kv in answer.kvs} == {value}
    await delete(client, f"{root}/", end=prefix_end(f"{root}/"))


async def test_many_calls_at_once(client: EtcdClient, root: str) -> None:
    await asyncio.gather(*(client.put(f"{root}/{n}", b"%d" % n) for n in range(400)))
    answers = await asyncio.gather(*(client.range(f"{root}/{n}") for n in range(400)))
    assert [answer.kvs[0].value for answer in answers] == [b"%d" % n for n in range(400)]
    assert client.connects == 1


async def test_calls_cancelled_at_any_moment_harm_no_other(client: EtcdClient, root: str) -> None:
    lease = (await client.grant(60)).lease

    async def cancelled(n: int) -> None:
        call = client.keep_alive(lease) if n % 3 == 0 else client.put(f"{root}/{n}", bytes(10_000))
        task = asyncio.create_task(call)
        for _ in range(n % 11):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))

    for n in range(200):
        await cancelled(n)
        if n % 20 == 0:
            assert (await client.keep_alive(lease)).ttl == 60
    assert (await client.keep_alive(lease)).ttl == 60
    assert (await client.status()).leader
    assert client.connects == 1


async def test_closing_while_calls_are_under_way(server: EtcdServer, root: str) -> None:
    client = EtcdClient([server.url], clock=now, timeout=PATIENCE)
    lease = (await client.grant(30)).lease
    calls = [asyncio.create_task(client.put(f"{root}/{n}", b"")) for n in range(20)]
    renewal = asyncio.create_task(client.keep_alive(lease))
    await asyncio.sleep(0)
    await client.close()
    outcomes = await asyncio.gather(*calls, renewal, return_exceptions=True)
    assert all(isinstance(outcome, OutcomeUnknown | NotSent) for outcome in outcomes)
    with pytest.raises(NotSent, match="closed"):
        await client.range(root)
    await client.close()


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
async def test_names_and_ipv6(etcd_factory: Callable[..., EtcdServer], host: str) -> None:
    """`localhost` has two addresses, and etcd listens on one of them."""
    server = etcd_factory()
    server.stop()
    server.flags += [f"--listen-client-urls=http://{host}:{server.port}"]
    server.start()
    async with EtcdClient([f"http://{host}:{server.port}"], clock=now, timeout=PATIENCE) as client:
        assert (await client.status()).version.startswith("3.7")


async def test_a_unix_socket(etcd_factory: Callable[..., EtcdServer], tmp_path: Path) -> None:
    server = etcd_factory()
    server.stop()
    # etcd takes the host and port of such a URL for the socket's name, in its working directory.
    name = f"localhost:{server.port}"
    server.process._cwd = tmp_path
    server.flags += [f"--listen-client-urls=unix://{name},{server.url}"]
    server.start()
    async with EtcdClient([f"unix://{tmp_path}/{name}"], clock=now, timeout=PATIENCE) as client:
        assert (await client.status()).version.startswith("3.7")
