"""The operator's replicas on a real etcd: one is active, its fence depends on the clock, the standby takes over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry

from leasehold.base import clock
from leasehold.candidate.replica import Replica, ReplicaConfig
from leasehold.etcd.client import EtcdClient
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.servers import EtcdServer
from tests.support.http_client import until

Start = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def start(etcd: EtcdServer, root: str) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(name: str, server: EtcdServer = etcd, ttl: int = 600) -> Replica:
            record = Record(name, incarnation=name)
            config = ReplicaConfig(LockName("default", "leasehold-operator"), record, root, ttl=ttl, max_drift=0.01)
            client = EtcdClient([server.url], clock=clock.now)
            stack.push_async_callback(client.close)
            election = Replica(config, client, CollectorRegistry(), lambda: None)
            task = asyncio.create_task(election.run())

            async def end() -> None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

            stack.push_async_callback(end)
            return election

        yield begin


def queue_prefix(root: str) -> str:
    return f"{root}/locks/default/leasehold-operator/queue/"


async def test_one_is_active(start: Start, etcd: EtcdServer, root: str) -> None:
    """Of two replicas one is active, and its fence names its key."""
    one = await start("one")
    await until(lambda: one.active)
    stored = await asyncio.to_thread(etcd.ctl.prefix, queue_prefix(root))
    assert [(found.key, found.create_revision) for found in stored] == [one.fence()]


async def test_stop_hands_over_to_the_standby(start: Start, etcd: EtcdServer, root: str) -> None:
    """A stop removes the fence at once, before etcd knows. The next one's token is higher."""
    one = await start("one")
    await until(lambda: one.active)
    two = await start("two")
    await until(lambda: len(etcd.ctl.prefix(queue_prefix(root))) == 2)
    first = one.fence()
    assert two.fence() is None
    assert first is not None
    one.stop()
    assert one.fence() is None
    await until(lambda: two.active)
    second = two.fence()
    assert second is not None
    assert second[1] > first[1]


async def test_fence_ends_with_the_lease(start: Start, etcd_factory: Callable[[], EtcdServer]) -> None:
    """While etcd answers nothing, this replica's own clock removes the fence. A new lease brings a new one."""
    server = await asyncio.to_thread(etcd_factory)
    one = await start("one", server, ttl=5)
    await until(lambda: one.active)
    server.pause()
    await until(lambda: not one.active)
    server.resume()
    await until(lambda: one.active)
