"""Whatever answers at etcd's address, even what is no etcd at all: one clear error in time, and nothing left behind.

The servers here break the protocol on purpose, which no real etcd does; the frames that they send are real.
"""

import asyncio
import itertools
import logging
import subprocess
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown, WatchLost
from leasehold.etcd.rpc_pb2 import RangeResponse, ResponseHeader
from tests.support.loop_turns import let_pass, turns
from tests.support.wrong_server import (
    LONG,
    OK_HEADERS,
    RANGE,
    Answer,
    Serve,
    framed,
    reset,
    serving,
    speaking,
    until_closed,
)

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await until_closed(reader)


async def mute_for_long(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    let_pass(LONG)
    await until_closed(reader)


async def gone_at_once(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    pass


async def http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


async def tls_alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"\x15\x03\x01\x00\x02\x02\x46")


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 100)
    await until_closed(reader)


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (mute_for_long, "no answer in time"),
        (gone_at_once, "closed the connection at once"),
        (http1, "speaks HTTP/1, not gRPC"),
        (tls_alert, "use https://"),
        (garbage, "does not speak HTTP/2"),
    ],
)
async def test_what_is_no_etcd_gets_no_request(serve: Serve, words: str) -> None:
    async with serving(serve) as client:
        for _ in range(2):
            with pytest.raises(NotSent, match=words):
                await client.keep_alive(1)


async def test_closing_while_connecting() -> None:
    async with serving(mute) as client:
        calls = [asyncio.create_task(client.range("k", timeout=60)) for _ in range(3)]
        await turns()
        await client.close()
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, NotSent) for outcome in outcomes)


OF_KINE = RangeResponse(header=ResponseHeader(revision=1)).SerializeToString()


def status_503(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, [(":status", "503")], end_stream=True)


def not_grpc(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "text/html")])
    http.send_data(stream, b"<html>", end_stream=True)


def no_status(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(RANGE), end_stream=True)


def no_message(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def two_messages(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(RANGE) * 2)
    let_pass(LONG)  # to a watch they mean nothing, and its word of creation never comes


def half_a_message(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(bytes(100))[:50])
    http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def compressed(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(RANGE, compressed=True))


def undecodable(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(b"\xff" * 20))
    http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def goaway(http: h2.connection.H2Connection, _: int) -> None:
    http.close_connection()


def silent(_: h2.connection.H2Connection, __: int) -> None:
    let_pass(LONG)


BROKEN = [
    status_503,
    not_grpc,
    no_status,
    no_message,
    two_messages,
    half_a_message,
    compressed,
    undecodable,
    reset,
    goaway,
    silent,
]


@pytest.mark.parametrize("answer", BROKEN)
async def test_a_broken_answer_costs_the_connection(answer: Answer) -> None:
    """The outcome of the call is unknown, and the next call uses a new connection."""
    async with serving(speaking(answer)) as client:
        for tries in (1, 2):
            with pytest.raises(OutcomeUnknown):
                await client.put("k", b"")
            assert client.connects == tries
        with pytest.raises(OutcomeUnknown):
            await client.keep_alive(1)


@pytest.mark.parametrize("answer", BROKEN)
async def test_a_broken_watch_is_lost(answer: Answer) -> None:
    async with serving(speaking(answer)) as client:
        watcher = client.watch()
        await watcher.add("k", start_revision=1)
        with pytest.raises(WatchLost):
            await anext(watcher)


def test_nothing_of_that_rests_on_an_assertion() -> None:
    """The image runs without them, and libraries assert what a peer may break."""
    words = ["-q", "-p", "no:cacheprovider", "-W", "ignore:assertions not in test modules", "-k", "broken", __file__]
    ran = subprocess.run([sys.executable, "-OO", "-m", "pytest", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def well(*messages: bytes) -> Answer:
    """Answers each call well, with these messages in turn."""
    numbers = itertools.count()

    def answer(http: h2.connection.H2Connection, stream: int) -> None:
        http.send_headers(stream, OK_HEADERS)
        http.send_data(stream, framed(messages[next(numbers) % len(messages)]))
        http.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    return answer


def refusing(status: int, message: str) -> Answer:
    """Refuses each call in these words."""

    def answer(http: h2.connection.H2Connection, stream: int) -> None:
        http.send_headers(
            stream, [*OK_HEADERS, ("grpc-status", str(status)), ("grpc-message", message)], end_stream=True
        )

    return answer


TRIES = 7
"""After so many it is left alone for 6.4 s; before that, the pauses are 6.3 s together."""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (well(OF_KINE), "is not an etcd that Leasehold can lead on: .* \\(kine answers so\\)"),
        (refusing(9, "etcdserver: rpc not supported for learner"), "it is a learner, .*: name a voting member"),
        (refusing(15, "etcdserver: corrupt cluster"), "its CORRUPT alarm is on"),
    ],
)
async def test_a_member_that_serves_nobody(answer: Answer, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is left alone for longer than a call lasts. Each call is told in the same words, and logs none itself."""
    reasons: set[str] = set()
    async with serving(speaking(answer)) as client:
        for tries in range(1, TRIES + 1):
            with pytest.raises(EtcdError, match=words) as error:
                await client.range("k")
            reasons.add(error.value.reason)
            assert client.connects == tries
        with pytest.raises(NotSent) as unsent:
            await client.range("k", timeout=1.0)
        assert client.connects == tries
    assert reasons == {unsent.value.reason}
    assert not caplog.records


async def test_a_proxy_in_between_is_told_by_name(caplog: pytest.LogCaptureFixture) -> None:
    headers = [ResponseHeader(cluster_id=1, member_id=member, revision=1, raft_term=2) for member in (7, 8)]
    answers = [RangeResponse(header=header).SerializeToString() for header in headers]
    async with serving(speaking(well(*answers))) as client:
        for _ in range(6):
            await client.range("k")
        assert client.connects == 1
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert "a proxy or load balancer is in between" in record.getMessage()
    assert "name the etcd members themselves as endpoints" in record.getMessage()


async def test_a_lasting_trouble_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(speaking(reset)) as client:
        for _ in range(5):
            with pytest.raises(OutcomeUnknown):
                await client.range("k")
        assert client.connects == 5
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_a_stream_that_was_opened_ahead_and_is_ended() -> None:
    """As what stands before etcd may do with one that is silent for long: the transaction gets a new one."""
    opened = 0

    def answer(http: h2.connection.H2Connection, stream: int) -> None:
        nonlocal opened
        opened += 1
        if opened == 2:
            reset(http, stream)
            return
        http.send_headers(stream, OK_HEADERS)
        http.send_data(stream, framed(RANGE))
        http.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    async with serving(speaking(answer, at=h2.events.RequestReceived)) as client:
        await client.range("k")
        client.expect()
        await client.range("k")
        await client.perform(client.prepared(), urgent=True)
        assert (opened, client.connects) == (4, 1)
