"""The ring of recorded events: what is kept of them, for how long, and how much memory that takes.

Events are kept by reference (`record_steps.py`), which costs next to nothing, and most leave the ring without ever
becoming a line. They become lines when a record is asked for; and in parts, oldest first, when all of them together are
too large, as with many candidates that come and go. Those lines are compressed, since most repeat the one before.

A ring loses its beginning, and an election may hold for weeks without a state that is simple to describe. So the ring
consists of segments. Each begins with a checkpoint of everything that the election is made of. The oldest segment goes
as a whole.

Bytes are counted as they are kept: compressed lines as they are, all else by `record_size.py`.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from leasehold.candidate.record_lines import BATCH_EVENTS, Checkpoint, SegmentView, lines_of
from leasehold.candidate.record_steps import Step, Steps
from leasehold.election.snapshot import Snapshot

KEPT_EVENTS: Final = 2_000
"""At least; the oldest segment goes when there are as many without it."""
MAX_BYTES: Final = 450_000
"""Counted, which is more than it is. With what waits to be counted, half a megabyte is not reached."""
SEGMENT_EVENTS: Final = 400


class Segment:
    """A checkpoint and the events after it: the oldest as compressed lines, the others as they came."""

    def __init__(self, checkpoint: Checkpoint, snapshot: Snapshot) -> None:
        """`snapshot` is the election's at the checkpoint."""
        self.events = 0
        self.size = checkpoint.state.size
        """Bytes."""
        self._checkpoint: Checkpoint | None = checkpoint
        self._packed: list[bytes] = []
        self._before = snapshot
        self._steps = Steps(snapshot)
        self.parts: Collection[int] = checkpoint.state.parts
        """The identities of what is counted with the checkpoint; nothing once it is not the newest, or compressed."""

    @property
    def is_full(self) -> bool:
        """Whether the next event should have a checkpoint before it."""
        return self.events >= SEGMENT_EVENTS or self.size >= MAX_BYTES // 4

    @property
    def is_packed(self) -> bool:
        """Whether all of it is compressed."""
        return self._checkpoint is None and not self._steps

    def view(self) -> SegmentView:
        """All of it as it is now."""
        return SegmentView(tuple(self._packed), self._checkpoint, self._before, self._steps.row)

    def add(self, steps: Sequence[Step]) -> None:
        """Keep these events. Raises TypeError if one cannot be recorded; those before it are kept."""
        before = self._steps.size
        try:
            for step in steps:
                self._steps.append(step)
                self.events += 1
        finally:
            self.size += self._steps.size - before

    def pack(self) -> None:
        """Compress the oldest part that is not."""
        if self._checkpoint is not None:
            freed, piece = self._checkpoint.state.size, self._checkpoint.line()
            self._checkpoint, self.parts = None, ()
        else:
            before = self._steps.size
            piece, self._before = lines_of(self._steps.take(BATCH_EVENTS), self._before)
            freed = before - self._steps.size
        self._packed.append(zlib.compress(piece, 1))  # higher levels save little, and take several times as long
        self.size += len(self._packed[-1]) - freed


class Ring:
    """The newest events, in segments. Its size is kept up to date, in bytes."""

    def __init__(self) -> None:
        self.count = 0
        """Events that ever came."""
        self._segments: deque[Segment] = deque()
        self._skipping = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(segment.size for segment in self._segments)

    @property
    def events(self) -> int:
        """Events that are kept."""
        return sum(segment.events for segment in self._segments)

    @property
    def room(self) -> int:
        """Events until there should be a checkpoint."""
        return SEGMENT_EVENTS - self._segments[-1].events if self._segments else self._skipping

    @property
    def parts(self) -> Collection[int]:
        """The identities of what is counted with the newest checkpoint."""
        return self._segments[-1].parts if self._segments else ()

    def begin(self, checkpoint: Checkpoint, snapshot: Snapshot) -> None:
        """Go on from this checkpoint, where the election's snapshot was this."""
        if self._segments:
            self._segments[-1].parts = ()
        self._segments.append(Segment(checkpoint, snapshot))
        while self.events - self._segments[0].events >= KEPT_EVENTS:
            self._segments.popleft()
        self._make_room()

    def add(self, steps: Sequence[Step]) -> bool:
        """Keep these events.

        Returns whether the next one should have a checkpoint before it. Raises TypeError if one cannot be recorded;
        those before it are kept.
        """
        self.count += len(steps)
        if not self._segments:
            self._skipping -= len(steps)
            return self._skipping <= 0
        newest = self._segments[-1]
        newest.add(steps)
        self._make_room()
        return bool(self._segments) and newest.is_full

    def views(self) -> tuple[SegmentView, ...]:
        """All of it as it is now."""
        return tuple(segment.view() for segment in self._segments)

    def _make_room(self) -> None:
        """Compress what is too much, and let go what still is."""
        while self.size > MAX_BYTES:
            loose = next((segment for segment in self._segments if not segment.is_packed), None)
            if loose is not None:
                loose.pack()
            else:
                self._segments.popleft()
                # a queue of many thousands: a single answer or state is too much
                self._skipping = 0 if self._segments else SEGMENT_EVENTS
