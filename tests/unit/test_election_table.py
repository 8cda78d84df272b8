"""Which event each state knows: written out by hand, so that a change is seen. Any other raises and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.commands import ANSWERS
from leasehold.election.election import MOVES, TRANSITIONS, IllegalEvent
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry
from tests.unit.election_places import (
    announcing,
    draining,
    holding,
    holding_beating,
    holding_confirming,
    idle,
    joining,
    joining_unknown,
    resuming,
    resuming_written,
    undeclared,
    unsure,
    waiting,
    waiting_reading,
    yielding,
    yielding_beating,
)
from tests.unit.election_queue import KEYS, UNDECLARED
from tests.unit.election_script import Script, record

TABLE: Final = """
                IDLE  JOINING  WAITING  HOLDING  UNSURE  YIELDING
    Start        x
    SpecRead              x
    Granted               x
    Joined                x
    QueueRead             x        x        x       x        x
    OwnRead               x        x        x       x        x
    Unchanged                      x        x       x        x
    KeptAlive                      x        x       x        x
    Written               x                                  x
    Failed                x        x        x       x        x
    EntryPut     x        x        x        x       x        x
    EntryGone    x        x        x        x       x        x
    SpecChanged  x        x        x        x       x        x
    WatchLost    x        x        x        x       x        x
    Stop         x        x        x        x       x        x
    HandOver     x        x        x        x       x        x
    Pause        x        x        x        x       x        x
    Resume       x        x        x        x       x        x
    WorkStopped  x        x        x        x       x        x
    Health       x        x        x        x       x        x
    Tick         x        x        x        x       x        x
"""
"""The answers among them count while their question is under way; whenever it is not, they are late, and harmless."""

CHANGES: Final = """
                IDLE  JOINING  WAITING  HOLDING  UNSURE  YIELDING
    IDLE                  x
    JOINING      x                 x        x       x        x
    WAITING      x                          x       x        x
    HOLDING      x                                  x        x
    UNSURE       x                 x        x                x
    YIELDING     x
"""


def crosses(table: str) -> dict[str, set[State]]:
    """For each row, the states whose column has a cross."""
    head, *rows = (line for line in table.splitlines() if line.strip())
    columns = {State(name.lower()): (head.index(name), head.index(name) + len(name)) for name in head.split()}
    return {row.split()[0]: {state for state, (start, end) in columns.items() if "x" in row[start:end]} for row in rows}


LEGAL: Final = crosses(TABLE)
EVENTS: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(ev.Event)}


def test_the_table_knows_these_events() -> None:
    """The table has every event and every cross of it."""
    assert LEGAL.keys() == EVENTS.keys()
    assert {name: {state for state in State if kind in TRANSITIONS[state]} for name, kind in EVENTS.items()} == LEGAL


def test_the_changes_of_state_are_these() -> None:
    """Above all: YIELDING leads to IDLE alone."""
    assert {state.name: set(MOVES[state]) for state in State} == crosses(CHANGES)


def test_every_question_has_its_answer() -> None:
    questions = {kind for kind in get_args(cmd.Command) if "op" in getattr(kind, "__slots__", ())}
    assert ANSWERS.keys() == questions


# --- how to come to each state, with each question under way that it knows -------------------------------------------


PLACES: Final[list[tuple[State, Callable[[], Script]]]] = [
    (State.IDLE, idle),
    (State.JOINING, joining()),
    (State.JOINING, joining(cmd.ReadSpec)),
    (State.JOINING, joining(cmd.ReadSpec, cmd.Grant)),
    (State.JOINING, joining_unknown),
    (State.JOINING, resuming),
    (State.JOINING, resuming_written),
    (State.JOINING, undeclared),
    (State.WAITING, waiting),
    (State.WAITING, waiting_reading),
    (State.HOLDING, holding),
    (State.HOLDING, holding_beating),
    (State.HOLDING, holding_confirming),
    (State.UNSURE, unsure),
    (State.YIELDING, draining),
    (State.YIELDING, yielding),
    (State.YIELDING, yielding_beating),
    (State.YIELDING, announcing),
]
places = pytest.mark.parametrize(("state", "place"), PLACES, ids=lambda p: p if isinstance(p, str) else p.__name__)


def entry(number: int) -> Entry:
    return Entry(KEYS.entry(number), number, number, number, record(f"c{number}"))


def event(kind: type, op: int) -> Any:
    """An event of this kind, with harmless contents."""
    origin = ev.ResponseHeader(1, 11, 5, 10_000)
    made: dict[type, Any] = {
        ev.SpecRead: lambda: ev.SpecRead(op, origin, UNDECLARED),
        ev.Granted: lambda: ev.Granted(op, origin, 0x999, 15, 1000.0),
        ev.Joined: lambda: ev.Joined(op, origin, created=False),
        ev.QueueRead: lambda: ev.QueueRead(op, origin, (), UNDECLARED),
        ev.OwnRead: lambda: ev.OwnRead(op, origin, None, None, None, UNDECLARED),
        ev.Unchanged: lambda: ev.Unchanged(op, origin),
        ev.KeptAlive: lambda: ev.KeptAlive(op, origin, 15, 1000.0),
        ev.Written: lambda: ev.Written(op, origin, done=True),
        ev.Failed: lambda: ev.Failed(op, "no answer"),
        ev.EntryPut: lambda: ev.EntryPut(entry(9_000)),
        ev.EntryGone: lambda: ev.EntryGone(KEYS.entry(9_000), 9_001),
        ev.SpecChanged: lambda: ev.SpecChanged(UNDECLARED, 9_001),
        ev.WatchLost: lambda: ev.WatchLost("cancelled"),
        ev.Health: lambda: ev.Health(healthy=False),
    }
    return made.get(kind, kind)()


ANSWER_KINDS = [kind for kind in EVENTS.values() if issubclass(kind, (ev.Answer, ev.Failed))]
OTHER_KINDS = [kind for kind in EVENTS.values() if kind not in ANSWER_KINDS]


def assert_illegal(script: Script, wrong: Any) -> None:
    """It raises, and nothing has changed, the random numbers to come included."""
    before, snapshot = script.dump(), script.election.snapshot
    with pytest.raises(IllegalEvent):
        script.election.handle(wrong, script.now)
    assert script.dump() == before
    assert script.election.snapshot == snapshot


@places
def test_each_place_is_in_its_state(state: State, place: Callable[[], Script]) -> None:
    """The tests below would say little otherwise."""
    assert place().state() is state


@places
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_an_event_is_legal_where_the_table_says(state: State, place: Callable[[], Script], kind: type) -> None:
    """An event that is no answer is legal just where the table says."""
    script = place()
    if state in LEGAL[kind.__name__]:
        script.feed(event(kind, 0))
    else:
        assert_illegal(script, event(kind, 0))


@places
@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_an_answer_never_asked_for_is_illegal(state: State, place: Callable[[], Script], kind: type) -> None:
    """An answer to a question never asked is illegal everywhere."""
    script = place()
    for op in (-1, 0, script.last_op() + 1):
        assert_illegal(script, event(kind, op))


@places
@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_a_question_takes_only_its_own_answer(state: State, place: Callable[[], Script], kind: type) -> None:
    """A question under way takes its own answer or a failure and no other."""
    for number in range(len(place().asked)):
        script = place()
        command = script.asked[number]
        wanted = kind in (ev.Failed, *ANSWERS[type(command)])
        # a read that compares nothing cannot find it unchanged
        wanted = wanted and (kind is not ev.Unchanged or command.expected is not None)
        asked = script.pending()
        if command.op in asked and not wanted:
            assert_illegal(script, event(kind, command.op))
        elif command.op in asked:
            assert state in LEGAL[kind.__name__]
            script.feed(event(kind, command.op))


@places
@pytest.mark.parametrize("kind", ANSWER_KINDS)
def test_a_late_answer_changes_nothing(state: State, place: Callable[[], Script], kind: type) -> None:
    """Nothing changes and nothing is done; but a lease that comes late is given back."""
    script = place()
    asked = set(script.pending())
    for op in set(range(1, script.last_op() + 1)) - asked:
        before, snapshot = script.dump(), script.election.snapshot
        commands = script.feed(event(kind, op))
        assert commands == ([cmd.Revoke(0x999)] if kind is ev.Granted else [])
        assert script.dump() == before
        assert script.election.snapshot == snapshot


def test_an_illegal_event_does_not_notice_the_deadline() -> None:
    """It changes nothing at all: the deadline is noticed by the next event that counts."""
    script = holding()
    script.now += 100.0
    assert not script.holding()
    assert_illegal(script, ev.Start())
    script.feed(ev.Tick())
    assert script.state() is State.UNSURE
