"""Ten thousand schedules of the real election against a model of etcd; each can be run again from its seed."""

import os

import pytest

from .compiled_records import compiled_records
from .world import World

FIRST, END = (int(word) for word in os.environ.get("SIMULATION_SEEDS", "0-10000").split("-"))
"""The seeds from the first one to before the last one: the interpreters of a whole run share the ten thousand."""
CHUNK = 500


@pytest.mark.parametrize("first", range(FIRST, END, CHUNK))
@pytest.mark.usefixtures("quick")
def test_no_schedule_breaks_an_invariant(first: int) -> None:
    """Exclusion, tokens, preference, obedience, liveness after faults, no busy loops, no illegal event."""
    for seed in range(first, min(first + CHUNK, END)):
        World(seed).run()


def story(seed: int) -> list[str]:
    """All that happens in this schedule, in words."""
    told: list[str] = []
    World(seed, echo=told.append).run()
    return told


def test_a_seed_tells_the_same_story_again() -> None:
    """Nothing but the seed decides what happens: two runs leave the same trace, to the letter."""
    assert story(4711)
    assert story(4711) == story(4711)


def test_compiled_records_tell_the_same_story() -> None:
    """What makes many schedules quick changes nothing in them."""
    plainly = [story(seed) for seed in range(5)]
    with compiled_records():
        assert [story(seed) for seed in range(5)] == plainly
