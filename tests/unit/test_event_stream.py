"""Server-sent events: the state, each change once, and bounds on consumers that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CollectorRegistry

from leasehold.base.address import Address
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.http.event_stream import EventStream
from leasehold.http.listener import Listener, listen
from leasehold.lock.names import LockName
from leasehold.run.endpoint import make_app
from leasehold.run.event_stream import Streams
from tests.support.http_client import Client, ask, connected, until

LOCK = LockName("prod", "billing")
HOLDING = Snapshot(
    LOCK, "billing-0", State.HOLDING, token=17, term_since=90.0, deadline=110.0, leader="billing-0", position=0
)
WAITING = Snapshot(LOCK, "billing-0", State.WAITING, token=17, deadline=110.0, leader="billing-1", position=1)
NEVER = 3600.0


class World:
    """A listener whose streams have the bounds that the test wants."""

    def __init__(self, *, heartbeat: float = NEVER, stall: float = NEVER, limit: int = 4) -> None:
        self.now = 100.0
        self.board = Publisher(WAITING, lambda: self.now)
        self.streams = Streams(self.board, lambda: 0.0, heartbeat=heartbeat, stall=stall, limit=limit)
        self.listener: Listener

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[World]:
        app = make_app(self.board, CollectorRegistry(), lambda: True, streams=self.streams)
        self.listener = await listen(app, Address("127.0.0.1", 0))
        try:
            yield self
        finally:
            await self.listener.close()


async def subscribe(client: Client) -> None:
    client.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status, headers = await client.head()
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-store")


async def test_the_state_comes_first_then_each_change() -> None:
    async with World().serving() as world, connected(world.listener) as client:
        await subscribe(client)
        name, data = await client.event()
        assert (name, data["leading"], data["leader"]) == ("state", False, "billing-1")
        world.board.publish(HOLDING)
        name, data = await client.event()
        assert (name, data["leading"], data["token"]) == ("gained", True, 17)
        assert (await client.event())[0] == "leader"
        world.board.publish(replace(HOLDING, deadline=115.0))  # renewed: no event
        world.board.publish(replace(WAITING, leader=None))
        name, data = await client.event()
        assert (name, data["leading"], data["token"]) == ("lost", False, None)
        assert (await client.event())[0] == "vacancy"


def test_an_event_is_written_at_once_only_if_nothing_waits() -> None:
    """Before its consumer waits, and behind an event that could not be written, it is queued: the order stays."""

    async def waiting() -> tuple[list[bytes], bytes]:
        written: list[bytes] = []

        def write_at_once(event: bytes) -> bool:
            written.extend([event] if event != b"2" else [])
            return event != b"2"

        stream = EventStream(write_at_once=write_at_once)
        stream.put(b"0")
        before = stream.take()
        for event in (b"1", b"2", b"3"):
            asyncio.get_running_loop().call_soon(stream.put, event)
        await stream.wait(NEVER)
        await stream.wait(NEVER)
        assert before == b"0"
        return written, stream.take()

    assert asyncio.run(waiting()) == ([b"1"], b"23")


async def test_lost_is_sent_when_the_deadline_passes_in_silence() -> None:
    async with World().serving() as world, connected(world.listener) as client:
        world.board.publish(replace(HOLDING, deadline=100.02))
        await subscribe(client)
        assert (await client.event())[0] == "state"
        world.now = 100.02
        assert (await client.event())[0] == "lost"


async def test_heartbeats_carry_the_renewed_time() -> None:
    async with World(heartbeat=0.01).serving() as world, connected(world.listener) as client:
        world.board.publish(HOLDING)
        await subscribe(client)
        assert (await client.event())[0] == "state"
        name, data = await client.event()
        assert (name, data["leading"], data["validForSeconds"]) == ("heartbeat", True, 10.0)


async def test_every_consumer_is_told() -> None:
    async with World().serving() as world, connected(world.listener) as first, connected(world.listener) as second:
        for client in (first, second):
            await subscribe(client)
            await client.event()
        world.board.publish(HOLDING)
        assert (await first.event())[0] == (await second.event())[0] == "gained"


async def test_a_leaving_consumer_frees_its_stream() -> None:
    """The number of streams is limited: one more gets 503."""
    async with World(limit=1).serving() as world:
        async with connected(world.listener) as client:
            await subscribe(client)
            assert (await ask(world.listener, "GET", "/events")).status == 503
        await until(lambda: world.streams.count == 0)
        async with connected(world.listener) as client:
            await subscribe(client)


async def test_head_opens_no_stream() -> None:
    async with World().serving() as world:
        assert (await ask(world.listener, "HEAD", "/events")).status == 200
        assert world.streams.count == 0


async def test_a_consumer_that_never_reads_is_disconnected() -> None:
    """Other consumers are not delayed meanwhile."""
    world = World(stall=0.05)
    async with world.serving(), connected(world.listener) as stuck, connected(world.listener) as reader:
        for client in (stuck, reader):
            await subscribe(client)
            await client.event()
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a real transport has it
        flips = 0
        while world.streams.count > 1:  # until its socket buffers are full
            flips += 1
            world.board.publish(HOLDING if flips % 2 else replace(WAITING, leader="x" * 200))
            assert (await reader.event())[0] in ("gained", "lost")
            assert (await reader.event())[0] == "leader"
        assert (await ask(world.listener, "GET", "/leader")).status in (200, 503)


async def test_closing_the_server_ends_streams_at_once() -> None:
    async with World().serving() as world, connected(world.listener) as client:
        await subscribe(client)
        async with asyncio.timeout(600):
            await world.listener.close(timeout=NEVER)
        await client.ended()


async def test_a_full_queue_becomes_one_state() -> None:
    stream = EventStream(size=2)
    for event in (b"1", b"2", b"3", b"4"):
        stream.put(event)
    assert (stream.overrun, stream.take()) == (True, b"")
    stream.put(b"5")
    assert (stream.overrun, stream.take()) == (False, b"5")
