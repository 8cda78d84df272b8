"""An invariant that does not hold, and for how long after the capacity fell nobody is skipped."""

from leasehold.lock.spec import DEFAULT_TTL

CALM = 1.02 * DEFAULT_TTL
"""Seconds after the capacity fell for which nobody is passed by: no schedule has a longer TTL than the default."""


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, story: str) -> None:
        super().__init__(f"{invariant}: {story}")
        self.invariant = invariant
