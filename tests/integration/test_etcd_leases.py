"""Keep-alives: whose answer an answer is, and what happens when one is late, lost or unwanted."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown
from tests.servers import PATIENCE, EtcdServer, Proxy, Toxiproxy, wait_for


@pytest.fixture
def proxy(toxiproxy: Toxiproxy, etcd: EtcdServer) -> Proxy:
    return toxiproxy.proxy(etcd.port)


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[EtcdClient]:
    async with EtcdClient([proxy.url], clock=now, timeout=PATIENCE) as client:
        yield client


async def test_an_answer_counts_from_its_own_request(client: EtcdClient, proxy: Proxy) -> None:
    """Requests overlap on a slow network: each answer must carry the instant at which *its* request was sent."""
    lease = (await client.grant(60)).lease
    await client.keep_alive(lease)
    await asyncio.to_thread(proxy.delay, 300)
    asked: list[float] = []
    renewals = []
    for _ in range(4):
        asked.append(now())
        renewals.append(asyncio.create_task(client.keep_alive(lease)))
        await asyncio.sleep(0.05)
    answers = await asyncio.gather(*renewals)
    assert now() - asked[-1] > 0.25, "the requests did not overlap"
    for earliest, latest, answer in zip(asked, [*asked[1:], now()], answers, strict=True):
        assert earliest <= answer.sent <= latest


async def test_a_late_answer_is_not_taken_for_the_next(client: EtcdClient, proxy: Proxy) -> None:
    """The answer to a cancelled keep-alive arrives while the next one waits for its own."""
    first = (await client.grant(60)).lease
    second = (await client.grant(50)).lease
    await client.keep_alive(first)
    await asyncio.to_thread(proxy.delay, 300)
    abandoned = asyncio.create_task(client.keep_alive(first))
    await asyncio.sleep(0.05)
    abandoned.cancel()
    before = now()
    answer = await client.keep_alive(second)
    assert (answer.lease, answer.ttl) == (second, 50)
    assert answer.sent >= before
    assert client.connects == 1


async def test_a_late_answer_never_arrives(client: EtcdClient, proxy: Proxy) -> None:
    """The request that timed out took its stream with it: the next answer is that of the next request."""
    lease = (await client.grant(60)).lease
    await client.keep_alive(lease)
    await asyncio.to_thread(proxy.delay, 600_000)  # later than any pause of this process lasts
    with pytest.raises(OutcomeUnknown, match="did not answer"):
        await client.keep_alive(lease, timeout=0.2)
    await asyncio.to_thread(proxy.heal)
    await asyncio.to_thread(proxy.delay, 400)
    before = now()
    answer = await client.keep_alive(lease)
    assert answer.sent >= before
    assert now() - answer.sent > 0.35, "answered sooner than the network allows"
    assert client.connects == 2


async def test_many_leases_share_the_stream(client: EtcdClient) -> None:
    leases = [(await client.grant(60 + n)).lease for n in range(50)]
    answers = await asyncio.gather(*(client.keep_alive(lease) for lease in leases * 4))
    assert [answer.lease for answer in answers] == leases * 4
    assert {answer.lease: answer.ttl for answer in answers} == {lease: 60 + n for n, lease in enumerate(leases)}


async def test_a_lease_that_ran_out_or_was_revoked_is_gone(client: EtcdClient, etcd: EtcdServer) -> None:
    """No error, no stream lost: other leases on the same stream go on."""
    other = (await client.grant(60)).lease
    revoked = (await client.grant(60)).lease
    etcd.ctl.revoke(revoked)
    expired = await client.grant(1)
    gone = "the lease to run out"
    await asyncio.to_thread(wait_for, lambda: etcd.ctl.time_to_live(expired.lease) == -1, gone)
    for lease in (revoked, expired.lease, 12345):
        assert (await client.keep_alive(lease)).ttl <= 0
    assert (await client.keep_alive(other)).ttl == 60
    assert client.connects == 1


async def test_a_silent_network_costs_one_timeout(client: EtcdClient, proxy: Proxy) -> None:
    """Packets are swallowed, connections stay open: TCP itself would not notice for a quarter of an hour."""
    lease = (await client.grant(60)).lease
    await client.keep_alive(lease)
    await asyncio.to_thread(proxy.silence)
    with pytest.raises(OutcomeUnknown):
        await client.keep_alive(lease, timeout=0.3)
    with pytest.raises(NotSent, match="no answer"):  # now, or to the call before: a paused process only has that
        await client.keep_alive(lease, timeout=0.3)
    await asyncio.to_thread(proxy.heal)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                answer = await client.keep_alive(lease)
                break
            except EtcdError:
                continue
    assert answer.ttl == 60


async def test_the_client_reads_the_given_clock(etcd: EtcdServer) -> None:
    """The time at which a request was sent comes from the `clock` argument."""
    ticks = iter(range(1_000, 2_000))
    async with EtcdClient([etcd.url], clock=lambda: float(next(ticks)), timeout=PATIENCE) as client:
        granted = await client.grant(60)
        renewed = await client.keep_alive(granted.lease)
        assert 1_000 <= granted.sent < renewed.sent < 2_000
