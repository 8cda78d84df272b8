"""The one clock of the election."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from leasehold.base import clock


def test_it_never_goes_back() -> None:
    instants = [clock.now() for _ in range(1000)]
    assert all(before <= after for before, after in pairwise(instants))


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock that runs while it sleeps")
def test_it_also_runs_while_the_machine_sleeps() -> None:
    """The clock of the event loop does not: a lease would look alive after a night in a drawer."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = clock.now()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)
