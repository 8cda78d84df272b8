"""gRPC's framing without I/O, against another HTTP/2 library as the peer, and against another gRPC client."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from leasehold.etcd.errors import Code, RpcError
from leasehold.etcd.frames import Broken
from leasehold.etcd.grpc import DEFAULT_WINDOW_BYTES, QUIET_FRAMES, GrpcConnection
from leasehold.etcd.grpc_call import MESSAGE_BYTES
from leasehold.etcd.rpc_pb2 import RangeRequest, RangeResponse

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]
PATH = "/etcdserverpb.KV/Range"
Http = h2.connection.H2Connection
Answer = Callable[[Http, int], None]


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">?I", compressed, len(message)) + message


@dataclass
class Heard:
    """What one call has brought."""

    messages: list[bytes] = field(default_factory=list)
    ends: list[RpcError | None] = field(default_factory=list)

    @property
    def error(self) -> RpcError:
        (error,) = self.ends
        assert error is not None
        return error


class Pair:
    """Our side and a peer, which hands whole requests to `answer`. `cut`: so many bytes at a time reach our side."""

    def __init__(self, answer: Answer, *, cut: int = 0, settings: dict[int, int] | None = None) -> None:
        self.ours = GrpcConnection("http", "etcd:2379")
        self.peer = Http(h2.config.H2Configuration(client_side=False))
        self.peer.local_settings = h2.settings.Settings(client=False, initial_values=settings or {})
        self.peer.initiate_connection()
        self.requests: dict[int, bytes] = {}
        self.open = self.most_open = 0
        self._answer = answer
        self._cut = cut

    def call(self, message: bytes = b"", metadata: dict[str, str] | None = None) -> Heard:
        heard = Heard()
        call = self.ours.call(PATH, metadata or {}, heard.messages.append, heard.ends.append)
        self.ours.send(call, message, end=True)
        self.talk()
        return heard

    def talk(self) -> None:
        """Let both sides hear each other until neither has more to say. Raises Broken."""
        while True:
            ours, theirs = self.ours.take_output(), self.peer.data_to_send()
            if not ours and not theirs:
                return
            for start in range(0, len(theirs), self._cut or len(theirs) or 1):
                self.ours.receive(theirs[start : start + (self._cut or len(theirs))])
            for event in self.peer.receive_data(ours):
                self._hear(event)

    def _hear(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            case h2.events.DataReceived():
                self.requests[event.stream_id] = self.requests.get(event.stream_id, b"") + event.data
                self.peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.open -= 1
                self._answer(self.peer, event.stream_id)


def saying(message: bytes, *, trailers: list[tuple[str, str]] | None = None) -> Answer:
    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        body = framed(message)
        for start in range(0, len(body), 16_384):
            http.send_data(stream, body[start : start + 16_384])
        http.send_headers(stream, trailers or OK, end_stream=True)

    return answer


def trailers_only(http: Http, stream: int) -> None:
    http.send_headers(stream, [*HEAD, ("grpc-status", "5"), ("grpc-message", "no%20lease")], end_stream=True)


def status(code: str) -> Answer:
    return lambda http, stream: http.send_headers(stream, [(":status", code)], end_stream=True)


def no_status(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(b"x"), end_stream=True)


def half(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(bytes(100))[:50])
    http.send_headers(stream, OK, end_stream=True)


def compressed(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(b"x", compressed=True))


def other_type(http: Http, stream: int) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "text/html")])
    http.send_data(stream, b"<html>", end_stream=True)


def reset(http: Http, stream: int) -> None:
    http.reset_stream(stream, 7)


def test_a_call_brings_its_answer() -> None:
    pair = Pair(saying(b"answer"))
    heard = pair.call(b"question", {"token": "t"})
    assert (heard.messages, heard.ends) == ([b"answer"], [None])
    assert list(pair.requests.values()) == [framed(b"question")]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (trailers_only, Code.NOT_FOUND, "no lease"),
        (status("503"), Code.UNAVAILABLE, "503"),
        (status("401"), Code.UNAUTHENTICATED, "401"),
        (status("301"), Code.UNKNOWN, "301"),
        (other_type, Code.UNKNOWN, "text/html"),
        (no_status, Code.UNKNOWN, "without a status"),
        (half, Code.INTERNAL, "within a message"),
        (compressed, Code.INTERNAL, "compressed"),
        (reset, Code.UNKNOWN, "code 7"),
        (saying(b"", trailers=[("grpc-status", "99")]), Code.UNKNOWN, ""),
        (saying(b"", trailers=[("grpc-status", "-1")]), Code.UNKNOWN, ""),
        (saying(b"", trailers=[("grpc-status", "9" * 5_000)]), Code.UNKNOWN, ""),
        (saying(b"", trailers=[("grpc-status", "14"), ("grpc-message", "%zz %")]), Code.UNAVAILABLE, "%zz %"),
    ],
)
def test_each_bad_end_has_a_code_and_words(answer: Answer, code: Code, words: str) -> None:
    """And the connection goes on: whether it is to be left is for others to decide."""
    pair = Pair(answer)
    for _ in range(2):
        error = pair.call().error
        assert error.code is code
        assert words in error.message


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 9, 10, 1000])
def test_bytes_may_come_in_any_pieces(cut: int) -> None:
    pair = Pair(saying(bytes(range(256)) * 100), cut=cut)
    heard = pair.call(b"q")
    assert (heard.messages, heard.ends) == ([bytes(range(256)) * 100], [None])


def test_a_large_request_waits_for_windows() -> None:
    """Of the stream and of the connection, and is split by the peer's frame size."""
    message = bytes(20 * DEFAULT_WINDOW_BYTES)
    pair = Pair(saying(b"ok"))
    assert pair.call(message).messages == [b"ok"]
    assert list(pair.requests.values()) == [framed(message)]


def test_a_stream_window_that_is_not_named() -> None:
    """HTTP/2's default counts then, however large the connection's window is; more would be a flow control error."""
    ours = GrpcConnection("http", "etcd:2379")
    settings = struct.pack(">HBBBIHI", 0, 6, 4, 0, 0, 5, 16_384)  # MAX_FRAME_SIZE alone, as etcd's
    window = struct.pack(">HBBBII", 0, 4, 8, 0, 0, 1_000_000)
    ours.receive(settings + window)
    ours.send(ours.call(PATH, {}, lambda _: None, lambda _: None), bytes(3 * DEFAULT_WINDOW_BYTES), end=True)
    assert len(ours.take_output()) < DEFAULT_WINDOW_BYTES + 2_000


def test_a_small_window_of_the_peers_is_kept() -> None:
    pair = Pair(saying(b"ok"), settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    pair.talk()
    assert pair.call(bytes(1_000)).messages == [b"ok"]


def test_a_large_answer_opens_our_windows() -> None:
    """Far more than the connection's window in all, with each part taken as it comes."""
    part = bytes(16_000)

    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        http.send_data(stream, framed(part))
        http.send_headers(stream, OK, end_stream=True)

    pair = Pair(answer)
    for _ in range(4_500):
        assert pair.call().messages == [part]


def test_headers_in_several_frames() -> None:
    """What does not fit goes on in CONTINUATION frames."""
    many = [(f"x-{number}", "v" * 1_000) for number in range(40)]

    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, [*HEAD, *many])
        http.send_data(stream, framed(b"ok"))
        http.send_headers(stream, [*OK, *many], end_stream=True)

    assert Pair(answer, cut=1_000).call().messages == [b"ok"]


def test_endless_headers_are_refused() -> None:
    many = [(f"x-{number}", "v" * 10_000) for number in range(10)]

    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, [*HEAD, *many])

    with pytest.raises(Broken):
        Pair(answer).call()


def test_settings_may_come_at_any_time() -> None:
    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 60_000})
        http.send_data(stream, framed(b"ok"))
        http.update_settings({h2.settings.SettingCodes.MAX_FRAME_SIZE: 20_000})
        http.send_headers(stream, OK, end_stream=True)

    pair = Pair(answer)
    for _ in range(3):
        assert pair.call(bytes(50_000)).messages == [b"ok"]


def test_a_limit_of_one_stream_has_calls_wait() -> None:
    pair = Pair(saying(b"ok"), settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    pair.talk()
    heard = [Heard() for _ in range(5)]
    for each in heard:
        pair.ours.send(pair.ours.call(PATH, {}, each.messages.append, each.ends.append), b"q", end=True)
    pair.talk()
    assert [each.messages for each in heard] == [[b"ok"]] * 5
    assert pair.most_open == 1


def test_a_cancelled_call_frees_its_stream() -> None:
    """Whether it waits or is open; nothing is heard of it any more."""
    pair = Pair(lambda http, stream: None, settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    pair.talk()
    heard = [Heard() for _ in range(3)]
    calls = [pair.ours.call(PATH, {}, each.messages.append, each.ends.append) for each in heard]
    for call in calls:
        pair.ours.send(call, b"q", end=True)
    pair.ours.cancel(calls[1])
    pair.ours.cancel(calls[0])
    pair.talk()
    assert len(pair.requests) == 2
    assert [each.ends for each in heard] == [[], [], []]


def test_what_is_done_before_goaway_is_taken() -> None:
    """etcd sends GOAWAY and PING in one write, behind answers that are done."""

    def answer(http: Http, stream: int) -> None:
        saying(b"done")(http, stream)
        http.ping(bytes(8))

    pair = Pair(answer)
    heard = Heard()
    pair.talk()
    pair.ours.send(pair.ours.call(PATH, {}, heard.messages.append, heard.ends.append), b"q", end=True)
    for event in pair.peer.receive_data(pair.ours.take_output()):
        pair._hear(event)
    goaway = bytes([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0])
    with pytest.raises(Broken, match="GOAWAY"):
        pair.ours.receive(pair.peer.data_to_send()[:-17] + goaway + pair.peer.data_to_send()[-17:])
    assert (heard.messages, heard.ends) in (([b"done"], [None]), ([], []))


def test_late_answers_to_cancelled_calls_harm_nothing() -> None:
    """Not even if other calls have come and gone since, and far more were cancelled than the library remembers."""
    late = Pair(saying(b"late"))
    heard = [Heard() for _ in range(300)]
    calls = [late.ours.call(PATH, {}, each.messages.append, each.ends.append) for each in heard]
    for call in calls:
        late.ours.send(call, b"q", end=True)
    for event in late.peer.receive_data(late.ours.take_output()):
        late._hear(event)
    for call in calls:
        late.ours.cancel(call)
    assert late.call().messages == [b"late"]
    assert [each.messages for each in heard] == [[]] * 300


def test_a_status_among_the_headers_ends_no_call() -> None:
    """Only headers that end the stream are trailers as well."""

    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, [*HEAD, ("grpc-status", "0")])
        http.send_data(stream, framed(b"ok"))
        http.send_headers(stream, OK, end_stream=True)

    assert Pair(answer).call().messages == [b"ok"]


@pytest.mark.parametrize("kind", [0, 2, 4, 6, 8, 77], ids=["DATA", "PRIORITY", "SETTINGS", "PING", "WINDOW", "unknown"])
def test_frames_without_end_are_refused(kind: int) -> None:
    """Each is within the protocol; in a row, without anything for a call between them, they are a fault."""
    body = {2: bytes(3) + b"\3\1", 6: bytes(8), 8: bytes(3) + b"\1"}.get(kind, b"")
    frame = bytes([0, 0, len(body), kind, 0, 0, 0, 0, 1 if kind in (0, 2) else 0]) + body

    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)

    pair = Pair(answer)
    pair.call()
    pair.ours.receive(frame * (QUIET_FRAMES - 100))
    with pytest.raises(Broken, match="belong to no call"):
        pair.ours.receive(frame * 200)


def test_frames_between_answers_are_allowed() -> None:
    """However many in all."""
    pair = Pair(saying(b"ok"))
    ping = bytes([0, 0, 8, 6, 1, 0, 0, 0, 0]) + bytes(8)
    for _ in range(5):
        pair.ours.receive(ping * (QUIET_FRAMES // 2))
        assert pair.call().messages == [b"ok"]


def test_unknown_settings_are_not_kept() -> None:
    """HTTP/2 has 65,536 possible ones; the library would remember each that comes."""
    ours = GrpcConnection("http", "etcd:2379")
    tracemalloc.start()
    try:
        for first in range(9, 20_000, 2_000):
            settings = b"".join(struct.pack(">HI", first + number, 1) for number in range(2_000))
            ours.receive(len(settings).to_bytes(3, "big") + bytes([4, 0, 0, 0, 0, 0]) + settings)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_header_block_has_a_bound() -> None:
    """Before it is decoded, which takes a time that grows with the square of its length."""
    first, more = bytes([0, 64, 0, 1, 0, 0, 0, 0, 1]), bytes([0, 64, 0, 9, 0, 0, 0, 0, 1])
    ours = GrpcConnection("http", "etcd:2379")
    ours.send(ours.call(PATH, {}, lambda _: None, lambda _: None), b"", end=True)
    with pytest.raises(Broken, match="headers of"):
        ours.receive(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + first + bytes(16_384) + (more + bytes(16_384)) * 4)


def test_a_callback_may_send_and_cancel() -> None:
    """In the middle of what came: for its own call, and for another whose answer stands in the same bytes."""
    pair = Pair(saying(b"ok"))
    heard = [Heard() for _ in range(3)]
    calls = [pair.ours.call(PATH, {}, each.messages.append, each.ends.append) for each in heard]

    def at_first(message: bytes) -> None:
        heard[0].messages.append(message)
        pair.ours.cancel(calls[0])
        pair.ours.cancel(calls[1])
        pair.ours.send(calls[2], b"q", end=True)

    calls[0].on_message = at_first
    for call in calls[:2]:
        pair.ours.send(call, b"q", end=True)
    pair.talk()
    assert [each.messages for each in heard] == [[b"ok"], [], [b"ok"]]
    assert [each.ends for each in heard] == [[], [], [None]]


def test_a_message_without_bound_is_refused() -> None:
    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        http.send_data(stream, struct.pack(">?I", False, MESSAGE_BYTES + 1))

    assert Pair(answer).call().error.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)) * 9, b"\xff" * 30])
def test_what_is_no_http2_breaks_the_connection(data: bytes) -> None:
    with pytest.raises(Broken):
        GrpcConnection("http", "etcd:2379").receive(data)


def test_closed_streams_are_forgotten() -> None:
    """Six days of an idle pair are 100,000 calls; the peer here remembers its own, which is not counted."""

    def grown() -> int:
        snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*jh2*")])
        return sum(each.size for each in snapshot.statistics("filename"))

    pair = Pair(saying(b"ok"))
    tracemalloc.start()
    try:
        for _ in range(500):
            pair.call()
        before = grown()
        for _ in range(1_000):
            pair.call()
        assert grown() - before < 20_000
    finally:
        tracemalloc.stop()


# --- beside another client -------------------------------------------------------------------------------------------


async def outcome_of_ours(answer: Answer) -> object:
    heard = Pair(answer).call()
    if heard.ends == [None]:
        return heard.messages[0] if heard.messages else "no answer"
    return heard.error.code.value


async def outcome_of_grpclib(answer: Answer) -> object:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = Http(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    answer(http, event.stream_id)
            writer.write(http.data_to_send())
        writer.close()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    channel = Channel("127.0.0.1", server.sockets[0].getsockname()[1])
    method: UnaryUnaryMethod[Any, Any] = UnaryUnaryMethod(channel, PATH, RangeRequest, RangeResponse)
    try:
        return (await method(RangeRequest())).SerializeToString()
    except GRPCError as error:
        return error.status.name
    except (StreamTerminatedError, ProtocolError, AssertionError, NotImplementedError):
        return "broken"
    finally:
        channel.close()
        server.close()
        await served.wait()


SAME = {
    "an answer": saying(RangeResponse(count=7).SerializeToString()),
    "an empty answer": saying(b""),
    "trailers only": trailers_only,
    "a status behind an answer": saying(b"", trailers=[("grpc-status", "14"), ("grpc-message", "gone")]),
    **{f"HTTP {code}": status(code) for code in ("400", "401", "403", "404", "429", "502", "503", "504")},
}


@pytest.mark.parametrize("what", SAME)
async def test_another_client_makes_the_same_of_it(what: str) -> None:
    """grpclib, over a socket; where gRPC says what an answer means, both must say it."""
    assert await outcome_of_ours(SAME[what]) == await outcome_of_grpclib(SAME[what])
