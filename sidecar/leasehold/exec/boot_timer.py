"""A timer on CLOCK_BOOTTIME for poll: after a suspend it fires at once, unlike poll's own timeout.

The standard library has this from Python 3.13 on.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_CLOCK_BOOTTIME: Final = 7
_TFD_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME: Final = 1


class _TimerSpec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


_libc = ctypes.CDLL(None, use_errno=True)


def create() -> int | None:
    """The descriptor of a timer that is not armed yet; None if the kernel has none on this clock."""
    descriptor = int(_libc.timerfd_create(_CLOCK_BOOTTIME, _TFD_FLAGS))
    return descriptor if descriptor >= 0 else None


def arm(timer: int, until: float) -> None:
    """Make the timer readable at this instant of `leasehold.base.clock`, at once if it has passed."""
    seconds, fraction = divmod(max(until, 0.001), 1)
    spec = _TimerSpec(0, 0, int(seconds), int(fraction * 1e9))
    _libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None)
