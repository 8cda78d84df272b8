"""What the ring keeps of each event and of what it led to, in as little memory as can be had for next to no time.

All that an election is fed, says and shows is frozen, so it is kept by reference. Most events are those of keep-alives:
one command, which differs from the last of its class in its number alone, and a snapshot with another deadline. So a
single command stands without a tuple around it, and for each such command the first one stands, with the number beside
it. In place of a snapshot stands what has changed: None for nothing, a number for the deadline alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from operator import attrgetter
from sys import getsizeof
from typing import Any, Final

from leasehold.base.records import dataclass, fields, replace
from leasehold.candidate.record_codec import values_of
from leasehold.candidate.record_size import Meter, bytes_of
from leasehold.election.commands import Command
from leasehold.election.events import Event, Tick
from leasehold.election.snapshot import Snapshot

_ITEMS: Final = 3
_DEADLINE_BYTES: Final = 24
_TICK: Final = Tick()
_all_but_the_deadline: Final = attrgetter(*(one.name for one in fields(Snapshot) if one.name != "deadline"))


@dataclass(frozen=True, slots=True)
class Raised:
    """Stands in place of the commands: what the election raised."""

    text: str


Commands = tuple[Command, ...] | tuple[Raised]
Step = tuple[Event, float, Commands, Snapshot]
"""An event, its instant, and what it led to."""


@dataclass(frozen=True, slots=True)
class Row:
    """Steps as they are kept: the instant of each, and its event, its commands and the change of its snapshot.

    `numbers` has the number of a single command, 0 if it has none.
    """

    instants: Sequence[float]
    numbers: Sequence[int]
    items: Sequence[Any]

    def part(self, first: int, end: int) -> Row:
        """The steps from the one with this number, counted from 0, up to another."""
        items = self.items[first * _ITEMS : end * _ITEMS]
        return Row(self.instants[first:end], self.numbers[first:end], items)

    def steps(self, before: Snapshot) -> Iterator[Step]:
        """The steps, given the snapshot before the first of them. A snapshot that did not change is the same object."""
        items = iter(self.items)
        for now, number, event, kept, change in zip(self.instants, self.numbers, items, items, items, strict=True):
            if type(change) is float:
                before = replace(before, deadline=change)
            elif change is not None:
                before = change
            yield event, now, kept if type(kept) is tuple else (_numbered(kept, number),), before


def _numbered(command: Any, number: int) -> Any:
    return replace(command, op=number) if number else command


class Steps:
    """Steps, one after the other, and what they take."""

    def __init__(self, before: Snapshot) -> None:
        """`before` is the snapshot before the first step."""
        self._instants = array("d")
        self._numbers = array("q")
        self._items: list[Any] = []
        self._held = 0
        """Bytes of all that the items refer to."""
        self._meter = Meter()
        self._commands: dict[type, tuple[tuple[Any, ...], Command | Raised]] = {}
        """The last one of each class that is kept as it was, and its values without its number."""
        self._last = before
        self._rest = _all_but_the_deadline(before)

    @property
    def size(self) -> int:
        """Bytes."""
        return getsizeof(self._instants) + getsizeof(self._numbers) + getsizeof(self._items) + self._held

    @property
    def row(self) -> Row:
        """All of them as they are now. Nothing in it changes any more."""
        return self._first(len(self))

    def _first(self, count: int) -> Row:
        return Row(self._instants[:count], self._numbers[:count], tuple(self._items[: count * _ITEMS]))

    def __len__(self) -> int:
        return len(self._instants)

    def append(self, step: Step) -> None:
        """Keep a step. Raises TypeError, and keeps nothing of it, if it cannot be recorded."""
        event, now, commands, snapshot = step
        number, size = 0, 0
        kept: Any = commands
        if len(commands) == 1:
            number, kept, size = self._like(commands[0])
        elif commands:
            size = bytes_of(commands)
        if type(event) is Tick:
            event = _TICK
        else:
            size += self._meter.added(event)
        change = None
        if snapshot is not self._last:
            change, more = self._change_to(snapshot)
            size += more
        self._instants.append(now)
        self._numbers.append(number)
        self._items += (event, kept, change)
        self._held += size

    def _like(self, command: Command | Raised) -> tuple[int, Command | Raised, int]:
        """The command's number, the last command of its class if that is the same but for it, and the bytes it adds."""
        kind: Any = type(command)
        known = self._commands.get(kind)
        number = getattr(command, "op", 0)
        values = values_of(command)[1:] if number else values_of(command)
        if known is not None and known[0] == values:
            return number, known[1], 0
        self._commands[kind] = values, command
        return number, command, bytes_of(command)

    def _change_to(self, snapshot: Snapshot) -> tuple[Snapshot | float | None, int]:
        """What is kept of a snapshot, and the bytes that it adds."""
        before, self._rest = self._rest, _all_but_the_deadline(snapshot)
        last, self._last = self._last, snapshot
        if before != self._rest or type(snapshot.deadline) is not float:
            return snapshot, self._meter.added(snapshot)
        return (None, 0) if snapshot.deadline == last.deadline else (snapshot.deadline, _DEADLINE_BYTES)

    def take(self, count: int) -> Row:
        """Remove and return the first `count` steps, or all if there are not as many."""
        taken = self._first(count)
        # about their part of all of them; after the last part nothing is left
        self._held -= self._held * len(taken.instants) // len(self)
        del self._instants[:count], self._numbers[:count], self._items[: count * _ITEMS]
        return taken
