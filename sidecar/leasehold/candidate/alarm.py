"""When the election wants to be called, on its own clock, which runs while the machine sleeps.

The event loop's clock stands still meanwhile. So where Python has the kernel's timers on the election's clock (3.13 and
later), one of them rings. Elsewhere the loop's timers are short, and each only looks at the clock: that is a fifth of
what an idle candidate costs, and to feed the election each second would be a third.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

from leasehold.base import clock as boot_clock

LONGEST_SLEEP_SECONDS: Final = 1.0
"""So long after the machine woke, at most, the clock is looked at."""
LONGEST_TIMER_SECONDS: Final = 5.0
"""The same with a timer of the kernel: it rings when the machine wakes, and a loop that runs is to be seen running."""
STUCK_SECONDS: Final = 2 * LONGEST_TIMER_SECONDS
"""A loop that has not looked at the clock for so long does not run."""


class _Timer(Protocol):
    """Calls a function each time that it was armed."""

    longest: float
    """Seconds for which it may be armed."""

    def arm(self, seconds: float) -> None:
        """Call after so many seconds, and not when it was to before."""

    def close(self) -> None:
        """Call no more."""


class Alarm:
    """One instant at which `ring` is called. To be used on the event loop."""

    def __init__(self, clock: Callable[[], float], ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due = math.inf
        self._timer: _Timer | None = None
        self.looked_at = clock()
        """When the clock was last looked at: a loop that runs does so every `LONGEST_TIMER_SECONDS`."""

    def set(self, due: float | None) -> None:
        """Ring at this instant of the clock, and not at any that was set before; None for never."""
        self._due = math.inf if due is None else due
        self._sleep()

    def cancel(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _sleep(self) -> None:
        if self._timer is None:
            of_kernel = _boot_timer(self._look) if self._clock is boot_clock.now else None
            self._timer = of_kernel or _LoopTimer(self._look)
        self._timer.arm(min(self._timer.longest, max(0.0, self._due - self._clock())))

    def _look(self) -> None:
        self.looked_at = self._clock()
        if self.looked_at < self._due:
            self._sleep()
        else:
            self._ring()


class _LoopTimer:
    def __init__(self, look: Callable[[], None]) -> None:
        self.longest = LONGEST_SLEEP_SECONDS
        self._look = look
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, seconds: float) -> None:
        self.close()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._look)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _boot_timer(look: Callable[[], None]) -> _Timer | None:
    """A timer of the kernel, on the clock that runs while the machine sleeps; None if there is none to be had."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        with contextlib.suppress(OSError):
            return _BootTimer(os.timerfd_create(time.CLOCK_BOOTTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC), look)
    return None


if sys.version_info >= (3, 13) and sys.platform == "linux":

    class _BootTimer:
        def __init__(self, descriptor: int, look: Callable[[], None]) -> None:
            self.longest = LONGEST_TIMER_SECONDS
            self._descriptor = descriptor
            self._look = look
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(descriptor, self._rung)

        def arm(self, seconds: float) -> None:
            # zero would disarm it, and what it has told of and nobody has read is void from here on
            os.timerfd_settime(self._descriptor, initial=max(seconds, 1e-6))

        def close(self) -> None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

        def _rung(self) -> None:
            try:
                os.read(self._descriptor, 8)
            except BlockingIOError:  # it was armed anew in this very turn
                return
            self._look()
