"""`leasehold replay`: what a flight record tells, step by step, or whether it is right.

Exit codes: 0 fine; 1 with `--check`, a contradiction; 2 a file that cannot be read or is no record of this version.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import BinaryIO, Final

from leasehold.base.config_error import ConfigError
from leasehold.candidate.record_codec import RecordError, quoted
from leasehold.candidate.replay import Head, Replayed, Truncation, lines_of, read_head, replay
from leasehold.candidate.replay_text import StepText
from leasehold.settings import commands
from leasehold.settings.config import open_settings

CONTRADICTION: Final = 1
_SUMMARY: Final = (
    "Replay a sidecar's flight record, which GET /debug/record and flight-record.jsonl in its state directory hold: "
    "print each event, the commands it led to and what changed. FILE - is standard input."
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold replay`. Raises ConfigError."""
    files = [word for word in arguments if word == "-" or not word.startswith("-")]
    own = [word for word in arguments if word not in files]
    settings = open_settings("replay", _SUMMARY, commands.REPLAY, own, environ, " FILE")
    check = settings.get(commands.CHECK)
    if len(files) != 1:
        settings.mistakes.append("Name one file to replay, or - for standard input.")
    settings.finish()
    try:
        with _opened(files[0]) as file:
            return _replay(file, check=check)
    except RecordError as error:
        raise ConfigError([f"{files[0]!r} cannot be replayed: {error}."]) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError([f"{files[0]!r} cannot be read: {(error.strerror or str(error)).lower()}."]) from None


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with open(name, "rb") as file:
        yield file


def _replay(file: BinaryIO, *, check: bool) -> int:
    lines, cut = lines_of(file), Truncation()
    head = read_head(lines)
    steps = replay(head, lines, cut)
    text = StepText(_Wall(head).time, head.config.keys.queue)
    if not check:
        _write(_title(head))
    code = _check(steps, text) if check else _print(steps, text)
    if cut.line:
        sys.stderr.write(f"leasehold: Line {cut.line}, the last one, is cut off, and was left out.\n")
    return code


def _title(head: Head) -> str:
    identity, reason = quoted(head.config.record.identity), quoted(head.reason)
    return f"{identity} in the election for {head.config.lock}; recorded because: {reason}; times are UTC"


def _print(steps: Iterator[Replayed], text: StepText) -> int:
    for step in steps:
        for line in text.lines(step):
            _write(line)
    return 0


def _check(steps: Iterator[Replayed], text: StepText) -> int:
    """Show the first step that is wrong: what comes after it may follow from that."""
    count = wrong = 0
    for step in steps:
        count += 1
        if step.faults and not wrong:
            _write(f"Step {step.number}, at line {step.line}:")
            for line in text.lines(step):
                _write(line)
        wrong += bool(step.faults)
    if wrong:
        _write(f"{wrong} of {count} steps contradict the record or break a rule; shown is the first.")
        return CONTRADICTION
    _write(f"{count} steps replayed as recorded; no rule was broken.")
    return 0


def _write(line: str) -> None:
    """A line of ASCII: what came from elsewhere is escaped."""
    sys.stdout.write(f"{line}\n")


class _Wall:
    """Instants of the election's clock as times of day, as far as the record knows them."""

    def __init__(self, head: Head) -> None:
        self._zero = head.unix_time_of_zero

    def time(self, at: float) -> str:
        """Hours, minutes and seconds, in UTC."""
        try:
            return f"{datetime.fromtimestamp(self._zero + at, UTC):%H:%M:%S.%f}"[:-3]
        except (ValueError, OverflowError, OSError):  # a record from elsewhere may name any number
            return f"{at:.3f}"
