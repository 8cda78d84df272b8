"""The ring of events: what it keeps, that it stays small, and that what is left of it can always be replayed."""

from __future__ import annotations

import gc
import json
import logging
import random
import tracemalloc
import zlib
from enum import Enum
from typing import Any, get_args

import pytest

from leasehold.base.records import is_dataclass, replace
from leasehold.candidate import record_ring
from leasehold.candidate.record_codec import COMMANDS, EVENTS, decode, encode, hints_of
from leasehold.candidate.record_ring import KEPT_EVENTS, MAX_BYTES, SEGMENT_EVENTS
from leasehold.candidate.recorder import FORMAT, Recorder
from leasehold.candidate.replay import Replayed
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Snapshot, State
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
    assert head["flightRecord"] == FORMAT
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


def test_a_holders_record_stays_uncompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full ring of keep-alives fits as it is: to make lines of events takes far more CPU time than to keep them."""
    monkeypatch.delattr(zlib, "compress")
    script = holding()
    for _ in range(KEPT_EVENTS // 3 + SEGMENT_EVENTS):
        script.beat()
    assert KEPT_EVENTS <= script.recorder.events <= 1.2 * KEPT_EVENTS


def test_a_holders_record_on_a_busy_etcd_fits_too() -> None:
    """Where others write all the time, no answer has the header of the one before."""
    script = holding()
    for _ in range(KEPT_EVENTS // 3 + SEGMENT_EVENTS):
        script.etcd.revision += 1
        script.beat()
    assert script.recorder.events >= KEPT_EVENTS
    assert script.recorder.size < MAX_BYTES - 50_000


@pytest.mark.parametrize("most", [40_000, 100_000])
def test_what_is_too_much_is_compressed(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Events become lines while others come: the record stays one that can be replayed, and within the bound."""
    monkeypatch.setattr(record_ring, "MAX_BYTES", most)
    script = long_life(250)
    assert script.recorder.size <= most
    assert len(script.replayed()) > 400
    assert faults(script.replayed()) == []


def unshared(value: Any, numbers: dict[int, int]) -> Any:
    """The same, with nothing in common with any other but its question's number: as answers come from etcd."""
    made = decode(type(value), json.loads(json.dumps(encode(value))))
    return replace(made, op=numbers.setdefault(made.op, made.op)) if hasattr(made, "op") else made


def test_what_is_kept_is_counted() -> None:
    """To the byte, or a little too much: Python's own allocations are compared."""
    script, numbers = long_life(500), dict[int, int]()
    fed = [(one, [unshared(command, numbers) for command in one.commands]) for one in script.replayed()]
    made = Recorder(settings(), script.election, random.Random(1), lambda: 0.0)
    tracemalloc.start()
    try:
        while fed:
            one, commands = fed.pop(0)
            made.handled(unshared(one.event, numbers), one.at + 0.0, commands, unshared(one.after, numbers))
        made.recording("asked")
        gc.collect()
        kept, counted = tracemalloc.get_traced_memory()[0], made.size
    finally:
        tracemalloc.stop()
    assert kept <= counted <= 1.6 * kept
    assert kept <= 500_000


def test_a_record_does_not_change_later() -> None:
    """What was taken is made into lines later, by another thread; meanwhile the election goes on."""
    script = long_life(30)
    taken = script.recorder.recording("asked")
    before = b"".join(taken.pieces())
    for _ in range(300):
        script.wait(1.0)
    script.feed(ev.HandOver())
    script.settle()
    assert b"".join(taken.pieces()) == before


def test_commands_are_kept_as_they_were() -> None:
    """The list of commands belongs to the runner, which may change it."""
    script = holding()
    commands: list[cmd.Command] = [cmd.Note("unsure", "for the test")]
    script.recorder.handled(ev.Tick(), script.now, commands, script.election.snapshot)
    commands.clear()
    assert lines(script)[-1]["commands"] == [{"command": "Note", "fields": {"kind": "unsure", "text": "for the test"}}]


def frozen_parts(kind: Any) -> set[Any]:
    """The classes that an instance of this one is made of, itself included."""
    inner = hints_of(kind).values() if has_fields(kind) else get_args(kind)
    itself = set() if get_args(kind) else {kind}
    return itself.union(*map(frozen_parts, inner))


def has_fields(kind: Any) -> bool:
    return is_dataclass(kind)


def test_what_is_kept_by_reference_is_frozen() -> None:
    """All the way down: a value that could change would change what was recorded."""
    parts = set().union(*map(frozen_parts, [*EVENTS.values(), *COMMANDS.values(), Snapshot]))
    ours: set[Any] = {kind for kind in parts if has_fields(kind)}
    assert Snapshot in ours
    assert all(kind.__dataclass_params__.frozen for kind in ours)
    plain = {one for one in parts - ours if not (isinstance(one, type) and issubclass(one, Enum))}
    assert plain <= {bool, int, float, str, type(None), ...}


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
    for _ in range(2 * SEGMENT_EVENTS):
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
            script.recorder.handled(object(), script.now, [], script.election.snapshot)  # type: ignore[arg-type]  # what is no event
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
    script.election.unheard = object()  # type: ignore[attr-defined]  # what no election has
    made = Recorder(settings(), script.election, random.Random(1), lambda: 0.0)
    made.handled(ev.Tick(), 1.0, [], script.election.snapshot)
    assert (made.events, made.size) == (0, 0)
    assert len(next(iter(made.recording("asked").pieces())).splitlines()) == 1
    assert caplog.text.count("the flight record ends here") == 1
