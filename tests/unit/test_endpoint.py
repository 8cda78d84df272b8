"""Every route of the public listener, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry, Gauge

from leasehold.base.address import Address
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import State
from leasehold.http.listener import Listener, listen
from leasehold.lock.reason import Code, Reason
from leasehold.run.endpoint import make_app
from tests.support.http_client import ask, connected
from tests.support.snapshots import HOLDING, WAITING


@dataclass
class World:
    """A listener on a board and a clock that the test sets."""

    now: float = 100.0
    alive: bool = True
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.board = Publisher(WAITING, lambda: self.now)

    async def start(self) -> None:
        app = make_app(self.board, self.registry, lambda: self.alive, wall=lambda: 1_000_000_000.0)
        self.listener: Listener = await listen(app, Address("127.0.0.1", 0))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.listener.close()


async def test_leader_is_200_with_the_token_while_holding(world: World) -> None:
    world.board.publish(HOLDING)
    reply = await ask(world.listener, "GET", "/leader")
    assert reply.status == 200
    assert reply.headers["leasehold-token"] == "17"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "lock": "prod/billing",
        "identity": "billing-0",
        "leading": True,
        "token": 17,
        "key": "/queue/1f",
        "validForSeconds": 10.0,
        "leader": "billing-0",
        "since": "2001-09-09T01:46:30Z",
        "position": 0,
        **dict.fromkeys(("reason", "reasonCode", "reasonSince", "reasonUntil")),
    }


async def test_leader_says_why_not(world: World) -> None:
    """The exact reason, since when, and until when."""
    reason = Reason(Code.APP_UNHEALTHY, "no connection", since=90.0, until=248.0)
    world.board.publish(replace(WAITING, state=State.IDLE, reason=reason))
    for path in ("/leader", "/readyz"):
        body = (await ask(world.listener, "GET", path)).json()
        assert {name: value for name, value in body.items() if name.startswith("reason")} == {
            "reason": "the app is unhealthy: no connection; no answer counts for another 148 s",
            "reasonCode": "app-unhealthy",
            "reasonSince": "2001-09-09T01:46:30Z",
            "reasonUntil": "2001-09-09T01:49:08Z",
        }


async def test_a_passed_deadline_is_why(world: World) -> None:
    """No event says so: the newest snapshot still holds."""
    world.board.publish(HOLDING)
    world.now = 115.0
    body = (await ask(world.listener, "GET", "/leader")).json()
    assert (body["reasonCode"], body["reasonSince"]) == ("unconfirmed", "2001-09-09T01:46:35Z")


async def test_leader_is_503_and_names_the_leader_while_waiting(world: World) -> None:
    reply = await ask(world.listener, "GET", "/leader")
    assert reply.status == 503
    assert "leasehold-token" not in reply.headers
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert (body["leading"], body["token"], body["leader"], body["position"]) == (False, None, "billing-1", 1)


async def test_leader_is_decided_by_the_clock_when_it_is_answered(world: World) -> None:
    """A process that was frozen past its deadline says 503 first, though no newer snapshot came."""
    world.board.publish(HOLDING)
    async with connected(world.listener) as client:
        assert (await client.ask("GET", "/leader")).status == 200
        world.now = 110.0
        assert (await client.ask("GET", "/leader")).status == 503


@pytest.mark.parametrize("state", [s for s in State if s is not State.HOLDING])
async def test_leader_is_503_in_every_other_state(world: World, state: State) -> None:
    world.board.publish(replace(HOLDING, state=state))
    reply = await ask(world.listener, "GET", "/leader")
    assert reply.status == 503
    assert (reply.json()["leading"], reply.json()["token"], reply.json()["leader"]) == (False, None, None)


async def test_head_has_the_headers_of_get_and_no_body(world: World) -> None:
    world.board.publish(HOLDING)
    async with connected(world.listener) as client:
        got = await client.ask("GET", "/leader")
        head = await client.ask("HEAD", "/leader")
        assert (head.status, head.body) == (200, b"")
        assert head.headers.keys() == got.headers.keys()
        assert head.headers["content-length"] == got.headers["content-length"]
        assert (await client.ask("GET", "/leader")).status == 200  # nothing of a body was left on the connection


async def test_the_root_names_the_leader(world: World) -> None:
    """The answer has the format of the retired leader-elector sidecar."""
    assert (await ask(world.listener, "GET", "/")).json() == {"name": "billing-1"}
    world.board.publish(HOLDING)
    reply = await ask(world.listener, "GET", "/")
    assert (reply.status, reply.json()) == (200, {"name": "billing-0"})


async def test_past_the_deadline_the_root_names_nobody(world: World) -> None:
    """The newest snapshot still holds, but its deadline has passed."""
    world.board.publish(HOLDING)
    world.now = 110.0
    assert (await ask(world.listener, "GET", "/")).json() == {"name": ""}


async def test_one_of_several_holders_names_itself(world: World) -> None:
    world.board.publish(replace(HOLDING, leader="billing-9"))
    assert (await ask(world.listener, "GET", "/")).json() == {"name": "billing-0"}
    assert (await ask(world.listener, "GET", "/leader")).json()["leader"] == "billing-9"


async def test_livez_follows_the_election_loop(world: World) -> None:
    assert (await ask(world.listener, "GET", "/livez")).status == 200
    world.alive = False
    reply = await ask(world.listener, "GET", "/livez")
    assert (reply.status, reply.json()["alive"]) == (503, False)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.IDLE, 503),
        (State.JOINING, 503),
        (State.WAITING, 200),
        (State.HOLDING, 200),
        (State.UNSURE, 200),
        (State.YIELDING, 503),
    ],
)
async def test_readyz_is_a_place_in_the_queue(world: World, state: State, status: int) -> None:
    world.board.publish(replace(HOLDING, state=state))
    reply = await ask(world.listener, "GET", "/readyz")
    assert reply.status == status
    assert reply.json()["state"] == state.value
    assert ("reason" in reply.json()) is (status == 503)


async def test_metrics_are_those_of_the_registry(world: World) -> None:
    Gauge("answer", "Of everything.", registry=world.registry).set(42)
    reply = await ask(world.listener, "GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"answer 42.0" in reply.body


async def test_too_many_scrapes_at_once_get_503(world: World) -> None:
    """The refusals say when to come back, and a later scrape succeeds."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(world.listener)) for _ in range(40)]
        replies = await asyncio.gather(*(client.ask("GET", "/metrics") for client in clients))
    assert {reply.status for reply in replies} <= {200, 503}
    assert 200 in {reply.status for reply in replies}
    assert all(reply.headers["retry-after"] == "1" for reply in replies if reply.status == 503)
    assert (await ask(world.listener, "GET", "/metrics")).status == 200


async def test_an_unknown_path_is_404_and_says_what_there_is(world: World) -> None:
    reply = await ask(world.listener, "GET", "/leader/")
    assert reply.status == 404
    assert "/leader" in reply.json()["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_another_method_is_405(world: World, method: str) -> None:
    reply = await ask(world.listener, method, "/leader")
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/leader", "/", "/events", "/livez", "/readyz", "/metrics"])
async def test_options_is_answered_like_head(world: World, path: str) -> None:
    """HAProxy's default check asks so; a stream of events is not begun."""
    head, options = [await ask(world.listener, method, path) for method in ("HEAD", "OPTIONS")]
    assert options.status == head.status


async def test_the_controls_are_not_on_the_public_listener(world: World) -> None:
    for path in ("/handover", "/pause", "/resume", "/drained"):
        assert (await ask(world.listener, "POST", path)).status == 404


async def test_a_failing_handler_answers_only_500(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The reason is logged and not sent, and other routes go on."""
    gauge = Gauge("broken", "Raises when read.", registry=world.registry)
    gauge.set_function(lambda: 1 / 0)
    reply = await ask(world.listener, "GET", "/metrics")
    assert reply.status == 500
    assert b"ZeroDivisionError" not in reply.body
    assert "ZeroDivisionError" in caplog.text
    assert (await ask(world.listener, "GET", "/leader")).status == 503


async def test_no_answer_names_a_version(world: World) -> None:
    async with connected(world.listener) as client:
        client.send(b"what is this\r\n\r\n")
        garbage = await client.reply()
    for reply in (garbage, await ask(world.listener, "GET", "/"), await ask(world.listener, "GET", "/nowhere")):
        assert reply.headers["server"] == "leasehold"
        assert b"aiohttp" not in reply.body
