"""The control listener: which events follow from which request, and who may make one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from leasehold.base.address import Address, UnixAddress
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.recorder import FORMAT, Recorder
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.events import Event, HandOver, Pause, Resume, WorkStopped
from leasehold.election.snapshot import Snapshot, State
from leasehold.http.listener import Listener, listen
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.run.control import make_app
from tests.support.http_client import ask, connected
from tests.support.sidecars import request

HOLDING = Snapshot(LockName("prod", "billing"), "billing-0", State.HOLDING, token=17, term_since=90.0, deadline=110.0)


class World:
    """A control listener and what it submitted."""

    def __init__(self) -> None:
        self.board = Publisher(HOLDING, lambda: 100.0)
        self.submitted: list[Event] = []
        rng = random.Random(1)
        config = ElectionConfig(HOLDING.lock, Record("billing-0", incarnation="this-process"))
        self.recorder = Recorder(config, Election(config, rng), rng, self.board.clock)
        self.listener: Listener

    def state(self, state: State, *, held: bool = True) -> None:
        self.board.publish(replace(HOLDING, state=state, term_since=90.0 if held else None))


Start = Callable[[Address | UnixAddress], AbstractAsyncContextManager[World]]


@asynccontextmanager
async def control(address: Address | UnixAddress) -> AsyncIterator[World]:
    world = World()
    app = make_app(world.submitted.append, world.board, world.recorder.recording, tcp=isinstance(address, Address))
    world.listener = await listen(app, address)
    try:
        yield world
    finally:
        await world.listener.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with control(Address("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/handover", [HandOver()]),
        ("/pause", [Pause()]),
        ("/resume", [Resume()]),
        ("/drained", [HandOver(), WorkStopped()]),
    ],
)
async def test_a_holder_does_what_it_is_asked(world: World, path: str, events: list[Event]) -> None:
    reply = await ask(world.listener, "POST", path)
    assert reply.status == 202
    assert reply.json()["next"]
    assert world.submitted == events


async def test_drained_ends_a_handover_under_way(world: World) -> None:
    world.state(State.YIELDING)
    assert (await ask(world.listener, "POST", "/drained")).status == 202
    assert world.submitted == [WorkStopped()]


async def test_a_second_handover_does_no_harm(world: World) -> None:
    world.state(State.YIELDING)
    assert (await ask(world.listener, "POST", "/handover")).status == 202
    assert world.submitted == []


@pytest.mark.parametrize("path", ["/handover", "/drained"])
@pytest.mark.parametrize("state", [State.IDLE, State.JOINING, State.WAITING, State.UNSURE])
async def test_what_is_not_held_cannot_be_given_up(world: World, path: str, state: State) -> None:
    world.state(state, held=False)
    reply = await ask(world.listener, "POST", path)
    assert reply.status == 409
    assert reply.json()["error"].endswith(".")
    assert world.submitted == []


async def test_an_unsure_holder_may_give_up(world: World) -> None:
    world.state(State.UNSURE)
    assert (await ask(world.listener, "POST", "/handover")).status == 202
    assert world.submitted == [HandOver()]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_commands(world: World, method: str) -> None:
    reply = await ask(world.listener, method, "/handover")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert world.submitted == []


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:8080", "null"])
async def test_web_pages_are_refused(world: World, origin: str) -> None:
    assert (await ask(world.listener, "POST", "/handover", Origin=origin)).status == 403
    assert world.submitted == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin"])
async def test_web_pages_that_do_not_say_their_origin_are_refused(world: World, site: str) -> None:
    assert (await ask(world.listener, "POST", "/handover", **{"Sec-Fetch-Site": site})).status == 403
    assert world.submitted == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4041", "127.0.0.1.evil.example", "10.0.0.7:4041", "[::2]:4041", "", ":", "["]
)
async def test_names_that_were_made_to_point_here_are_refused(world: World, host: str) -> None:
    assert (await ask(world.listener, "POST", "/handover", Host=host)).status in (400, 403)
    assert world.submitted == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4041", "127.0.0.1:4041", "127.8.9.1", "[::1]:4041", "[::1]"])
async def test_loopback_has_many_names(world: World, host: str) -> None:
    assert (await ask(world.listener, "POST", "/handover", Host=host)).status == 202


async def test_a_body_is_not_needed_and_does_no_harm(world: World) -> None:
    async with connected(world.listener) as client:
        client.send(b"POST /pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
        assert (await client.reply()).status == 202
        client.send(b"{}")  # as clients do that send headers and body apart
        assert (await client.ask("POST", "/resume")).status == 202
    assert world.submitted == [Pause(), Resume()]


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    async with control(UnixAddress(tmp_path / "control.sock")) as world:
        assert (await ask(world.listener, "POST", "/handover", Host="whatever")).status == 202
        assert (await ask(world.listener, "POST", "/handover", Origin="http://evil.example")).status == 403
    assert world.submitted == [HandOver()]


async def test_the_flight_record_is_there(world: World) -> None:
    """As JSON lines, the first of which says what they are."""
    base = f"http://{world.listener.address}"
    status, body = await asyncio.to_thread(request, "GET", f"{base}/debug/record")
    first, second = (json.loads(line) for line in body.splitlines())
    assert (status, first["flightRecord"], first["reason"]) == (200, FORMAT, "asked")
    assert "checkpoint" in second
    assert await asyncio.to_thread(request, "HEAD", f"{base}/debug/record") == (200, "")


async def test_the_flight_record_is_not_for_web_pages(world: World) -> None:
    assert (await ask(world.listener, "GET", "/debug/record", Origin="http://evil.example")).status == 403
