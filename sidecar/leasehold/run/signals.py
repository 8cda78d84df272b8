"""Signals on the event loop, each in the turn of the loop that it begins.

asyncio's own handlers run one turn later, which a successor waits for. And asyncio asks `inspect` whether they are
coroutine functions, by which that is loaded: 1.4 MiB of anonymous memory, paid once per pod.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType


class Signals:
    """Calls functions when signals come, until the process ends. To be made once, on the loop of the main thread.

    The interpreter writes the number of each signal that has a handler to a pipe, which the loop reads.
    """

    def __init__(self) -> None:
        self._actions: dict[int, Callable[[], object]] = {}
        self._end, self._pipe = os.pipe()
        os.set_blocking(self._end, False)
        os.set_blocking(self._pipe, False)
        # A full pipe holds 65,536 signals that were not acted on; one more adds nothing to them.
        signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        asyncio.get_running_loop().add_reader(self._end, self._read)

    def on(self, number: int, action: Callable[[], object]) -> None:
        """Call `action` when this signal comes. Several that come at once may be one."""
        self._actions[number] = action
        signal.signal(number, _nothing)
        signal.siginterrupt(number, False)  # system calls of libraries go on

    def _read(self) -> None:
        for number in sorted(set(os.read(self._end, 65_536))):
            if number in self._actions:
                self._actions[number]()


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler for the interpreter: only signals with one are written to the pipe."""
