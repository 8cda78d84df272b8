"""The one clock of the election: monotonic, and running while the machine sleeps."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux CLOCK_MONOTONIC stands still while the machine is suspended, and a lease does not."""


def now() -> float:
    """Seconds since some fixed instant of this machine's life; never wall-clock time."""
    return time.clock_gettime(_CLOCK)
