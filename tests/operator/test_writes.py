"""The operator's writes on a real etcd: done only while its own key stands and what was read has not changed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from leasehold.base.clock import now
from leasehold.candidate.etcd_store import entry_of
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown
from leasehold.etcd.model import KeyValue
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.operator.plan.model import DeleteSpec, Evict, PutSpec
from leasehold.operator.reconcile import etcd_writer
from leasehold.operator.reconcile.etcd_writer import Conflict, NotActive, Writer
from tests.operator.watched_mirror import LOCK, join
from tests.servers import PATIENCE, EtcdServer
from tests.support.etcd_keys import delete

OPERATORS = LockName("leasehold", "leasehold-operator")
Write = Callable[[Writer], Awaitable[object]]


class Operator:
    """A replica with its key in the operators' queue, and one lock with a spec and a candidate."""

    def __init__(self, client: EtcdClient, root: str) -> None:
        self.client = client
        self.root = root
        self.keys = Keys(LOCK, root)
        self.guard: tuple[str, int] | None = None
        self.writer = Writer(client, root, lambda: self.guard)

    async def begin(self) -> "Operator":
        own, _ = await join(self.client, self.root, "operator-1", lock=OPERATORS)
        found = await self.read(own)
        assert found is not None
        self.guard = (own, found.create_revision)
        await self.client.put(self.keys.spec, b"old")
        await join(self.client, self.root, "pod")
        return self

    async def read(self, key: str) -> KeyValue | None:
        return (await self.client.range(key)).first

    async def spec(self) -> KeyValue:
        found = await self.read(self.keys.spec)
        assert found is not None
        return found

    async def queue(self) -> list[Entry]:
        return [entry_of(kv) for kv in (await self.client.range(self.keys.queue, end=self.keys.queue + "\x7f")).kvs]

    async def every_write(self) -> list[Write]:
        """One of each kind, right in all it compares."""
        revision, (entry,) = (await self.spec()).mod_revision, await self.queue()
        return [
            lambda writer: writer.put_spec(LOCK, PutSpec(b"new", revision)),
            lambda writer: writer.delete_spec(LOCK, DeleteSpec(revision)),
            lambda writer: writer.evict(LOCK, Evict(entry, "its pod has ended")),
        ]

    async def untouched(self) -> bool:
        return (await self.spec()).value == b"old" and len(await self.queue()) == 1


@pytest.fixture
async def operator(client: EtcdClient, root: str) -> Operator:
    return await Operator(client, root).begin()


# --- the spec ------------------------------------------------------------------------------------------------------


async def test_spec_written_rewritten_deleted(operator: Operator) -> None:
    """The revision that a write returns is what the next one compares."""
    name = LockName("shop", "fresh")
    key = Keys(name, operator.root).spec
    first = await operator.writer.put_spec(name, PutSpec(b"1", 0))
    second = await operator.writer.put_spec(name, PutSpec(b"2", first))
    found = await operator.read(key)
    assert found is not None
    assert (found.value, found.create_revision, found.mod_revision, found.lease) == (b"2", first, second, 0)
    await operator.writer.delete_spec(name, DeleteSpec(second))
    assert await operator.read(key) is None


async def test_moved_spec_is_left_alone(operator: Operator) -> None:
    """A spec key that somebody changed meanwhile is not overwritten."""
    old = (await operator.spec()).mod_revision
    await operator.client.put(operator.keys.spec, b"by hand")
    for refused in (
        operator.writer.put_spec(LOCK, PutSpec(b"new", old)),
        operator.writer.put_spec(LOCK, PutSpec(b"new", 0)),
        operator.writer.delete_spec(LOCK, DeleteSpec(old)),
    ):
        with pytest.raises(Conflict, match=operator.keys.spec):
            await refused
    assert (await operator.spec()).value == b"by hand"


async def test_gone_spec_is_not_written(operator: Operator) -> None:
    """A write that compares a revision creates no key."""
    old = (await operator.spec()).mod_revision
    await delete(operator.client, operator.keys.spec)
    for refused in (
        operator.writer.put_spec(LOCK, PutSpec(b"new", old)),
        operator.writer.delete_spec(LOCK, DeleteSpec(old)),
    ):
        with pytest.raises(Conflict):
            await refused
    assert await operator.read(operator.keys.spec) is None


# --- evictions -----------------------------------------------------------------------------------------------------


async def test_a_candidate_is_evicted_alone(operator: Operator) -> None:
    """Whatever it has written since, and whatever became of the spec: it is still that candidate."""
    (entry,) = await operator.queue()
    await join(operator.client, operator.root, "next")
    await operator.client.put(entry.key, Record("pod", incarnation="2").encode(), lease=entry.lease)
    await delete(operator.client, operator.keys.spec)
    await operator.writer.evict(LOCK, Evict(entry, "revoked"))
    assert [left.record.identity for left in await operator.queue()] == ["next"]
    with pytest.raises(Conflict):
        await operator.writer.evict(LOCK, Evict(entry, "revoked"))


async def test_next_under_the_same_key_is_spared(operator: Operator) -> None:
    """The same lease, the same key, another create revision: another candidate."""
    (entry,) = await operator.queue()
    await delete(operator.client, entry.key)
    await operator.client.put(entry.key, Record("pod", incarnation="2").encode(), lease=entry.lease)
    with pytest.raises(Conflict):
        await operator.writer.evict(LOCK, Evict(entry, "its pod has ended"))
    assert len(await operator.queue()) == 1


async def test_only_queue_keys_can_be_evicted(operator: Operator) -> None:
    """No key outside of the lock's queue can be evicted."""
    spec = await operator.spec()
    with pytest.raises(ValueError, match="not a candidate"):
        await operator.writer.evict(LOCK, Evict(entry_of(spec), "a bug"))
    with pytest.raises(ValueError, match="not a candidate"):
        await operator.writer.evict(LockName("shop", "other"), Evict((await operator.queue())[0], "a bug"))
    assert await operator.untouched()


# --- the guard -----------------------------------------------------------------------------------------------------


async def lost(operator: Operator) -> None:
    """Its own key is gone: its lease ran out while it was paused."""
    assert operator.guard
    await delete(operator.client, operator.guard[0])


async def replaced(operator: Operator) -> None:
    """Its own key is another's now, by the same name."""
    await lost(operator)
    assert operator.guard
    await operator.client.put(operator.guard[0], b"another")


async def stepped_down(operator: Operator) -> None:
    operator.guard = None


async def lost_and_moved(operator: Operator) -> None:
    """Replaced, and the successor has written already: that it is replaced counts."""
    await lost(operator)
    await operator.client.put(operator.keys.spec, b"old")


@pytest.mark.parametrize("how", [lost, replaced, stepped_down, lost_and_moved])
async def test_nothing_written_without_the_guard(
    operator: Operator, how: Callable[[Operator], Awaitable[None]]
) -> None:
    """Once the guard is lost, every write is refused."""
    for write in await operator.every_write():
        await how(operator)
        with pytest.raises(NotActive):
            await write(operator.writer)
    assert await operator.untouched()


async def test_rewritten_record_is_the_guard(operator: Operator) -> None:
    """The own key's create revision counts: its record changes when it yields."""
    assert operator.guard
    await operator.client.put(operator.guard[0], b"rewritten")
    (put, _, evict) = await operator.every_write()
    await put(operator.writer)
    await evict(operator.writer)
    assert not await operator.queue()


# --- outcomes ------------------------------------------------------------------------------------------------------


async def test_no_answer_is_an_unknown_outcome(
    etcd_factory: Callable[..., EtcdServer], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither repeated nor taken for a failure. When etcd goes on, it may be done after all."""
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        operator = await Operator(client, root).begin()
        (put, *_) = await operator.every_write()
        monkeypatch.setattr(etcd_writer, "WRITE_TIMEOUT_SECONDS", 0.5)
        server.pause()
        with pytest.raises(OutcomeUnknown):
            await put(operator.writer)
        with pytest.raises(NotSent):
            await put(operator.writer)
        server.resume()
        await asyncio.to_thread(server.wait_healthy)
        async with EtcdClient([server.url], clock=now) as other:
            found = (await other.range(operator.keys.spec, timeout=30)).first
        assert found is not None
        assert found.value in (b"old", b"new")


async def test_etcd_away_is_its_own_error(etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    """An etcd that is away is told apart from a refusal."""
    server = etcd_factory()
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        operator = await Operator(client, root).begin()
        every = await operator.every_write()
        server.kill()
        for write in every:
            with pytest.raises(EtcdError):
                await write(operator.writer)
