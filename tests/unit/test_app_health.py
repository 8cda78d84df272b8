"""App health: from answers to verdicts in virtual time, and the probe over real HTTP."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from aiohttp.web import Response
from hypothesis import given
from hypothesis import strategies as st

from leasehold.base.address import Address
from leasehold.election.events import Event, Health
from leasehold.http.listener import listen
from leasehold.http.server import App, answer
from leasehold.run.app_health import AppHealth, Judge, ProbeTiming, _session, ask
from tests.support.http_client import until

TIMING = ProbeTiming(interval=2.0, poll=1.0, threshold=3, backoff=5.0, longest=20.0, forgiven=600.0)


def verdicts(answers: list[bool], start: float = 0.0) -> tuple[Judge, list[tuple[float, bool]]]:
    """Feed these answers at the judge's own timing; the changes with their instants."""
    judge, now, changes = Judge(TIMING), start, []
    for good in answers:
        if judge.answered(good, now):
            changes.append((now, judge.healthy))
        now += judge.wait()
    return judge, changes


def test_the_first_good_answer_makes_it_healthy() -> None:
    """The app starts as unhealthy, and failures alone report nothing."""
    assert verdicts([False] * 50)[1] == []
    assert verdicts([False, False, True])[1] == [(2.0, True)]


def test_only_bad_answers_in_a_row_make_it_unhealthy() -> None:
    assert verdicts([True, False, False, True, False, False, True])[1] == [(0.0, True)]
    assert verdicts([True, False, False, False])[1] == [(0.0, True), (6.0, False)]


def test_it_stays_unhealthy_for_longer_each_time() -> None:
    cycle = [False] * 3 + [True] * 30
    _, changes = verdicts([True, *cycle, *cycle, *cycle, *cycle, *cycle])
    falls = [now for now, healthy in changes if not healthy]
    rises = [now for now, healthy in changes[1:] if healthy]
    assert [rise - fall for fall, rise in zip(falls, rises, strict=True)] == [5.0, 10.0, 20.0, 20.0, 20.0]


def test_a_long_healthy_time_is_forgiving() -> None:
    flap = [False] * 3 + [True] * 30
    _, changes = verdicts([True, *flap, *flap, *([True] * 300), *flap])
    falls = [now for now, healthy in changes if not healthy]
    rises = [now for now, healthy in changes[1:] if healthy]
    assert [rise - fall for fall, rise in zip(falls, rises, strict=True)] == [5.0, 10.0, 5.0]


def test_the_wait_ends_on_request() -> None:
    """After it has failed often, its next good answer counts; and the back-off starts over."""
    flap = [False] * 3 + [True] * 30
    judge, _ = verdicts([True, *flap, *flap, *flap, False, False, False])
    assert not judge.answered(True, 150.0)
    judge.forgive()
    assert judge.answered(True, 150.0)
    assert not any(judge.answered(False, 151.0 + second) for second in range(2))
    assert judge.answered(False, 153.0)
    assert judge.excluded_until == 158.0


@given(st.lists(st.booleans(), max_size=200))
def test_verdicts_alternate_and_each_is_earned(answers: list[bool]) -> None:
    judge, now, last = Judge(TIMING), 0.0, False
    recent: list[bool] = []
    for good in answers:
        recent = [*recent, good][-3:]
        if judge.answered(good, now):
            assert judge.healthy is not last
            assert recent[-1] if judge.healthy else recent == [False] * 3
            last = judge.healthy
        assert judge.healthy is last
        now += judge.wait()


async def test_only_changes_are_submitted() -> None:
    """The verdict, what is wrong, and until when no answer counts."""
    answers = iter(["refused", "", "", "500", "500", "500", "", "", "", "", "", ""])
    now, submitted = 0.0, list[Event]()

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def probe() -> str:
        try:
            return next(answers)
        except StopIteration:
            raise asyncio.CancelledError from None

    health = AppHealth("http://app", submitted.append, timing=TIMING, probe=probe, clock=lambda: now, sleep=sleep)
    with suppress(asyncio.CancelledError):
        await health.run()
    again = "it answers well again, but has failed too often of late"
    assert submitted == [
        Health(False, "refused"),
        Health(True),
        Health(False, "500", until=14.0),
        Health(False, again, until=14.0),
        Health(True),
    ]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(raw: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return serve


async def asked(serve: Serve, *, timeout: float = 600.0) -> str:
    """What the probe says of an app that serves like this."""
    under_way = 0

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.transport.abort()
        await asyncio.sleep(0)  # in which the socket is closed
        under_way -= 1

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with _session() as session:
        problem = await ask(session, f"http://127.0.0.1:{port}/healthz", timeout)
    server.close()
    await until(lambda: not under_way)
    return problem


@pytest.mark.parametrize(
    "status", ["200 OK", "204 No Content", "301 Moved Permanently\r\nLocation: http://192.0.2.1/", "399 X"]
)
async def test_statuses_200_to_399_are_healthy(status: str) -> None:
    """Redirects are not followed."""
    assert await asked(answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())) == ""


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "500 Oops", "503 Busy"])
async def test_anything_else_is_not(status: str) -> None:
    problem = await asked(answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert problem.endswith(f"answered {status[:3]}")


@pytest.mark.parametrize(
    "raw", [b"", b"hello\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50000]
)
async def test_what_is_not_http_is_a_problem_and_never_raises(raw: bytes) -> None:
    assert await asked(answering(raw)) != ""


async def test_an_app_that_hangs_is_a_problem() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    assert (await asked(hang, timeout=0.05)).endswith("did not answer in time")


async def test_a_busy_sidecar_does_not_hold_it_against_the_app() -> None:
    """The app has answered in time; only this process has had no CPU time to read it."""

    async def keep_busy() -> None:
        while True:
            time.sleep(0.15)  # noqa: ASYNC251  # the loop is busy
            await asyncio.sleep(0)

    busy = asyncio.create_task(keep_busy())
    assert await asked(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), timeout=0.1) == ""
    busy.cancel()


async def test_nobody_listening_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    async with _session() as session:
        assert (await ask(session, f"http://127.0.0.1:{port}/", 600.0)).startswith("no connection to http://127.0.0.1:")


async def test_a_host_name_is_looked_up() -> None:
    listener = await listen(App(), Address("127.0.0.1", 0))
    async with _session() as session:
        assert (await ask(session, f"http://localhost:{listener.port}/", 600.0)).endswith("answered 404")
        assert await ask(session, f"http://{'a' * 64}:{listener.port}/", 600.0) != ""  # no name can be that long
    await listener.close()


def test_a_process_ends_while_the_resolver_of_the_app_hangs() -> None:
    script = """
import asyncio, socket, time
from leasehold.run.app_health import _session, ask
socket.getaddrinfo = lambda *a, **k: time.sleep(600)
async def main():
    async with _session() as session:
        print(await ask(session, "http://hangs:80/", 0.05))
asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    assert result.stdout == "http://hangs:80/ did not answer in time\n"
    assert not result.stderr


async def test_an_endless_body_is_not_read() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    assert await asked(flood) == ""


async def test_run_probes_over_http() -> None:
    submitted, status = list[Event](), 503
    app = App()

    async def healthz(request: object) -> Response:
        return answer({}, status)

    app.get("/healthz", healthz)
    listener = await listen(app, Address("127.0.0.1", 0))
    timing = ProbeTiming(interval=0.01, poll=0.01, timeout=600.0)
    task = asyncio.create_task(AppHealth(f"http://{listener.address}/healthz", submitted.append, timing=timing).run())
    status = 200
    await until(lambda: submitted == [Health(True)])
    status = 503
    await until(lambda: len(submitted) >= 2)  # the end of its back-off is one more
    health = submitted[1]
    assert isinstance(health, Health)
    assert not health.healthy
    assert health.problem == f"http://{listener.address}/healthz answered 503"
    assert health.until is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await listener.close()
