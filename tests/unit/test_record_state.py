"""An election's state as JSON, and an election made of it: one that goes on just as the first would have."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from leasehold.candidate.record_codec import RecordError, dumps, loads
from leasehold.candidate.record_state import election_of, state_of
from leasehold.election.election import Election
from leasehold.election.snapshot import State
from tests.unit.election_script import Script
from tests.unit.test_election_table import places


def copied(election: Election, seed: int) -> Election:
    return election_of(loads(dumps(state_of(election)).encode()), random.Random(seed))


@places
def test_it_goes_on_as_the_first_would_have(state: State, place: Callable[[], Script]) -> None:
    """From every state, with every question under way: same commands, same snapshots, until it rests."""
    script = place()
    second = copied(script.election, 7)
    rng = random.Random(7)
    first = election_of(state_of(script.election), rng)
    assert state_of(first) == state_of(second) == state_of(script.election)
    stories = []
    for election in (first, second):
        told = deepcopy(script)
        told.election = election
        told.settle()
        for _ in range(5):
            if election.deadline() is not None:
                told.doze()
                told.settle()
        stories.append((told.said, election.snapshot, state_of(election)))
    assert stories[0] == stories[1]


BAD: list[Any] = [
    None,
    5,
    [],
    {},
    {"class": "os:system", "fields": {}},
    {"class": "leasehold.election.election:Any", "fields": {}},
    {"class": "leasehold.election.election:Election"},
    {"class": "leasehold.election.events:Stop", "fields": {}},
    {"class": "leasehold.election.events:Stop", "fields": {"unheard": 1}},
    {"function": "leasehold.election.election:math.floor"},
    {"method": "__reduce__", "of": {"class": "leasehold.election.events:Stop", "fields": {}}},
    {"again": 3},
    {"enum": "leasehold.election.events:State", "value": "asleep"},
    {"rng": True},
    {"float": "much"},
    {"tuple": 5},
]


@pytest.mark.parametrize("state", BAD, ids=str)
def test_a_state_from_elsewhere_is_refused(state: Any) -> None:
    """Above all: nothing outside of the election can be named."""
    with pytest.raises(RecordError):
        election_of(state, random.Random(1))


def test_a_state_too_deep_is_refused() -> None:
    state: Any = None
    for _ in range(100_000):
        state = {"tuple": [state]}
    with pytest.raises(RecordError):
        election_of(state, random.Random(1))


def test_what_cannot_be_restored_raises() -> None:
    script = Script()
    script.election.unheard = object()  # type: ignore[attr-defined]  # what no election has
    with pytest.raises(TypeError, match="cannot be recorded"):
        state_of(script.election)
