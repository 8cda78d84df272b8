"""The ring of events: what it keeps, that it stays small, and that what is left of it can always be replayed."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest

from leasehold.candidate import recorder
from leasehold.candidate.recorder import KEPT_EVENTS, MAX_BYTES, Recorder
from leasehold.candidate.replay import Replayed
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from tests.transcripts.transcript import Recorded, holding
from tests.unit.election_queue import Queue
from tests.unit.election_script import record, settings


def lines(script: Recorded) -> list[dict[str, Any]]:
    text = b"".join(script.recorder.recording("asked").pieces())
    return [json.loads(line) for line in text.splitlines()]


def faults(steps: list[Replayed]) -> list[str]:
    return [fault for step in steps for fault in step.faults]


def long_life(keep_alives: int) -> Recorded:
    """A holder's, with a tick each second, and a watch that is lost now and then: so random numbers are drawn."""
    script = holding()
    for number in range(keep_alives):
        for _ in range(4):
            script.wait(1.0)
        if number % 7 == 0:
            script.feed(ev.WatchLost("cancelled"))
            script.wait(2.0)
            script.fail(cmd.ReadQueue)
            script.wait(2.0)
            script.settle()
        script.beat()
        script.settle()
    return script


def test_a_line_has_time_event_and_commands() -> None:
    """It also has the snapshot that the event led to."""
    script = holding()
    head, checkpoint, start, *_, joined = lines(script)
    assert head["flightRecord"] == 1
    assert head["config"]["lock"] == {"namespace": "shop", "name": "billing"}
    assert set(checkpoint) == {"checkpoint", "state"}
    assert start["at"] == 1000.0
    assert (start["event"], start["commands"]) == ("Start", [{"command": "ReadSpec", "fields": {"op": 1}}])
    assert (joined["event"], joined["snapshot"]["state"]) == ("Joined", "holding")


def test_a_ring_that_has_wrapped_is_replayed() -> None:
    """From the first checkpoint left on, to the last event, and at each later checkpoint the state is the same."""
    script = long_life(600)
    steps = script.replayed()
    assert KEPT_EVENTS <= len(steps) <= 1.2 * KEPT_EVENTS
    assert steps[0].number > 1
    assert steps[-1].after == script.election.snapshot
    assert faults(steps) == []


def test_it_stays_within_both_bounds() -> None:
    script = holding()
    for _ in range(3 * KEPT_EVENTS):
        script.wait(0.001)
        assert script.recorder.events <= 1.2 * KEPT_EVENTS
        assert script.recorder.size <= MAX_BYTES


def crowd(count: int) -> Queue:
    """A queue so long, of candidates that have nothing in common for a compressor to find."""
    queue, rng = Queue(), random.Random(5)
    for _ in range(count):
        queue.join(record(f"{rng.getrandbits(900):x}", pod=f"{rng.getrandbits(900):x}"))
    return queue


def reread(script: Recorded) -> None:
    script.feed(ev.WatchLost("cancelled"))
    script.wait(3.0)
    script.settle()


def test_a_long_queue_stays_within_the_bounds() -> None:
    """The longer the answers, the fewer events are kept."""
    script = Recorded(crowd(200))
    script.start()
    for _ in range(60):
        reread(script)
        assert script.recorder.size <= MAX_BYTES
    assert 0 < script.recorder.events < 60
    assert faults(script.replayed()) == []


def test_a_too_long_answer_pauses_the_record() -> None:
    """Later it begins again, by then perhaps of a shorter queue."""
    script = Recorded(crowd(2500))
    script.start()
    assert len(lines(script)) == 1
    assert script.recorder.size == 0
    script.etcd.entries = {script.own.key: script.own}
    reread(script)
    assert script.state() is State.HOLDING
    for _ in range(2 * recorder.SEGMENT_EVENTS):
        script.wait(0.001)
    assert script.replayed()
    assert faults(script.replayed()) == []


def test_each_segment_draws_other_numbers() -> None:
    """The generator is seeded again; sidecars that fail together still do not retry together."""
    seeds = [line["checkpoint"]["seed"] for line in lines(long_life(200)) if "checkpoint" in line]
    assert len(seeds) > 3
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("kind", ["lost", "usurped"])
def test_a_lost_candidate_is_alarming(kind: str) -> None:
    script = holding()
    reasons: list[str] = []
    script.recorder.alarm = reasons.append
    if kind == "lost":
        script.feed(ev.EntryGone(script.own.key, script.etcd.delete(script.own)))
    else:
        script.rewrite(script.own, incarnation="another")
    assert reasons == [kind]


def test_a_handover_is_not_alarming() -> None:
    script = holding()
    reasons: list[str] = []
    script.recorder.alarm = reasons.append
    script.feed(ev.HandOver())
    script.settle()
    assert reasons == []


def test_a_bug_is_the_records_last_line() -> None:
    """It is replayed as what it was: the same event raises the same."""
    script = holding()
    reasons: list[str] = []
    script.recorder.alarm = reasons.append
    wrong = ev.Start()
    with pytest.raises(Exception, match="Start while holding") as caught:
        script.election.handle(wrong, script.now)
    script.recorder.failed(wrong, script.now, caught.value)
    last = script.replayed()[-1]
    assert reasons == ["bug"]
    assert (last.raised, last.faults) == ("IllegalEvent: Start while holding", ())


def test_an_unknown_event_ends_only_the_record(caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log; the election never hears of it."""
    script = holding()
    before = script.recorder.events
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            script.recorder.handled(object(), script.now, [], script.election.snapshot)  # type: ignore[arg-type]
            script.recorder.recording("asked")
    assert caplog.text.count("the flight record ends here") == 1
    script.beat()
    assert script.recorder.events == before
    assert len(lines(script)) == before + 2


def test_an_alarm_that_fails_is_not_heard_by_the_election() -> None:
    script = holding()

    def fail(reason: str) -> None:
        raise OSError(reason)

    script.recorder.alarm = fail
    script.feed(ev.EntryGone(script.own.key, script.etcd.delete(script.own)))
    script.settle()
    assert script.state() is State.HOLDING


def test_an_unknown_state_ends_only_the_record(caplog: pytest.LogCaptureFixture) -> None:
    """The election goes on; the log says once that the record ends."""
    script = Recorded()
    script.election.unheard = object()  # type: ignore[attr-defined]
    made = Recorder(settings(), script.election, random.Random(1), lambda: 0.0)
    made.handled(ev.Tick(), 1.0, [], script.election.snapshot)
    assert (made.events, made.size) == (0, 0)
    assert len(next(iter(made.recording("asked").pieces())).splitlines()) == 1
    assert caplog.text.count("the flight record ends here") == 1
