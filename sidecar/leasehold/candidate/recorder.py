"""The flight recorder: the last events of an election, so that what it did can be replayed to the letter.

The election decides by its events, their instants and the numbers that it draws, by nothing else. So a record is a
state to start from (a checkpoint), a seed, and each event with its instant; and because it is there to be checked,
what each led to: the commands, and the fields of the snapshot that changed.

A ring loses its beginning, and an election may hold for weeks without a state that is simple to describe. So the ring
consists of segments. Each begins with a checkpoint of everything that the election is made of, and with a fresh seed:
the recorder seeds the generator anew, so that no generator's state has to be kept. The oldest segment goes as a whole.
A replay starts at the first checkpoint that is left, and holds what it came to against every later one.

What has happened is kept by reference at first, since all of it is frozen. A few dozen events at once are encoded, each
to the line of JSON that a reader will see: code that is warm in the processor's cache takes a fraction of the time.
Lines are compressed by the dozen, since most repeat the one before.

Bytes are counted as they are kept: compressed lines, encoded ones, checkpoints. Not counted are the events that are not
encoded yet, two kilobytes each at most.

Whatever fails in here is logged once, and ends the record; never the election.
"""

from __future__ import annotations

import logging
import random
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from leasehold import __version__
from leasehold.base.records import dataclass
from leasehold.candidate.record_codec import dumps, encode, encode_changes, values_of
from leasehold.candidate.record_state import state_of
from leasehold.election.commands import Command, Note
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.events import Event, Tick
from leasehold.election.snapshot import Snapshot

_log = logging.getLogger("leasehold.recorder")

FORMAT: Final = 1
"""The version of the lines. A reader refuses any other."""
KEPT_EVENTS: Final = 2_000
"""At least; the oldest segment goes when there are as many without it."""
MAX_BYTES: Final = 380_000
"""With the events that are not encoded yet, and Python's own overhead, that stays below half a megabyte."""
SEGMENT_EVENTS: Final = 250
_BATCH_BYTES: Final = 16_384
_PENDING_EVENTS: Final = 64
_LONG_QUEUE: Final = 4
"""Entries of an event that is encoded at once, since each takes about a kilobyte by reference."""
_ALARMING_NOTES: Final = frozenset({"lost", "usurped"})
BUG: Final = "bug"
"""Why a record is wanted when `handle` has raised."""


class _Segment:
    """A checkpoint and the events after it."""

    def __init__(self, checkpoint: bytes) -> None:
        self.parts = [checkpoint]
        self.tail: list[bytes] = []
        self.events = 0
        self._packed_bytes = len(checkpoint)
        self._tail_bytes = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self._packed_bytes + self._tail_bytes

    @property
    def is_full(self) -> bool:
        """Whether the next event should have a checkpoint before it."""
        return self.events >= SEGMENT_EVENTS or self.size >= MAX_BYTES // 4

    def add(self, line: bytes) -> None:
        self.tail.append(line)
        self.events += 1
        self._tail_bytes += len(line)
        if self._tail_bytes >= _BATCH_BYTES:
            self.pack()

    def pack(self) -> None:
        """Compress the lines that are not yet."""
        if self.tail:
            self.parts.append(_packed(b"".join(self.tail)))
            self._packed_bytes += len(self.parts[-1])
            self.tail, self._tail_bytes = [], 0


def _packed(lines: bytes) -> bytes:
    return zlib.compress(lines, 1)  # higher levels save little, and take several times as long


@dataclass(frozen=True, slots=True)
class Recording:
    """The record as it was at one moment. Any thread may read it."""

    head: bytes
    parts: tuple[bytes, ...]
    """Compressed lines, in order."""
    tail: tuple[bytes, ...]

    def pieces(self) -> Iterator[bytes]:
        """The lines, several at once; the first piece is the first line."""
        yield self.head
        for part in self.parts:
            yield zlib.decompress(part)
        yield b"".join(self.tail)


class Recorder:
    """Records one election, from the moment it is made. All but a `Recording` belongs to the loop's thread."""

    def __init__(
        self,
        config: ElectionConfig,
        election: Election,
        rng: random.Random,
        clock: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`config` is the election's, for the record's head.

        `rng` is the generator that the election draws from. The recorder seeds it, now and later.
        """
        self._config = config
        self._election = election
        self._rng = rng
        self._clock = clock
        self._wall = wall
        self._began = self._instant()
        self._segments: deque[_Segment] = deque()
        self._pending: list[tuple[Event, float, Sequence[Command], Snapshot]] = []
        self._last: tuple[Any, ...] = ()
        self._count = 0
        self._skipping = 0
        self._broken = False
        self.alarm: Callable[[str], None] | None = None
        """Called with the reason when something has happened after which a record is wanted."""
        self._guarded(self._begin_segment)

    @property
    def size(self) -> int:
        """Bytes that are kept, without the events that are not encoded yet."""
        return sum(segment.size for segment in self._segments)

    @property
    def events(self) -> int:
        """Events that are kept."""
        return sum(segment.events for segment in self._segments) + len(self._pending)

    def recording(self, reason: str) -> Recording:
        """The record up to now, and in its first line the reason why it was taken."""
        self._guarded(self._encode_pending)
        parts = tuple(part for segment in self._segments for part in segment.parts)
        tail = tuple(self._segments[-1].tail) if self._segments else ()
        return Recording(self._head(reason), parts, tail)

    def handled(self, event: Event, now: float, commands: Sequence[Command], snapshot: Snapshot) -> None:
        """The election has taken this event at this instant, with these commands and this snapshot. Raises nothing."""
        if self._broken:
            return
        self._pending.append((event, now, commands, snapshot))
        if len(self._pending) >= _PENDING_EVENTS or len(getattr(event, "queue", ())) > _LONG_QUEUE:
            self._guarded(self._encode_pending)
        for command in commands:
            if isinstance(command, Note) and command.kind in _ALARMING_NOTES:
                self._sound(command.kind)

    def failed(self, event: Event, now: float, bug: Exception) -> None:
        """The election has raised this when it was fed this event. Raises nothing."""
        self._guarded(lambda: self._record_bug(event, now, bug))
        self._sound(BUG)

    def _sound(self, reason: str) -> None:
        alarm = self.alarm
        if alarm is not None:
            self._guarded(lambda: alarm(reason))

    def _guarded(self, act: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            act()
        except Exception:
            self._broken = True
            self._pending = []
            _log.exception("the flight record ends here; the election goes on")

    # --- the ring -----------------------------------------------------------------------------------------------

    def _encode_pending(self) -> None:
        """Encode what has happened; and if the time has come, take a checkpoint, which must be of after all that."""
        self._empty_pending()
        newest = self._segments[-1] if self._segments else None
        if newest is None and self._skipping <= 0:
            self._begin_segment()
        elif newest is not None and newest.is_full:
            newest.pack()
            self._begin_segment()

    def _empty_pending(self) -> None:
        pending, self._pending = self._pending, []
        for event, now, commands, snapshot in pending:
            self._record(event, now, commands, snapshot)

    def _record_bug(self, event: Event, now: float, bug: Exception) -> None:
        self._empty_pending()  # and no checkpoint: the bug may have left any state behind
        line = {"at": now, "event": type(event).__name__, "fields": encode(event), "raised": raised(bug)}
        self._add(_as_line(line))

    def _record(self, event: Event, now: float, commands: Sequence[Command], snapshot: Snapshot) -> None:
        values = values_of(snapshot)
        before, self._last = self._last, values
        if values == before and not commands and type(event) is Tick:
            self._add(b'{"at":%a,"event":"Tick"}\n' % now)  # every second; all others together are fewer
            return
        line: dict[str, Any] = {"at": now, "event": type(event).__name__}
        if fields := encode(event):
            line["fields"] = fields
        if commands:
            line["commands"] = [named(command) for command in commands]
        if values != before:
            line["snapshot"] = encode_changes(Snapshot, before, values)
        self._add(_as_line(line))

    def _add(self, line: bytes) -> None:
        self._count += 1
        if not self._segments:
            self._skipping -= 1
            return
        self._segments[-1].add(line)
        if not self._segments[-1].tail:
            self._trim()

    def _begin_segment(self) -> None:
        """Take a checkpoint, and go on from there with another seed."""
        seed = self._rng.getrandbits(53)  # what any reader of JSON takes for a whole number
        self._rng.seed(seed)
        self._last = values_of(self._election.snapshot)
        at = {"at": self._clock(), "number": self._count, "seed": seed}
        self._segments.append(_Segment(_packed(_as_line({"checkpoint": at, "state": state_of(self._election)}))))
        self._trim()

    def _trim(self) -> None:
        """Let the oldest segments go that are not needed, or too much, with room for a batch that is not compressed."""
        while len(self._segments) > 1 and (
            self.events - self._segments[0].events >= KEPT_EVENTS or self.size > MAX_BYTES - _BATCH_BYTES
        ):
            self._segments.popleft()
        if self.size > MAX_BYTES - _BATCH_BYTES:  # a queue of many thousands: a single answer or state is too much
            self._segments.clear()
            self._skipping = SEGMENT_EVENTS

    # --- the first line -----------------------------------------------------------------------------------------

    def _head(self, reason: str) -> bytes:
        head = {
            "flightRecord": FORMAT,
            "leasehold": __version__,
            "reason": reason,
            "began": self._began,
            "written": self._instant(),
            "config": encode(self._config),
        }
        return _as_line(head)

    def _instant(self) -> dict[str, float]:
        """One instant by the election's clock, and by the wall's: how to tell the one from the other."""
        return {"at": self._clock(), "unixTime": self._wall()}


def named(command: Command) -> dict[str, Any]:
    """A command as it stands in a line."""
    fields = encode(command)
    return {"command": type(command).__name__, **({"fields": fields} if fields else {})}


def raised(bug: Exception) -> str:
    """What `handle` raised, as it stands in a line."""
    return f"{type(bug).__name__}: {bug}"


def _as_line(fields: dict[str, Any]) -> bytes:
    return dumps(fields).encode() + b"\n"
