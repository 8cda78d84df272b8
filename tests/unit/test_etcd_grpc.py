"""gRPC's framing without I/O, against another HTTP/2 library as the peer: calls, windows and broken input."""

from __future__ import annotations

import struct
import tracemalloc

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from leasehold.etcd.errors import Code
from leasehold.etcd.frames import Broken
from leasehold.etcd.grpc import DEFAULT_WINDOW_BYTES, PROBE, QUIET_FRAMES, GrpcConnection
from leasehold.etcd.grpc_call import MESSAGE_BYTES
from tests.support.http2_peer import (
    HEAD,
    OK,
    PATH,
    Answer,
    Http,
    Pair,
    compressed,
    framed,
    half,
    no_status,
    other_type,
    reset,
    saying,
    status,
    trailers_only,
)

PING = bytes([0, 0, 8, 6, 0, 0, 0, 0, 0])


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


def test_a_probe_is_answered_with_what_is_sent_next() -> None:
    """One at a time, and no other PING: a peer that looks whether we are alive gets its answer at once."""
    pair = Pair(saying(b"ok"))
    call = pair.ours.call(PATH, {}, lambda _: None, lambda _: None)
    answer = PING[:4] + b"\1" + bytes(4)
    alive, probed = answer + bytes(8), answer + PROBE[9:]
    pair.ours.take_output()
    pair.ours.receive(PROBE)
    assert pair.ours.take_output() == b""
    pair.ours.receive(PING + bytes(8))
    assert pair.ours.take_output() == alive + probed
    pair.ours.receive(PROBE * 2)
    assert pair.ours.take_output() == probed + probed
    pair.ours.receive(PROBE)
    pair.ours.send(call, b"q", end=True)
    assert pair.ours.take_output().endswith(framed(b"q") + probed)


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


def test_a_message_without_bound_is_refused() -> None:
    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        http.send_data(stream, struct.pack(">?I", False, MESSAGE_BYTES + 1))

    assert Pair(answer).call().error.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(range(256)) * 9, b"\xff" * 30])
def test_what_is_no_http2_breaks_the_connection(data: bytes) -> None:
    with pytest.raises(Broken):
        GrpcConnection("http", "etcd:2379").receive(data)
