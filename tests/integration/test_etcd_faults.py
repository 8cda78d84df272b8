"""What a client does when etcd, or the way to it, fails in the middle."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown
from leasehold.etcd.model import Put
from tests.servers import EtcdCluster, EtcdServer, Toxiproxy, release_port, reserve_port
from tests.support.etcd_keys import delete, until_good
from tests.support.loop_turns import turns

log = logging.getLogger(__name__)

BOUND = 30.0
"""Seconds within which anything that is to come about must have; far above what it takes."""


@pytest.fixture
async def clients() -> AsyncIterator[Callable[..., EtcdClient]]:
    made: list[EtcdClient] = []

    def make(*urls: str, timeout: float = 10.0) -> EtcdClient:
        made.append(EtcdClient(urls, clock=now, timeout=timeout))
        return made[-1]

    yield make
    for client in made:
        await client.close()


async def test_a_frozen_etcd_costs_the_timeout_and_no_more(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], root: str
) -> None:
    server = etcd_factory()
    client = clients(server.url)
    lease = (await client.grant(60)).lease
    server.pause()
    start = time.monotonic()
    with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.5 s"):
        await client.put(root, b"", timeout=0.5)
    assert time.monotonic() - start >= 0.5

    # The kernel still accepts connections for it: nothing may be sent over one, nor counted as sent.
    for call in (client.keep_alive(lease, timeout=0.5), client.range(root, timeout=0.5)):
        with pytest.raises(NotSent, match="no answer"):  # now, or to the call before: a paused process only has that
            await call
    server.resume()
    assert (await until_good(lambda: client.keep_alive(lease))).ttl == 60


async def test_an_unanswered_keep_alive_fails_all_calls(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], root: str
) -> None:
    """All calls under way fail with it, long before their own time limits."""
    server = etcd_factory()
    client = clients(server.url)
    lease = (await client.grant(60)).lease
    await client.keep_alive(lease)
    server.pause()
    slow = asyncio.create_task(client.put(root, b"", timeout=20))
    with pytest.raises(OutcomeUnknown, match="did not answer"):
        await client.keep_alive(lease, timeout=1.0)
    with pytest.raises(OutcomeUnknown, match="broke off"):
        await slow
    server.resume()


async def test_a_restart_in_the_middle(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], root: str
) -> None:
    """A call on its way has an unknown outcome; the same client goes on with the same lease afterwards."""
    server = etcd_factory()
    client = clients(server.url)
    lease = (await client.grant(60)).lease
    await client.put(root, b"", lease=lease)
    restart = asyncio.create_task(asyncio.to_thread(server.restart))
    kinds: set[type[EtcdError]] = set()
    while not restart.done():
        try:
            await client.keep_alive(lease)
        except EtcdError as error:
            kinds.add(type(error))
    await restart
    assert kinds <= {OutcomeUnknown, NotSent}
    assert (await until_good(lambda: client.keep_alive(lease))).ttl == 60
    assert (await client.range(root)).count == 1


async def test_a_killed_etcd_is_noticed_at_once(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], root: str
) -> None:
    server = etcd_factory()
    client = clients(server.url)
    await client.put(root, b"")
    server.pause()
    waiting = asyncio.create_task(client.put(root, b"", timeout=BOUND))
    await turns()  # the request is on its way
    server.kill()
    async with asyncio.timeout(BOUND / 2):
        with pytest.raises(OutcomeUnknown, match="broke off"):
            await waiting
    with pytest.raises(NotSent, match="Connection refused"):
        await client.put(root, b"")


@pytest.mark.parametrize("which", ["leader", "follower"])
async def test_one_of_three_members_frozen(
    cluster_factory: Callable[..., EtcdCluster], clients: Callable[..., EtcdClient], which: str
) -> None:
    """The next keep-alive goes through another member: what froze costs one timeout, and one call."""
    cluster = cluster_factory()
    frozen = cluster.leader() if which == "leader" else cluster.followers()[0]
    others = [member for member in cluster.members if member is not frozen]
    client = clients(frozen.url, *(member.url for member in others))
    lease = await client.grant(60)
    first = await client.keep_alive(lease.lease)
    frozen.pause()
    start = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        await client.keep_alive(lease.lease, timeout=1.0)
    if which == "leader":  # the others elect one first
        await asyncio.to_thread(cluster.leader)
    second = await until_good(lambda: client.keep_alive(lease.lease))
    log.info("next good keep-alive after %.2f s", time.monotonic() - start)
    assert second.ttl == 60
    assert second.origin.member != first.origin.member
    confirming = await until_good(lambda: client.range("x"))
    assert confirming.origin.member == second.origin.member
    frozen.resume()


async def test_the_one_living_endpoint_is_found(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient]
) -> None:
    """One call finds the one that lives, among one that refuses, one that is frozen and one that has no name."""
    frozen, alive = etcd_factory(), etcd_factory()
    frozen.pause()
    dead = reserve_port()
    nameless = f"http://{'a' * 64}:2379"
    client = clients(nameless, f"http://127.0.0.1:{dead}", frozen.url, alive.url, timeout=12.0)
    assert (await client.status()).errors == ()
    assert client.connects == 3  # the name was never found
    release_port(dead)
    frozen.resume()


async def test_a_name_for_two_members_one_of_them_frozen(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A headless Service is one endpoint with many addresses: the frozen one must not be tried again and again."""
    frozen, alive = etcd_factory(), etcd_factory()
    alive.stop()
    alive.flags += [f"--listen-client-urls=http://127.0.0.2:{frozen.port}"]
    alive.start()

    def both(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, frozen.port)) for host in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    client = clients(f"http://members:{frozen.port}")
    first = (await client.status()).origin.member
    frozen.pause()
    with pytest.raises(OutcomeUnknown, match=r"members:\d+ \(127\.0\.0\.1\) did not answer"):
        await client.status(timeout=1.0)
    assert (await client.status()).origin.member != first
    assert client.connects == 2
    frozen.resume()


async def test_the_first_endpoint_serves_while_it_can(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient]
) -> None:
    first, second = etcd_factory(), etcd_factory()
    client = clients(first.url, second.url)
    member = (await client.status()).origin.member
    first.stop()
    other = (await until_good(client.status)).origin.member
    assert other != member
    first.start()
    assert (await client.status()).origin.member == other  # what works is kept
    second.stop()
    assert (await until_good(client.status)).origin.member == member


async def test_a_tight_loop_does_not_hammer_a_dead_etcd(
    clients: Callable[..., EtcdClient],
) -> None:
    """Pauses grow to a second: in two, there is room for 0.1 + 0.2 + 0.4 + 0.8 + … of them."""
    port = reserve_port()
    client = clients(f"http://127.0.0.1:{port}")
    cpu, end = time.process_time(), time.monotonic() + 2.0
    calls = 0
    while time.monotonic() < end:
        calls += 1
        with pytest.raises(NotSent, match="Connection refused"):
            await client.range("k")
    log.info("%d calls, %d connects, %.3f s of CPU", calls, client.connects, time.process_time() - cpu)
    assert calls == client.connects <= 6
    release_port(port)


async def test_a_server_that_resets_is_not_hammered(
    clients: Callable[..., EtcdClient], toxiproxy: Toxiproxy, etcd: EtcdServer
) -> None:
    """Pauses grow as well if the server accepts each connection and closes it."""
    proxy = toxiproxy.proxy(etcd.port)
    client = clients(proxy.url)
    assert (await client.status()).leader
    proxy.reset_peer()
    end = time.monotonic() + 2.0
    before = client.connects
    while time.monotonic() < end:
        with pytest.raises(EtcdError):
            await client.range("k")
    assert client.connects - before <= 8
    proxy.heal()
    assert (await until_good(client.status)).leader


async def test_a_connection_cut_during_calls(
    clients: Callable[..., EtcdClient], toxiproxy: Toxiproxy, etcd_factory: Callable[..., EtcdServer], root: str
) -> None:
    server = etcd_factory()
    proxy = toxiproxy.proxy(server.port)
    client = clients(proxy.url)
    lease = (await client.grant(60)).lease
    for _ in range(5):
        await until_good(lambda: client.keep_alive(lease))
        server.pause()  # so that nothing is answered before the cut
        calls = [asyncio.create_task(client.put(root, b"x")) for _ in range(5)]
        renewal = asyncio.create_task(client.keep_alive(lease))
        await turns()  # all are on their way
        await asyncio.to_thread(proxy.cut)
        outcomes = await asyncio.gather(*calls, renewal, return_exceptions=True)
        assert all(isinstance(outcome, OutcomeUnknown) for outcome in outcomes), outcomes
        server.resume()
        await asyncio.to_thread(proxy.heal)


async def test_a_lost_connection_leaves_the_callers_task_alone(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient]
) -> None:
    """A task that is cancelled by somebody else than its owner would spoil its timeouts and task groups."""
    server = etcd_factory()
    client = clients(server.url)
    await client.status()
    server.pause()

    async def caller() -> int:
        with pytest.raises(OutcomeUnknown):
            await client.status(timeout=BOUND)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(caller()) for _ in range(3)]
        await turns()  # all are on their way
        server.kill()
    assert [task.result() for task in callers] == [0, 0, 0]


async def test_a_full_store_keeps_the_lease_alive(
    etcd_factory: Callable[..., EtcdServer], clients: Callable[..., EtcdClient], root: str
) -> None:
    """etcd does the write that crosses its quota, and answers NOSPACE; later ones it refuses with the same words."""
    server = etcd_factory(flags=["--quota-backend-bytes=2097152"])
    client = clients(server.url)
    lease = (await client.grant(60)).lease
    await client.put(f"{root}/own", b"", lease=lease)

    async def fill() -> None:
        for n in range(100):
            await client.put(f"{root}/{n}", bytes(100_000))

    with pytest.raises(OutcomeUnknown, match="NOSPACE") as full:
        await fill()
    assert full.value.no_space
    for refused in (client.grant(10), client.txn([], [Put(root, b"")])):
        with pytest.raises(OutcomeUnknown, match="NOSPACE"):
            await refused
    assert (await client.keep_alive(lease)).ttl == 60
    assert (await client.range(f"{root}/own")).count == 1
    assert any("NOSPACE" in alarm for alarm in (await client.status()).errors)
    assert (await delete(client, f"{root}/own")).deleted == 1
    await client.revoke(lease)
    assert client.connects == 1
