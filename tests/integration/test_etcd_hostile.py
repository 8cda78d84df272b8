"""Whatever answers at etcd's address, even what is no etcd at all: one clear error in time, and nothing left behind.

The servers here break the protocol on purpose, which no real etcd does; the frames that they send are real.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown, WatchLost
from leasehold.etcd.rpc_pb2 import LeaseKeepAliveResponse, RangeResponse, ResponseHeader, WatchResponse
from tests.support.loop_turns import turns

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception that nobody asked for, no transport that nobody closed: asyncio tells of such."""
    yield
    gc.collect()
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [r.getMessage() for r in records if r.levelno >= logging.ERROR] == []


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[EtcdClient]:
    """A client of a server that treats each connection with `serve`."""
    ended: list[asyncio.Event] = []

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        mine = ended[-1]
        with contextlib.suppress(ConnectionError, h2.exceptions.ProtocolError):
            await serve(reader, writer)
        writer.close()
        mine.set()

    server = await asyncio.start_server(treat, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with EtcdClient([f"http://127.0.0.1:{port}"], clock=now, timeout=3.0) as client:
            yield client
    finally:
        server.close()
        for each in ended:
            await each.wait()


async def until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
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
        (mute, "no answer in time"),
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


# --- gRPC, up to a point ---------------------------------------------------------------------------------------------

OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
RANGE = RangeResponse(header=ResponseHeader(cluster_id=1, member_id=1)).SerializeToString()
OF_KINE = RangeResponse(header=ResponseHeader(revision=1)).SerializeToString()


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">?I", compressed, len(message)) + message


Answer = Callable[[h2.connection.H2Connection, int], None]


def speaking(answer: Answer, *, at: type[h2.events.Event] = h2.events.DataReceived) -> Serve:
    """A server of HTTP/2 that treats each request with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, at):
                    answer(http, event.stream_id)  # type: ignore[attr-defined]  # both kinds of event have it
            writer.write(http.data_to_send())

    return serve


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


def reset(http: h2.connection.H2Connection, stream: int) -> None:
    http.reset_stream(stream, error_code=7)


def goaway(http: h2.connection.H2Connection, _: int) -> None:
    http.close_connection()


def silent(_: h2.connection.H2Connection, __: int) -> None:
    pass


LITTLE = 1.5
"""Seconds for an answer that may never come; a busy machine connects and asks in less."""
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
                await client.put("k", b"", timeout=LITTLE)
            assert client.connects == tries
        with pytest.raises(OutcomeUnknown):
            await client.keep_alive(1, timeout=LITTLE)


@pytest.mark.parametrize("answer", BROKEN)
async def test_a_broken_watch_is_lost(answer: Answer) -> None:
    async with serving(speaking(answer)) as client:
        watcher = client.watch(timeout=LITTLE)
        await watcher.add("k", start_revision=1)
        async with asyncio.timeout(30):
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
    errors: list[EtcdError] = []
    async with serving(speaking(answer)) as client:
        while not errors or not isinstance(errors[-1], NotSent):
            with pytest.raises(EtcdError, match=words) as error:
                await client.range("k")
            errors.append(error.value)
        assert client.connects == len(errors) - 1
    assert len({error.reason for error in errors}) == 1
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


async def test_a_request_reset_as_soon_as_it_began() -> None:
    async with serving(speaking(reset, at=h2.events.RequestReceived)) as client:
        with pytest.raises(OutcomeUnknown):
            await client.put("k", bytes(100_000))
        with pytest.raises(OutcomeUnknown):
            await client.keep_alive(1)


def sending(*messages: bytes) -> Answer:
    """Answers every request of a stream with these messages, the first with the headers."""
    begun: set[tuple[h2.connection.H2Connection, int]] = set()

    def answer(http: h2.connection.H2Connection, stream: int) -> None:
        if (http, stream) not in begun:
            begun.add((http, stream))
            http.send_headers(stream, OK_HEADERS)
        for message in messages:
            http.send_data(stream, framed(message))

    return answer


async def test_an_answer_for_another_lease_is_an_error() -> None:
    """A keep-alive that is answered for another lease fails, and costs the connection."""
    answer = sending(LeaseKeepAliveResponse(ID=2, TTL=60).SerializeToString())
    async with serving(speaking(answer)) as client:
        with pytest.raises(EtcdError):
            await client.keep_alive(1)
        assert client.connects == 1
        with pytest.raises(EtcdError):
            await client.keep_alive(1)
        assert client.connects == 2


async def test_an_extra_answer_costs_the_connection() -> None:
    """A second answer to one keep-alive arrives.

    It could be taken for the answer to the next request: the count of answers no longer says whose they are.
    """
    answer = sending(*[LeaseKeepAliveResponse(ID=1, TTL=60).SerializeToString()] * 2)
    async with serving(speaking(answer)) as client:
        assert (await client.keep_alive(1)).ttl == 60
        await turns()  # in which the second answer comes
        await client.keep_alive(1)
        assert client.connects == 2


async def test_watch_messages_that_mean_nothing_are_passed_over() -> None:
    """Progress reports, events of a watch that is not ours, a second word of creation; a cancellation then counts."""
    answer = sending(
        WatchResponse(watch_id=1, created=True).SerializeToString(),
        WatchResponse(watch_id=-1).SerializeToString(),
        WatchResponse(watch_id=1).SerializeToString(),
        WatchResponse(watch_id=9, created=True).SerializeToString(),
        WatchResponse(watch_id=9, canceled=True).SerializeToString(),
        WatchResponse(watch_id=1, canceled=True, cancel_reason="enough").SerializeToString(),
    )
    async with serving(speaking(answer)) as client:
        watcher = client.watch()
        await watcher.add("k", start_revision=1)
        async with asyncio.timeout(30):
            with pytest.raises(WatchLost, match="enough"):
                await anext(watcher)


async def test_a_watch_that_got_another_id_is_lost() -> None:
    """Its events would never be heard."""
    answer = sending(WatchResponse(watch_id=0, created=True).SerializeToString())
    async with serving(speaking(answer)) as client:
        watcher = client.watch()
        await watcher.add("k", start_revision=1)
        async with asyncio.timeout(30):
            with pytest.raises(WatchLost, match="another id"):
                await anext(watcher)


async def test_a_call_that_got_no_stream_was_not_sent() -> None:
    """Behind a proxy with a limit of streams, which goes away."""
    limit = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.local_settings = h2.settings.Settings(client=False, initial_values=limit)
        http.initiate_connection()
        writer.write(http.data_to_send())
        while not any(isinstance(e, h2.events.StreamEnded) for e in http.receive_data(await reader.read(65536))):
            pass
        http.close_connection()
        writer.write(http.data_to_send())

    async with serving(serve) as client:
        outcomes = await asyncio.gather(*(client.put("k", b"") for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, NotSent, NotSent]


def answered(http: h2.connection.H2Connection, stream: int) -> None:
    http.send_headers(stream, OK_HEADERS)
    http.send_data(stream, framed(RANGE))
    http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


async def test_an_answer_counts_in_the_turn_of_its_time_limit() -> None:
    """After a pause of this process, both come in one turn of the loop."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    answered(http, event.stream_id)
                    writer.write(http.data_to_send())
                    pause()

    def pause() -> None:
        end = asyncio.get_running_loop().time() + LITTLE
        while asyncio.get_running_loop().time() < end:
            pass

    async with serving(serve) as client:
        await client.range("k", timeout=60)
        await client.range("k", timeout=LITTLE)
        assert client.connects == 1


async def test_a_cancelled_keep_alive_on_a_lost_connection() -> None:
    """Nobody waits for its outcome, and asyncio has nothing to complain of."""
    asked = asyncio.Event()
    async with serving(speaking(lambda _, __: asked.set())) as client:
        task = asyncio.create_task(client.keep_alive(1))
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_peer_that_ends_its_side_and_reads_nothing() -> None:
    """The connection is lost at once, though much is still unsent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**30})
        http.increment_flow_control_window(2**30)
        writer.write(http.data_to_send())
        await reader.read(1_000)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write_eof()
        await ended.wait()

    ended = asyncio.Event()
    async with serving(serve) as client:
        try:
            with pytest.raises(OutcomeUnknown, match="other side closed"):
                await client.put("k", bytes(16_000_000), timeout=60)
        finally:
            ended.set()
