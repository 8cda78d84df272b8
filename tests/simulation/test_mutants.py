"""Bugs planted in the election, each as small as can be: the simulation must catch every one of them.

The real election passes the very seed that catches a mutant, so it is the planted bug that is caught.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .mutants import FURTHER, LISTED
from .plant import Mutant
from .world import Failure, World

PATIENCE = 3000
"""Schedules after which a planted bug counts as not caught."""
INVARIANTS = {"place", "capacity", "token", "never-again", "passed-by", "obeys", "rate", "noticed", "liveness"}


def catch(mutant: type[Mutant]) -> Failure | None:
    """The first schedule in which this mutant breaks an invariant; one in which it merely raises does not count."""
    for seed in range(PATIENCE):
        try:
            with mutant.planted():
                World(seed, only=mutant.faults).run()
        except Failure as failure:
            if failure.invariant in INVARIANTS:
                return failure
    return None


@pytest.mark.timeout(7200)  # minutes of work for the rarest, and whatever else the machine does comes first
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("mutant", [*LISTED, *FURTHER], ids=lambda mutant: str(mutant.__name__))
def test_a_planted_bug_is_caught(mutant: type[Mutant], record_property: Callable[[str, object], None]) -> None:
    """By an invariant, and not by a schedule that the real election fails as well."""
    failure = catch(mutant)
    assert failure is not None, f"{mutant.__name__} passes {PATIENCE} schedules: {mutant.__doc__}"
    record_property("caught by", f"{failure.invariant}, seed {failure.seed}")
    World(failure.seed, only=mutant.faults).run()


def test_all_ten_bugs_of_the_list_are_planted() -> None:
    assert len(LISTED) == len(set(LISTED)) == 10
