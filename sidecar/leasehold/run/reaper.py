"""Collects the dead that a container's first process inherits: what hooks left running, once it has ended.

A process whose parent is gone becomes a child of PID 1. If that never waits for it, it stays a zombie and keeps its
process id, of which a pod has few. Only for PID 1, and not beside anyone else who collects children they did not start.

Whoever started a child here waits for it at once, so what is dead at two looks, `PATIENCE` apart, is an orphan.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

PATIENCE: Final = 1.0
"""Seconds that a dead child's own parent has to collect it; what waits for it here needs one turn of the loop."""


class Reaper:
    """Looks when a child ends, and again until none is left; sleeps otherwise."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        self._seen: int | None = None

    def start(self) -> None:
        """Begin; it ends with the loop."""
        self._loop.add_signal_handler(signal.SIGCHLD, self._soon)

    def _soon(self) -> None:
        if self._next is None:
            self._next = self._loop.call_later(self._patience, self._look)

    def _look(self) -> None:
        self._next = None
        dead = _first_dead()
        while dead is not None and dead == self._seen:
            os.waitpid(dead, os.WNOHANG)
            dead = _first_dead()
        self._seen = dead
        if dead is not None:
            self._soon()


def _first_dead() -> int | None:
    """A child that has ended and was not collected; it stays so."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are no children at all
        return None
    return None if found is None else found.si_pid
