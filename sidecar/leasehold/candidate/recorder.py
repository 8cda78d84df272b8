"""The flight recorder: the last events of an election, so that what it did can be replayed to the letter.

The election decides by its events, their instants and the numbers that it draws, by nothing else. So a record is a
state to start from (a checkpoint), a seed, and each event with its instant; and because it is there to be checked,
what each led to: the commands, and the fields of the snapshot that changed.

At each checkpoint the recorder seeds the generator, so that no generator's state has to be kept. A replay starts at the
first checkpoint that is left, and holds what it came to against every later one. What is kept, and how much of it, is
for `record_ring.py` to decide.

Whatever fails in here is logged once, and ends the record; never the election.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from leasehold import __version__
from leasehold.base.records import dataclass
from leasehold.candidate.record_codec import encode
from leasehold.candidate.record_lines import Checkpoint, SegmentView, as_line, raised
from leasehold.candidate.record_ring import Ring
from leasehold.candidate.record_state import captured
from leasehold.candidate.record_steps import Raised, Step
from leasehold.election.commands import Command, Note
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.events import Event, Joined, KeptAlive, OwnRead, QueueRead, Tick, Unchanged
from leasehold.election.snapshot import Snapshot

_log = logging.getLogger("leasehold.recorder")

FORMAT: Final = 2
"""The version of the lines, and of the names in a state. A reader refuses any other."""
_PENDING_EVENTS: Final = 200
"""So many are handed to the ring at once: code that is warm in the processor's cache takes a fraction of the time."""
_OF_KEEP_ALIVES: Final = frozenset({Tick, KeptAlive, Unchanged, OwnRead})
"""Nearly all events, and none of them is large."""
_PENDING_OTHERS: Final = 50
"""So many of the others are handed on at the latest, since each can take a kilobyte, which is not counted before."""
_WITH_A_QUEUE: Final = (QueueRead, Joined)
_LONG_QUEUE_ENTRIES: Final = 4
"""Entries of an event that does not wait, since each takes about a kilobyte."""
_ALARMING_NOTES: Final = frozenset({"lost", "usurped", "detached"})
BUG: Final = "bug"
"""Why a record is wanted when `handle` has raised."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The record as it was at one moment. Nothing in it changes any more, and any thread may read it."""

    head: bytes
    segments: tuple[SegmentView, ...]

    def pieces(self) -> Iterator[bytes]:
        """The lines, several at once; the first piece is the first line."""
        yield self.head
        for segment in self.segments:
            yield from segment.pieces()


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
        self._ring = Ring()
        self._pending: list[Step] = []
        self._most_pending = _PENDING_EVENTS
        self._broken = False
        self.alarm: Callable[[str], None] | None = None
        """Called with the reason when something has happened after which a record is wanted."""
        self._guarded(self._take_checkpoint)

    @property
    def size(self) -> int:
        """Bytes that are kept, without the events that wait for their turn."""
        return self._ring.size

    @property
    def events(self) -> int:
        """Events that are kept."""
        return self._ring.events + len(self._pending)

    def recording(self, reason: str) -> Recording:
        """The record up to now, and in its first line the reason why it was taken."""
        self._guarded(self._keep_pending)
        return Recording(self._head(reason), self._ring.views())

    def handled(self, event: Event, now: float, commands: Sequence[Command], snapshot: Snapshot) -> None:
        """The election has taken this event at this instant, with these commands and this snapshot. Raises nothing.

        To be called before the election takes the next one.
        """
        if self._broken:
            return
        self._pending.append((event, now, tuple(commands), snapshot))
        if len(self._pending) >= self._most_pending or (type(event) not in _OF_KEEP_ALIVES and self._is_urgent(event)):
            self._guarded(self._keep_pending)
        for command in commands:
            if isinstance(command, Note) and command.kind in _ALARMING_NOTES:
                self._sound(command.kind)

    def _is_urgent(self, event: Event) -> bool:
        """Whether what waits may be large, now that this event of the rarer kinds has come."""
        is_long = isinstance(event, _WITH_A_QUEUE) and len(event.queue) > _LONG_QUEUE_ENTRIES
        return is_long or len(self._pending) >= _PENDING_OTHERS

    def failed(self, event: Event, now: float, bug: Exception) -> None:
        """The election has raised this when it was fed this event. Raises nothing."""
        # and no checkpoint: the bug may have left any state behind
        self._guarded(lambda: self._record_bug(event, now, bug))
        self._sound(BUG)

    def _keep_pending(self) -> None:
        """Hand on what has come; and if the time has come, take a checkpoint, which must be of after all that."""
        pending, self._pending = self._pending, []
        if self._ring.add(pending):
            self._take_checkpoint()
        # a segment that grew beyond its size would stay in the ring for as many events more
        self._most_pending = min(_PENDING_EVENTS, self._ring.room)

    def _record_bug(self, event: Event, now: float, bug: Exception) -> None:
        pending, self._pending = self._pending, []
        self._ring.add([*pending, (event, now, (Raised(raised(bug)),), self._election.snapshot)])

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

    def _take_checkpoint(self) -> None:
        """Begin a new segment with the state that the election is in, and go on with another seed."""
        seed = self._rng.getrandbits(53)  # what any reader of JSON takes for a whole number
        self._rng.seed(seed)
        checkpoint = Checkpoint(self._clock(), self._ring.count, seed, captured(self._election, self._ring.parts))
        self._ring.begin(checkpoint, self._election.snapshot)

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
        return as_line(head)

    def _instant(self) -> dict[str, float]:
        """One instant by the election's clock, and by the wall's: how to tell the one from the other."""
        return {"at": self._clock(), "unixTime": self._wall()}
