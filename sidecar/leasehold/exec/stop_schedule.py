"""When the guardian of `leasehold exec` stops its command: TERM, then KILL, from what it was last told.

Pure: instants are seconds of `leasehold.clock`, given by the caller.
"""

from __future__ import annotations

from typing import Final

LEASE_ENDS: Final = "the lease is about to end"
LEASEHOLD_GONE: Final = "leasehold is gone"
URGENT: Final = (LEASE_ENDS, LEASEHOLD_GONE)
"""Reasons to stop that leave no more time than the lease has; with others it is still being renewed."""


class StopSchedule:
    """When to send what.

    `why` is the reason for the stop, empty until there is one.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self.grace = 0.0
        self.deadline: float | None = None
        self.why = ""
        self._stopped_at = 0.0

    @property
    def term_at(self) -> float:
        """When to send TERM unless a later deadline comes; at once while there was none."""
        return float("-inf") if self.deadline is None else self.deadline - self.grace - self.margin

    @property
    def kill_at(self) -> float:
        """When to send KILL, once stopping: the grace has passed, or the lease is about to."""
        last = float("-inf") if self.deadline is None else self.deadline - self.margin
        return min(last, self._stopped_at + self.grace)

    def extend(self, deadline: float) -> None:
        """Take a newly confirmed deadline; an older one than known changes nothing."""
        self.deadline = deadline if self.deadline is None else max(self.deadline, deadline)

    def stop(self, why: str, now: float) -> bool:
        """Decide to stop; returns whether that is new."""
        if self.why:
            return False
        self.why, self._stopped_at = why, now
        return True
