"""How a term ended, as an onlooker can tell: a lease outlives its key by a moment when the lock was given up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from leasehold.base.clock import now
from leasehold.candidate import runner
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import Runner
from leasehold.election import events as ev
from leasehold.election import yielding
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd.client import EtcdClient, Transaction
from leasehold.etcd.errors import OutcomeUnknown
from leasehold.etcd.model import TxnAnswer
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from tests.operator.watched_mirror import LOCK, watching
from tests.servers import PATIENCE, EtcdServer, wait_for
from tests.support.http_client import until
from tests.support.sidecars import LOCK as SIDECARS_LOCK
from tests.support.sidecars import Sidecar

NEVER = 3600.0


@pytest.fixture
def board() -> Publisher:
    return Publisher(Snapshot(LOCK, "me", State.IDLE), now)


@asynccontextmanager
async def holding(client: EtcdClient, board: Publisher, root: str) -> AsyncIterator[tuple[Runner, asyncio.Task[None]]]:
    """A running election that holds the lock."""
    settings = ElectionConfig(LOCK, Record("me", incarnation="this-process"), root=root, ttl=600)
    made = Runner(settings, EtcdStore(client, Keys(LOCK, root)), board)
    running = asyncio.create_task(made.run())
    try:
        await until(lambda: board.snapshot.is_holding(now()))
        yield made, running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


class Deaf(EtcdClient):
    """The real client, on a network that swallows every deletion on its way, so that nobody knows what became of it."""

    async def perform(
        self, transaction: Transaction, *, timeout: float | None = None, urgent: bool = False
    ) -> TxnAnswer:
        if any(op.HasField("request_delete_range") for op in transaction.success):
            raise OutcomeUnknown("no answer")
        return await super().perform(transaction, timeout=timeout)


async def test_given_up_is_seen_as_released(
    etcd: EtcdServer, client: EtcdClient, board: Publisher, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop does not wait for the revocation, and the mirror has its answer before that."""
    monkeypatch.setattr(runner, "LEASE_LINGER_SECONDS", NEVER)
    async with watching(etcd.url, root) as mirrored, holding(client, board, root) as (made, running):
        (entry,) = await mirrored.queue("me")
        mirrored.changed.clear()
        made.submit(ev.Stop())
        await mirrored.notified(LOCK)
        await asyncio.wait_for(running, PATIENCE)
        await mirrored.settled()
        assert [(gone.entry, gone.released) for gone in mirrored.mirror.take_ended(LOCK)] == [(entry, True)]
    await client.revoke(entry.lease)


async def test_a_lease_does_not_linger_long(etcd: EtcdServer, client: EtcdClient, board: Publisher, root: str) -> None:
    """As it is: soon after the stop the lease is gone, too."""
    async with holding(client, board, root) as (made, running):
        lease = made.election.lease_id
        made.submit(ev.Stop())
        await asyncio.wait_for(running, PATIENCE)
    await asyncio.to_thread(wait_for, lambda: lease not in etcd.ctl.leases(), "the lease to be revoked")


async def test_uncertain_deletion_revokes_at_once(
    etcd: EtcdServer, client: EtcdClient, board: Publisher, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one waits for that: only after a deletion that is certain may a lease linger."""
    monkeypatch.setattr(runner, "LEASE_LINGER_SECONDS", NEVER)
    monkeypatch.setattr(yielding, "STOP_TIMEOUT_SECONDS", 1.0)
    async with Deaf([etcd.url], clock=now) as deaf, holding(deaf, board, root) as (made, running):
        lease = made.election.lease_id
        assert lease
        made.submit(ev.Stop())
        await asyncio.wait_for(running, PATIENCE)
        assert (await client.range(made.election.keys.entry(lease))).first is None
        assert (await client.time_to_live(lease)).ttl == -1


async def test_killed_is_not_seen_as_released(
    etcd: EtcdServer, client: EtcdClient, sidecar_factory: Callable[..., Sidecar], root: str
) -> None:
    """Its key goes with its lease, which is ended by hand; None where this machine was too busy to ask soon."""
    lock = LockName.parse(SIDECARS_LOCK, "")
    async with watching(etcd.url, root) as mirrored:
        killed = await asyncio.to_thread(sidecar_factory, "killed")
        gone: Sequence[Entry] = await mirrored.queue("killed", lock=lock)
        killed.kill()
        await client.revoke(gone[0].lease)
        await until(lambda: not mirrored.mirror.get(lock).queue)
        await mirrored.notified(lock)
        await mirrored.reachable()
        departed = mirrored.mirror.take_ended(lock)
    assert [each.entry.create_revision for each in departed] == [entry.create_revision for entry in gone]
    assert all(each.released is not True for each in departed)
