"""Every waiter names the leader, on a real etcd: from its watch alone, asking nothing and deciding nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from leasehold.base import clock
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import Runner
from leasehold.election import events as ev
from leasehold.election.commands import Question
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.servers import EtcdServer
from tests.support.http_client import until

LOCK = LockName("tests", "lock")
TTL = 600
"""Seconds, so that no keep-alive comes in a test: its confirming read would name the leader, too."""


class AskedStore(EtcdStore):
    """The store, and what it was asked."""

    asked: tuple[str, ...] = ()

    async def perform(self, question: Question, timeout: float) -> ev.Event:
        self.asked += (type(question).__name__,)
        return await super().perform(question, timeout)


class Candidate:
    """One sidecar's election, and when it named which leader."""

    def __init__(self, name: str, url: str, root: str, watch_all_up_to: int) -> None:
        record = Record(name, incarnation=f"{random.getrandbits(32):08x}")
        settings = ElectionConfig(LOCK, record, root=root, ttl=TTL, watch_all_up_to=watch_all_up_to)
        self.board = Publisher(Snapshot(LOCK, name, State.IDLE), clock.now)
        self.client = EtcdClient([url], clock=clock.now)
        self.store = AskedStore(self.client, Keys(LOCK, root))
        self.runner = Runner(settings, self.store, self.board)
        self.named: dict[str | None, float] = {}
        self.board.listen(self._note)

    def _note(self, _before: Snapshot, after: Snapshot) -> None:
        self.named.setdefault(after.leader, clock.now())

    def is_settled(self) -> bool:
        snapshot = self.board.snapshot
        return snapshot.position is not None and snapshot.state in (State.WAITING, State.HOLDING)


@asynccontextmanager
async def crowd(url: str, root: str, watch_all_up_to: int) -> AsyncIterator[list[Candidate]]:
    """Four candidates in the order in which they joined."""
    async with AsyncExitStack() as stack:
        found = []
        for name in ("first", "second", "third", "fourth"):
            candidate = Candidate(name, url, root, watch_all_up_to)
            await stack.enter_async_context(candidate.client)
            running = asyncio.create_task(candidate.runner.run())
            stack.push_async_callback(asyncio.wait, (running,))
            stack.callback(running.cancel)
            await until(candidate.is_settled)
            found.append(candidate)
        yield found


@pytest.mark.parametrize("watch_all_up_to", [32, 2], ids=["short queue", "long queue"])
async def test_the_third_waiter_names_the_new_leader(
    etcd: EtcdServer, root: str, watch_all_up_to: int, record_property: Callable[[str, object], None]
) -> None:
    """When the leader hands over, the others name the next one at once, ask nothing, and stay where they are."""
    async with crowd(etcd.url, root, watch_all_up_to) as (first, second, third, fourth):
        asked = [waiter.store.asked for waiter in (third, fourth)]
        first.runner.submit(ev.Stop())
        await until(lambda: {"second"} <= second.named.keys() & third.named.keys() & fourth.named.keys())
        assert second.board.snapshot.state is State.HOLDING
        for waiter, before in zip((third, fourth), asked, strict=True):
            assert (waiter.board.snapshot.leader, waiter.board.snapshot.state) == ("second", State.WAITING)
            assert waiter.store.asked == before
        # not judged: a busy machine may take any time
        record_property("seconds after the second", third.named["second"] - second.named["second"])


async def test_a_waiter_names_each_leader_in_turn(etcd: EtcdServer, root: str) -> None:
    """The first three leave one after the other: the last waiter names each new leader, and leads in the end."""
    async with crowd(etcd.url, root, 32) as (first, second, third, fourth):
        for leaving, leads in ((first, second), (second, third), (third, fourth)):
            leaving.runner.submit(ev.Stop())
            await until(lambda leads=leads: leads.board.snapshot.state is State.HOLDING)  # type: ignore[misc]  # no type for a lambda's default
        assert list(fourth.named)[-3:] == ["second", "third", "fourth"]
