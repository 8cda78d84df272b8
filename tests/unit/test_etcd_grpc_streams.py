"""Streams that are refused, cancelled, late or closed, against another HTTP/2 library as the peer."""

from __future__ import annotations

import tracemalloc

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from leasehold.etcd.frames import Broken
from leasehold.etcd.grpc import SPARE_STREAMS
from leasehold.etcd.grpc_call import framed
from tests.support.http2_peer import PATH, Heard, Http, Pair, saying


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


def test_a_stream_that_was_opened_ahead_needs_only_the_message() -> None:
    pair, heard = Pair(saying(b"ok")), Heard()
    pair.talk()
    call = pair.ours.call(PATH, {}, heard.messages.append, heard.ends.append)
    pair.ours.open_stream(call)
    pair.talk()
    assert pair.requests == {}
    pair.ours.send(call, b"q", end=True)
    message = pair.ours.take_output()
    assert message[3] == 0
    assert message[9:] == framed(b"q")
    for event in pair.peer.receive_data(message):
        pair._hear(event)
    pair.talk()
    assert (heard.messages, heard.ends) == ([b"ok"], [None])


def test_no_stream_is_opened_ahead_where_few_are_allowed() -> None:
    """Calls would wait for it; its own does not."""
    pair, heard = (
        Pair(saying(b"ok"), settings={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: SPARE_STREAMS}),
        Heard(),
    )
    pair.talk()
    call = pair.ours.call(PATH, {}, heard.messages.append, heard.ends.append)
    pair.ours.open_stream(call)
    assert pair.ours.take_output() == b""
    pair.ours.send(call, b"q", end=True)
    pair.talk()
    assert (heard.messages, heard.ends) == ([b"ok"], [None])


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
