"""`leasehold replay`: what is right is shown, what contradicts itself is found, what is no record is refused."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leasehold import __version__
from leasehold.candidate import replay as replaying
from leasehold.candidate.recorder import FORMAT
from leasehold.cli import main
from leasehold.election import events as ev
from leasehold.settings import command_line
from tests.transcripts.transcript import Recorded, holding

Line = dict[str, Any]


def story() -> Recorded:
    """It holds, keeps its lease alive, hands over and holds again."""
    script = holding()
    script.beat()
    script.feed(ev.HandOver())
    script.settle()
    return script


def lines_of(script: Recorded) -> list[Line]:
    text = b"".join(script.recorder.recording("asked").pieces())
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def record() -> list[Line]:
    return lines_of(story())


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Replays a file of these lines or bytes; returns the exit code, what it printed, and its complaints."""

    def replay(content: list[Line] | bytes, *flags: str) -> tuple[int, str, str]:
        file = tmp_path / "record.jsonl"
        text = content if isinstance(content, bytes) else b"".join(json.dumps(one).encode() + b"\n" for one in content)
        file.write_bytes(text)
        code = main.main(["replay", *flags, str(file)], {})
        out, err = capsys.readouterr()
        return code, out, err

    return replay


Run = Callable[..., tuple[int, str, str]]


def index(record: list[Line], event: str) -> int:
    return next(number for number, line in enumerate(record) if line.get("event") == event)


# --- a record that is right ------------------------------------------------------------------------------------------


def test_each_step_is_shown(run: Run, record: list[Line]) -> None:
    code, out, err = run(record)
    assert (code, err) == (0, "")
    title, *rest = out.splitlines()
    assert title.startswith("me in the election for shop/billing; recorded because: asked")
    assert sum(line[:2].isdigit() for line in rest) == len(record) - 2
    assert any("> KeepAlive op=4" in line for line in rest)
    assert any("= state=yielding" in line for line in rest)


def test_a_right_record_passes_its_check(run: Run, record: list[Line]) -> None:
    assert run(record, "--check") == (0, f"{len(record) - 2} steps replayed as recorded; no rule was broken.\n", "")


def test_work_without_a_limit_is_replayed(run: Run) -> None:
    """As under `leasehold exec`, whose command may take as long as it likes to end; JSON has no infinite numbers."""
    script = holding(drain=math.inf)
    script.feed(ev.HandOver())
    script.feed(ev.WorkStopped())
    script.settle()
    code, out, err = run(lines_of(script), "--check")
    assert (code, err) == (0, ""), out
    assert b"Infinity" not in b"".join(script.recorder.recording("asked").pieces())


def test_it_reads_standard_input(record: list[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(json.dumps(one) + "\n" for one in record)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main.main(["replay", "--check", "-"], {}) == 0


@pytest.mark.parametrize("cut", [1, 20])
def test_a_last_line_that_is_cut_off_is_left_out(run: Run, record: list[Line], cut: int) -> None:
    text = b"".join(json.dumps(one).encode() + b"\n" for one in record)
    code, out, err = run(text[: -1 - cut], "--check")
    assert code == 0
    assert f"{len(record) - 3} steps" in out
    assert err == f"leasehold: Line {len(record)}, the last one, is cut off, and was left out.\n"


def test_text_from_elsewhere_is_escaped(run: Run) -> None:
    script = holding()
    script.feed(ev.WatchLost("\x1b[2J\nforged line \udcff"))
    record = lines_of(script)
    record[0].update(reason="\x1b[2J")
    record[0]["config"]["record"]["identity"] = "\x1b[2J"
    _, out, _ = run(record)
    assert "\x1b" not in out
    assert "\nforged" not in out
    assert r"\u001b[2J\nforged line \udcff" in out


# --- a record that contradicts itself --------------------------------------------------------------------------------


def other_commands(record: list[Line]) -> None:
    record[index(record, "SpecRead")]["commands"][0]["fields"]["ttl"] = 99


def no_commands(record: list[Line]) -> None:
    del record[index(record, "SpecRead")]["commands"]


def other_snapshot(record: list[Line]) -> None:
    record[index(record, "Joined")]["snapshot"]["state"] = "waiting"


def lost_event(record: list[Line]) -> None:
    del record[index(record, "KeptAlive")]


def swapped_events(record: list[Line]) -> None:
    first = index(record, "SpecRead")
    record[first : first + 2] = reversed(record[first : first + 2])


def event_of_another_time(record: list[Line]) -> None:
    record[index(record, "Granted")]["fields"]["sent"] += 3.0


def event_in_no_state(record: list[Line]) -> None:
    record.append({"at": 2000.0, "event": "Start"})


def bug_that_is_none(record: list[Line]) -> None:
    record[-1]["raised"] = "AssertionError: only a candidate yields"


def other_checkpoint(record: list[Line]) -> None:
    record.insert(3, {**record[1], "state": {**record[1]["state"], "number": 1}})


@pytest.mark.parametrize(
    "tamper",
    [
        other_commands,
        no_commands,
        other_snapshot,
        lost_event,
        swapped_events,
        event_of_another_time,
        event_in_no_state,
        bug_that_is_none,
        other_checkpoint,
    ],
)
def test_a_contradiction_is_found(run: Run, record: list[Line], tamper: Callable[[list[Line]], None]) -> None:
    tamper(record)
    code, out, err = run(record, "--check")
    assert (code, err) == (1, "")
    assert out.startswith("Step ")
    assert "  ! " in out
    assert out.splitlines()[-1].endswith("contradict the record or break a rule; shown is the first.")


def test_time_does_not_go_back(run: Run) -> None:
    script = holding()
    script.wait(1.0)
    script.wait(-0.5)
    code, out, _ = run(lines_of(script), "--check")
    assert code == 1
    assert "went back in time by 0.500 s (rule time)" in out


# --- what is no record -----------------------------------------------------------------------------------------------


def edited(change: Callable[[list[Line]], object]) -> list[Line]:
    record = lines_of(story())
    change(record)
    return record


def naming_a_reason_as_before(record: list[Line]) -> None:
    state = record[1]["state"]["fields"]["_machine"]["fields"]
    state["reason"] = {"class": "leasehold.election.reason:Reason", "fields": {}}


OURS = f"it is a record of version {FORMAT}"

BAD: dict[str, tuple[bytes | list[Line], str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b"\n\n", "it is empty"),
    "garbage": (bytes(range(256)) * 10, "line 1 is not JSON"),
    "a text": (b"hello\n", "line 1 is not JSON"),
    "a number": (b"5\n", "line 1 is no JSON object"),
    "another file": (b'{"kind": "List", "items": []}\n', "its first line is not that of a flight record"),
    "another version": (edited(lambda r: r[0].update(flightRecord=9)), "it is a record of version 9"),
    "the last release": (
        edited(lambda r: r[0].update(flightRecord=1)),
        f"it is a record of version 1 by Leasehold {__version__}, and this replays version {FORMAT} by",
    ),
    "a class that moved": (edited(naming_a_reason_as_before), "line 2 names 'leasehold.election.reason:Reason', which"),
    "another Leasehold": (edited(lambda r: r[0].update(leasehold="9.9.9")), f"{OURS} by Leasehold 9.9.9"),
    "a terminal's version": (edited(lambda r: r[0].update(leasehold="\x1b[2J")), f'{OURS} by Leasehold "'),
    "a version of a type": (edited(lambda r: r[0].update(flightRecord=[1])), "it is a record of version [1]"),
    "no configuration": (edited(lambda r: r[0].pop("config")), "line 1 holds null"),
    "no beginning": (edited(lambda r: r[0].pop("began")), "line 1 lacks a field"),
    "another lock": (edited(lambda r: r[0]["config"]["lock"].update(name="/")), "line 1 holds no possible LockName"),
    "no events": (edited(lambda r: r.__delitem__(slice(1, None))), "it ends after its first line"),
    "no checkpoint": (edited(lambda r: r.__delitem__(1)), "line 2 stands before any checkpoint"),
    "no seed": (edited(lambda r: r[1]["checkpoint"].pop("seed")), "line 2 holds null where int belongs"),
    "no number": (edited(lambda r: r[1].update(checkpoint=5)), "line 2 lacks the number"),
    "no state": (edited(lambda r: r[1].pop("state")), "line 2 holds a state that is not an election's"),
    "half a state": (edited(lambda r: r[1]["state"].update(fields={})), "line 2 leads to a state that is none"),
    "a list": (b'{"flightRecord": 1', "line 1 is not JSON"),
    "an unknown event": (edited(lambda r: r[2].update(event="Sneeze")), "line 3 names no event"),
    "no event": (edited(lambda r: r[2].pop("event")), "line 3 names no event"),
    "no instant": (edited(lambda r: r[2].pop("at")), "line 3 holds null where float belongs"),
    "no number for an instant": (edited(lambda r: r[2].update(at=10**400)), "line 3 holds 1000"),
    "a bool for an instant": (edited(lambda r: r[2].update(at=True)), "line 3 holds true where float belongs"),
    "no fields": (edited(lambda r: r[3].pop("fields")), "line 4 lacks op of SpecRead"),
    "fields of a type": (edited(lambda r: r[3].update(fields=[1])), "line 4 holds [1]"),
    "a field of a type": (edited(lambda r: r[3]["fields"].update(op="1")), 'line 4 holds "1" where int belongs'),
    "a field too many": (edited(lambda r: r[3]["fields"].update(more=1)), "line 4 holds"),
    "a broken line": (b"".join(json.dumps(one).encode() + b"\n}" for one in lines_of(story())), "line 2 is not JSON"),
    "deep": (b"[" * 1_000_000, "line 1 is not JSON"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("flags", [[], ["--check"]], ids=["print", "check"])
def test_what_is_no_record_is_one_sentence(
    run: Run, content: bytes | list[Line], reason: str, flags: list[str]
) -> None:
    code, _, err = run(content, *flags)
    assert code == command_line.USAGE_ERROR
    assert err.startswith("leasehold: '")
    assert f"cannot be replayed: {reason}" in err
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert len(err) < 400
    assert "\x1b" not in err


def test_a_line_too_long_is_refused(run: Run, record: list[Line], monkeypatch: pytest.MonkeyPatch) -> None:
    """It never comes into memory as a whole."""
    monkeypatch.setattr(replaying, "MAX_LINE_BYTES", 5000)
    record[3]["fields"]["declared"] = {"spec": None, "broken": "x" * 20_000}
    code, _, err = run(record, "--check")
    assert (code, "line 4 is not JSON" in err) == (2, True)


WRONG: list[Any] = [5, "x", None, True, [], {}, {"float": "inf"}, {"tuple": [1]}, {"rng": True}]


@pytest.mark.parametrize("name", lines_of(story())[1]["state"]["fields"])
def test_a_state_of_wrong_types_is_no_traceback(run: Run, record: list[Line], name: str) -> None:
    """It is a state that no election was in: whatever comes of it, there is a sentence or a fault, or it is unused."""
    for wrong in WRONG:
        record[1]["state"]["fields"][name] = wrong
        for flags in ([], ["--check"]):
            code, _, err = run(record, *flags)
            assert code in (0, 1, 2)
            assert err.count("\n") == (code == 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name one file to replay, or - for standard input."),
        (["a", "b"], "Name one file to replay, or - for standard input."),
        (["/nowhere/record"], "'/nowhere/record' cannot be read: no such file or directory."),
        (["/"], "'/' cannot be read: is a directory."),
        (["--chek", "x"], "There is no option '--chek'; --check may be meant."),
    ],
)
def test_mistakes_are_sentences(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["replay", *arguments], {}) == command_line.USAGE_ERROR
    assert f"leasehold: {sentence}\n" in capsys.readouterr().err
