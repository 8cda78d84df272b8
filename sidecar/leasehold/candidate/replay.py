"""A flight record, replayed: the same election, fed the same events at the same instants.

Lines are taken one by one, so a record of any length is replayed in the memory of one line. A line that is none of a
record's raises `RecordError`. If the replay comes to something else than was recorded, or a rule is broken, the step
says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from leasehold import __version__
from leasehold.candidate.record_codec import (
    EVENTS,
    RecordError,
    decode,
    dumps,
    encode,
    encode_changes,
    loads,
    quoted,
    values_of,
)
from leasehold.candidate.record_lines import named, raised
from leasehold.candidate.record_state import election_of, state_of
from leasehold.candidate.recorder import FORMAT
from leasehold.candidate.replay_check import Broken, QuestionRate, Rules, Step
from leasehold.election.commands import Command
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.events import Event
from leasehold.election.snapshot import Snapshot

MAX_LINE_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The first line. Unix times and `at` are seconds; their difference turns the one into the other."""

    leasehold: str
    reason: str
    config: ElectionConfig
    unix_time_of_zero: float
    """What the wall clock showed, as far as the record knows, when the election's clock showed 0."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One event, and what came of it in the replay."""

    number: int
    """Counted from the sidecar's start, from 1."""
    line: int
    at: float
    event: Event
    before: Snapshot
    after: Snapshot
    commands: Sequence[Command]
    raised: str = ""
    """What the election raised, here and as recorded: it had met a bug, or an event that it does not know."""
    faults: tuple[str, ...] = ()
    """What contradicts the record or breaks a rule, each as a sentence."""


@dataclass(slots=True)
class Truncation:
    """Set by a replay that found the last line to be cut off."""

    line: int = 0


def lines_of(file: Any) -> Iterator[bytes]:
    """The lines of a binary file. One that is longer than any of ours comes in parts, and is no JSON then."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line


def read_head(lines: Iterator[bytes]) -> Head:
    """The first line. Raises RecordError, also for a record of another version."""
    first = next(lines, b"")
    if not first.strip():
        raise RecordError("it is empty")
    fields = _object(first, 1)
    if "flightRecord" not in fields:
        raise RecordError("its first line is not that of a flight record")
    if fields["flightRecord"] != FORMAT or fields.get("leasehold") != __version__:
        version, leasehold = (_shown(fields.get(name)) for name in ("flightRecord", "leasehold"))
        theirs = f"version {version} by Leasehold {leasehold}"
        ours = f"version {FORMAT} by Leasehold {__version__}"
        raise RecordError(f"it is a record of {theirs}, and this replays {ours}: use that Leasehold")
    try:
        config = decode(ElectionConfig, fields.get("config"))
        began = fields["began"]
        zero = decode(float, began["unixTime"]) - decode(float, began["at"])
        return Head(fields["leasehold"], decode(str, fields.get("reason")), config, zero)
    except (RecordError, KeyError, TypeError) as error:
        raise _at(1, error) from None


def _shown(version: Any) -> str:
    return (quoted(version) if isinstance(version, str) else dumps(version))[:20]


def replay(head: Head, lines: Iterable[bytes], cut: Truncation | None = None) -> Iterator[Replayed]:
    """Replay the lines after the first. Raises RecordError where a line is none of a record's.

    The last line may be cut off: it is left out then, and `cut` says which one it is.
    """
    machine = _Machine(head)
    number = 1
    for number, line in enumerate(lines, start=2):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES and not _is_whole(line):
            if cut is not None:
                cut.line = number
            return
        yield from machine.take(number, _object(line, number))
    if number == 1:
        raise RecordError("it ends after its first line")


def _is_whole(line: bytes) -> bool:
    try:
        loads(line)
    except RecordError:
        return False
    return True


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = loads(line)
    except RecordError as error:
        raise _at(number, error) from None
    if not isinstance(fields, dict):
        raise RecordError(f"line {number} is no JSON object")
    return fields


def _at(number: int, error: Exception) -> RecordError:
    clause = str(error) if isinstance(error, RecordError) else "lacks a field or has a wrong one"
    return RecordError(f"line {number} {clause}")


@dataclass(slots=True)
class _Machine:
    """The election as replayed so far, and those who judge it."""

    head: Head
    election: Election | None = None
    rng: random.Random = field(default_factory=random.Random)
    number: int = 0
    snapshot: dict[str, Any] = field(default_factory=dict)
    """The fields of the snapshot as the record has them."""
    rules: Rules = field(init=False)
    rate: QuestionRate = field(default_factory=QuestionRate)
    pending: list[str] = field(default_factory=list)
    """Faults of a checkpoint, to be told with the next event."""

    def __post_init__(self) -> None:
        self.rules = Rules(self.head.config.max_drift)

    def take(self, line: int, fields: dict[str, Any]) -> Iterator[Replayed]:
        try:
            if "checkpoint" in fields:
                self._checkpoint(line, fields)
            else:
                yield self._event(line, fields)
        except RecordError as error:
            raise _at(line, error) from None
        except Exception as error:  # a state from elsewhere can be wrong in any way, and be found out anywhere
            raise RecordError(f"line {line} leads to a state that is none ({type(error).__name__})") from None

    def _checkpoint(self, line: int, fields: dict[str, Any]) -> None:
        checkpoint = fields["checkpoint"]
        if not isinstance(checkpoint, dict) or type(checkpoint.get("number")) is not int:
            raise RecordError("lacks the number of a checkpoint")
        seed = decode(int, checkpoint.get("seed"))
        if self.election is None:
            self.election = election_of(fields.get("state"), self.rng)
            self.number = checkpoint["number"]
            self.snapshot = _fields_of(_snapshot_of(self.election))
        elif state_of(self.election) != fields.get("state"):
            self.pending.append(f"The state at line {line} is another than the replay came to.")
        self.rng.seed(seed)

    def _event(self, line: int, fields: dict[str, Any]) -> Replayed:
        if self.election is None:
            raise RecordError("stands before any checkpoint")
        kind, now = EVENTS.get(str(fields.get("event"))), decode(float, fields.get("at"))
        if kind is None:
            raise RecordError("names no event that this version knows")
        event = decode(kind, fields.get("fields", {}))
        before = _snapshot_of(self.election)
        self.number += 1
        commands, bug = self._handle(event, now)
        after = _snapshot_of(self.election)
        faults = [*self.pending, *self._differences(fields, commands, after, bug)]
        self.pending = []
        if not bug:
            step = Step(event, now, before, after, commands)
            broken = self.rules.judge(step) + self.rate.judge(event, now, commands)
            faults += [_sentence(one) for one in broken]
        return Replayed(self.number, line, now, event, before, after, commands, bug, tuple(faults))

    def _handle(self, event: Event, now: float) -> tuple[Sequence[Command], str]:
        assert self.election is not None
        try:
            commands = self.election.handle(event, now)
        except Exception as error:  # as recorded, or a record that contradicts itself
            return (), raised(error)
        return [_sound(command) for command in commands], ""

    def _differences(
        self, fields: dict[str, Any], commands: Sequence[Command], after: Snapshot, bug: str
    ) -> Iterator[str]:
        recorded = fields.get("raised", "")
        if bug != recorded:
            yield f"The election raises {bug or 'nothing'}; recorded is {recorded or 'nothing'}."
            return
        if bug:
            return
        told = fields.get("commands", [])
        if told != [named(command) for command in commands]:
            yield "The election returns other commands than recorded."
        changed, replayed = fields.get("snapshot", {}), _fields_of(after)
        if not isinstance(changed, dict) or self.snapshot | changed != replayed:
            yield "The election comes to another snapshot than recorded."
        self.snapshot = replayed


def _snapshot_of(election: Election) -> Snapshot:
    snapshot: Snapshot = _sound(election.snapshot)
    return snapshot


def _fields_of(snapshot: Snapshot) -> dict[str, Any]:
    return encode_changes(Snapshot, (), values_of(snapshot))


def _sound(value: Any) -> Any:
    """The same dataclass, if its fields are of the types that they are said to be. Raises RecordError."""
    return decode(type(value), encode(value))


def _sentence(broken: Broken) -> str:
    return f"The sidecar {broken.story} (rule {broken.rule})."
