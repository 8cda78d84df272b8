"""The model etcd does what a real etcd does: same questions, same answers, same revisions, same events.

Faults, clocks and delays are the model's own; this holds what a quorum agrees on: transactions, leases, history.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from leasehold.base import clock
from leasehold.candidate.etcd_store import EtcdStore as RealStore
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import prefix_end
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from tests.support.etcd_keys import delete

from ..servers import EtcdServer
from .cluster import Cluster
from .service import Request, Service
from .store import KEYS
from .timeline import Timeline, Trace

TIMEOUT = 120.0
NOBODY = ev.ResponseHeader(0, 0, 0, 0)


class Both:
    """A real etcd and the model, side by side; the real one names the leases."""

    def __init__(self, client: EtcdClient, rng: random.Random) -> None:
        timeline = Timeline()
        self.client, self.rng = client, rng
        self.real = RealStore(client, KEYS)
        self.cluster = Cluster(timeline, rng, Trace(timeline), [1.0])
        self.model = Service(self.cluster)
        self.leases: list[int] = [12345]  # one that never was
        self.seen: list[Entry] = []
        self.op = 0

    async def ask(self, command: Any) -> None:
        """Ask both, and compare."""
        real = _bare(await self.real.perform(command, TIMEOUT))
        if isinstance(real, ev.Granted):
            self.leases.append(real.lease)
            self.cluster.store.grant(real.lease, real.ttl)
            return
        answers: list[ev.Event] = []
        self.model.receive(Request(command, self.cluster.members[0], 0.0, answers.append))
        assert [_bare(answer) for answer in answers] == [real], command
        if isinstance(real, ev.QueueRead):
            self.seen += real.queue

    async def step(self) -> None:
        self.op += 1
        act = self.rng.choice((self._join, self._join, self._write, self._give_up, self._read, self._from_outside))
        await act()

    def _lease(self) -> int:
        return self.rng.choice(self.leases)

    async def _join(self) -> None:
        if self.rng.random() < 0.5:
            await self.ask(cmd.Grant(self.op, 3600))
        spec = self.rng.choice((self.cluster.store.declared.revision, self.cluster.store.declared.revision, 3))
        record = Record(identity=f"pod{self.op}", incarnation="first", priority=self.op % 3)
        await self.ask(cmd.Join(self.op, self.rng.choice(self.leases[-2:]), record, spec))

    async def _write(self) -> None:
        entry = self._entry()
        if entry is not None:
            record = replace(entry.record, yield_to="pod1", incarnation="second")
            await self.ask(cmd.Write(self.op, entry.lease, record, entry.create_revision, entry.mod_revision))

    async def _give_up(self) -> None:
        entry, guard, passed = self._entry(), self._entry(), self._entry()
        if entry is not None and guard is not None and passed is not None:
            others = (passed,) if passed.key != entry.key and self.rng.random() < 0.5 else ()
            spec = self.rng.choice((None, self.cluster.store.declared.revision))
            keep = self.rng.random() < 0.2 and bool(others)
            await self.ask(
                cmd.Resign(self.op, entry.lease, entry.create_revision, others, (guard,), spec, keep_own=keep)
            )

    def _entry(self) -> Entry | None:
        """An entry that is, or was, or has changed since."""
        now = self.cluster.store.queue()
        known = self.seen if self.rng.random() < 0.3 else now
        return self.rng.choice(known) if known else None

    async def _read(self) -> None:
        ahead = self._entry()
        await self.ask(cmd.ReadSpec(self.op))
        await self.ask(cmd.ReadQueue(self.op))
        await self.ask(cmd.ReadOwn(self.op, self._lease(), ahead.key if ahead else None))
        await self.ask(cmd.KeepAlive(self.op, self.rng.choice(self.leases[:1])))
        await self._confirm(ahead)

    async def _confirm(self, ahead: Entry | None) -> None:
        """A confirming read of a candidate that knows the queue, or knew it."""
        own, spec = self._entry(), self.cluster.store.declared.revision
        if own is not None:
            expected = cmd.Expected(
                own.create_revision,
                own.mod_revision,
                spec if self.rng.random() < 0.8 else spec + 1,
                ahead.mod_revision if ahead else 0,
            )
            await self.ask(cmd.ReadOwn(self.op, own.lease, ahead.key if ahead else None, expected))

    async def _from_outside(self) -> None:
        store, entry = self.cluster.store, self._entry()
        luck = self.rng.random()
        if luck < 0.4:
            spec = Spec(capacity=self.op)
            store.declare(spec)
            await self.client.put(KEYS.spec, spec.encode())
        elif luck < 0.5:
            store.declare(None)
            await delete(self.client, KEYS.spec)
        elif entry is not None and luck < 0.75:
            store.delete([entry.key])
            await delete(self.client, entry.key)
        elif entry is not None and entry.lease in store.leases:
            store.revoke(entry.lease)
            self.leases.remove(entry.lease)
            await self.client.revoke(entry.lease)


def _bare(event: ev.Event) -> ev.Event:
    """Without what must differ: who answered, when it was sent, how an error is put into words."""
    if isinstance(event, (ev.Granted, ev.KeptAlive)):
        event = replace(event, sent=0.0)
    if isinstance(event, ev.KeptAlive):
        return replace(event, origin=NOBODY)  # its revision is that of one member, which may lag
    if isinstance(event, ev.Answer):
        return replace(event, origin=replace(NOBODY, revision=event.origin.revision))
    return replace(event, reason="") if isinstance(event, ev.Failed) else event


async def _history(watcher: AsyncIterator[Any], real: RealStore, last: int) -> list[ev.Event]:
    """All events of a watch up to a revision that is known to be an event of it."""
    heard: list[ev.Event] = []
    async for batch in watcher:
        for event in batch.events:
            heard.append(real.event_of(event, batch.origin.revision))
            if event.kv.mod_revision >= last:
                return heard
    return heard


def _deletions_sorted(events: list[ev.Event]) -> list[ev.Event]:
    """Deletions of one transaction come in an order of etcd's own: it says nothing."""

    def place(event: ev.Event) -> tuple[int, str]:
        if isinstance(event, ev.EntryGone):
            return (event.revision, event.key)
        assert isinstance(event, ev.EntryPut)
        return (event.entry.mod_revision, event.entry.key)

    assert [place(event)[0] for event in events] == sorted(place(event)[0] for event in events)
    return sorted(events, key=place)


@pytest.mark.parametrize("seed", range(3))
async def test_the_model_answers_as_etcd_does(etcd_factory: Callable[..., EtcdServer], seed: int) -> None:
    """A hundred random operations, some on what is no more; then the history of the queue, as a watch tells it."""
    server = etcd_factory()
    async with EtcdClient([server.url], clock=clock.now, timeout=120) as client:
        both = Both(client, random.Random(seed))
        for _ in range(100):
            await both.step()
        both.op += 1
        await both.ask(cmd.Grant(both.op, 60))
        await both.ask(cmd.Join(both.op, both.leases[-1], Record("last", incarnation="x"), _spec_revision(both)))
        assert both.cluster.store.head() is not None
        watcher: Watcher = client.watch()
        async with watcher:
            await watcher.add(KEYS.queue, end=prefix_end(KEYS.queue), start_revision=2)
            told = await _history(watcher, both.real, both.cluster.store.revision)
        modelled = [change for _, changes in both.cluster.store.since(2) for change in changes]
        ours = [change for change in modelled if isinstance(change, (ev.EntryPut, ev.EntryGone))]
        assert _deletions_sorted(told) == _deletions_sorted(list(ours))


def _spec_revision(both: Both) -> int:
    return both.cluster.store.declared.revision
