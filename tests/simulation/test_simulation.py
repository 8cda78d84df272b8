"""Ten thousand schedules of the real election against a model of etcd; each can be run again from its seed."""

import os

import pytest

from .world import World

SCHEDULES = int(os.environ.get("SIMULATION_SCHEDULES", "10000"))
"""On interpreters that are only compared with the main one, fewer will do: they run the same seeds, the first ones."""
CHUNK = 500


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_no_schedule_breaks_an_invariant(first: int) -> None:
    """Exclusion, tokens, preference, obedience, liveness after faults, no busy loops, no illegal event."""
    for seed in range(first, first + CHUNK):
        World(seed).run()


def test_a_seed_tells_the_same_story_again() -> None:
    """Nothing but the seed decides what happens: two runs leave the same trace, to the letter."""
    stories: list[list[str]] = [[], []]
    for story in stories:
        World(4711, echo=story.append).run()
    assert stories[0]
    assert stories[0] == stories[1]
