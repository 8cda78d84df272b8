"""An etcd that answers what it was not asked, too much, or at the wrong moment: one clear error each time."""

import asyncio

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown, WatchLost
from leasehold.etcd.rpc_pb2 import LeaseKeepAliveResponse, WatchResponse
from tests.support.loop_turns import let_pass, turns
from tests.support.wrong_server import LONG, OK_HEADERS, RANGE, Answer, framed, reset, serving, speaking

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


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
        with pytest.raises(WatchLost, match="enough"):
            await anext(watcher)


async def test_a_watch_that_got_another_id_is_lost() -> None:
    """Its events would never be heard."""
    answer = sending(WatchResponse(watch_id=0, created=True).SerializeToString())
    async with serving(speaking(answer)) as client:
        watcher = client.watch()
        await watcher.add("k", start_revision=1)
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
                    let_pass(LONG)

    async with serving(serve) as client:
        for _ in range(2):
            await client.range("k")
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
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads, too
        writer.write_eof()
        await ended.wait()

    ended = asyncio.Event()
    async with serving(serve) as client:
        try:
            with pytest.raises(OutcomeUnknown, match="other side closed"):
                await client.put("k", bytes(16_000_000), timeout=60)
        finally:
            ended.set()
