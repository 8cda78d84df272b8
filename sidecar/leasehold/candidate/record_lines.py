"""What a flight record says of events: one line of JSON each, made of what the ring keeps of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

from leasehold.base.records import dataclass
from leasehold.candidate.record_codec import dumps, encode, encode_changes, values_of
from leasehold.candidate.record_state import Captured, state_of
from leasehold.candidate.record_steps import Raised, Row, Step
from leasehold.election.commands import Command
from leasehold.election.snapshot import Snapshot

BATCH_EVENTS: Final = 64
"""So many become lines at once: a millisecond's work, which the election's loop may have to wait for."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the events after it begin from. `number` counts the events before it."""

    at: float
    number: int
    seed: int
    state: Captured

    def line(self) -> bytes:
        """The line that a replay begins with."""
        at = {"at": self.at, "number": self.number, "seed": self.seed}
        return as_line({"checkpoint": at, "state": state_of(self.state.election)})


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment of the ring as it was at one moment: compressed lines, and what is not made into lines yet."""

    packed: tuple[bytes, ...]
    checkpoint: Checkpoint | None
    before: Snapshot
    """The snapshot before the first step in the row."""
    row: Row

    def pieces(self) -> Iterator[bytes]:
        """The lines, several at once."""
        for part in self.packed:
            yield zlib.decompress(part)
        if self.checkpoint is not None:
            yield self.checkpoint.line()
        before = self.before
        for first in range(0, len(self.row.instants), BATCH_EVENTS):
            piece, before = lines_of(self.row.part(first, first + BATCH_EVENTS), before)
            yield piece


def lines_of(row: Row, before: Snapshot) -> tuple[bytes, Snapshot]:
    """The lines of the steps in this row, and the snapshot after them. `before` is the one before them."""
    made: list[bytes] = []
    for step in row.steps(before):
        made.append(_line(step, before))
        before = step[3]
    return b"".join(made), before


def _line(step: Step, before: Snapshot) -> bytes:
    event, now, commands, after = step
    line: dict[str, Any] = {"at": now, "event": type(event).__name__}
    if fields := encode(event):
        line["fields"] = fields
    if commands and isinstance(commands[0], Raised):
        return as_line({**line, "raised": commands[0].text})
    if commands:
        line["commands"] = [named(command) for command in commands]
    if after is not before:
        line["snapshot"] = encode_changes(Snapshot, values_of(before), values_of(after))
    return as_line(line)


def named(command: Command) -> dict[str, Any]:
    """A command as it stands in a line."""
    fields = encode(command)
    return {"command": type(command).__name__, **({"fields": fields} if fields else {})}


def raised(bug: Exception) -> str:
    """What `handle` raised, as it stands in a line."""
    return f"{type(bug).__name__}: {bug}"


def as_line(fields: dict[str, Any]) -> bytes:
    """One line."""
    return dumps(fields).encode() + b"\n"
