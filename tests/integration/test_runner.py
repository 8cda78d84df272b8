"""The shell around the election on a real etcd: what only shows from inside of the process."""

import asyncio

import pytest

from leasehold.base import clock
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import Runner
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.model import WatchEvent
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.servers import EtcdServer
from tests.support.http_client import until

LOCK = LockName("tests", "lock")


async def test_a_bug_in_what_a_watch_tells_ends_the_run(
    etcd: EtcdServer, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for a fault of the connection, it would be met again and again."""

    def broken(store: EtcdStore, event: WatchEvent, revision: int) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(EtcdStore, "event_of", broken)
    board = Publisher(Snapshot(LOCK, "me", State.IDLE), clock.now)
    async with EtcdClient([etcd.url], clock=clock.now) as client:
        settings = ElectionConfig(LOCK, Record("me", incarnation="1"), root=root)
        store = EtcdStore(client, Keys(LOCK, root))
        running = asyncio.create_task(Runner(settings, store, board).run())
        await until(lambda: board.snapshot.state is State.HOLDING)
        await client.put(Keys(LOCK, root).spec, b"{}")
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(running, 30)
        assert client.connects == 1
