"""Reaps the orphans of a container's first process: processes that hooks left running, once they have ended.

A process whose parent is gone becomes a child of PID 1. If PID 1 never waits for it, it stays a zombie and keeps its
process id, of which a pod has few. Only for PID 1, and only if nothing else reaps children that it did not start.

All code here waits for its own children at once. So a child that is dead in two checks, `ORPHAN_AFTER_SECONDS` apart,
is an orphan.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

from leasehold.run.signals import Signals

ORPHAN_AFTER_SECONDS: Final = 1.0
"""Time for our own code to reap its dead child; it needs one turn of the loop."""


class Reaper:
    """Checks after a child has ended, and again until no dead child is left; sleeps otherwise."""

    def __init__(self, signals: Signals, delay: float = ORPHAN_AFTER_SECONDS) -> None:
        self._signals = signals
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        self._seen: int | None = None

    def start(self) -> None:
        """Start; it ends with the signals."""
        self._signals.on(signal.SIGCHLD, self._schedule)

    def _schedule(self) -> None:
        if self._next is None:
            self._next = self._loop.call_later(self._delay, self._reap)

    def _reap(self) -> None:
        self._next = None
        dead = _first_dead()
        while dead is not None and dead == self._seen:
            os.waitpid(dead, os.WNOHANG)
            dead = _first_dead()
        self._seen = dead
        if dead is not None:
            self._schedule()


def _first_dead() -> int | None:
    """A child that has ended and was not reaped. This does not reap it."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no children at all
        return None
    return None if found is None else found.si_pid
