"""When the guardian of `leasehold exec` stops its command: TERM, then KILL, by the last deadline it was sent.

Pure: times are in seconds of `leasehold.base.clock`, and arguments.
"""

from __future__ import annotations

from typing import Final

COMMAND_ENDED: Final = "the command has ended"
LEASE_ENDS: Final = "the lease is about to end"
LEASEHOLD_GONE: Final = "leasehold is gone"
URGENT: Final = (LEASE_ENDS, LEASEHOLD_GONE)
"""Reasons to stop that leave only the rest of the lease; with all others, the lease is still renewed."""


RENEWAL_SHARE: Final = 6
"""The part of a TTL, half the time between two keep-alives, that a renewal may take after a command has started."""


def can_start(now: float, deadline: float, to_stop: float, ttl: float) -> bool:
    """Whether a command that starts now would outlast a late renewal; `to_stop` seconds are needed to stop it."""
    return now < deadline - to_stop - ttl / RENEWAL_SHARE


class StopSchedule:
    """When to send TERM and KILL. `why` is the reason for the stop, empty until there is one."""

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self.grace = 0.0
        self.deadline: float | None = None
        self.why = ""
        self._stopped_at = 0.0

    @property
    def term_at(self) -> float:
        """When to send TERM unless a later deadline arrives; at once before the first deadline."""
        return float("-inf") if self.deadline is None else self.deadline - self.grace - self.margin

    @property
    def kill_at(self) -> float:
        """When to send KILL after a stop: at the end of the grace, or before the lease ends."""
        last = float("-inf") if self.deadline is None else self.deadline - self.margin
        return min(last, self._stopped_at + self.grace)

    def extend(self, deadline: float) -> None:
        """Take a newly confirmed deadline; one that is not later changes nothing."""
        self.deadline = deadline if self.deadline is None else max(self.deadline, deadline)

    def stop(self, why: str, now: float) -> bool:
        """Begin to stop; returns False if that had begun before."""
        if self.why:
            return False
        self.why, self._stopped_at = why, now
        return True
