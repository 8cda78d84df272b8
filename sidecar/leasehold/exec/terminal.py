"""leasehold exec's own end of the terminal and the standard streams."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

STOPPED_BY_TERMINAL: Final = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_STREAMS: Final = 3


def hold_standard_streams() -> None:
    """Have something in the place of each closed standard stream, or our next file or pipe would take the number.

    The command does not inherit it: it finds closed what we found closed.
    """
    for number in range(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends


class Terminal:
    """The controlling terminal of this process, if it has one."""

    def __init__(self) -> None:
        try:
            self._descriptor: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            self._descriptor = None
        self._was_foreground = False

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return self._descriptor is not None

    def begin(self) -> None:
        """The command starts: from now on, the terminal must not stop us, because the lease would run out."""
        for number in STOPPED_BY_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        self._was_foreground = self._foreground() == os.getpgrp()

    def take_back(self) -> None:
        """Return to the foreground if a killed command left the terminal to a group of its own, such as a shell's."""
        if self._descriptor is None or not self._was_foreground or self._foreground() == os.getpgrp():
            return
        try:
            os.tcsetpgrp(self._descriptor, os.getpgrp())
        except OSError:
            return  # the terminal is gone

    def _foreground(self) -> int | None:
        try:
            return None if self._descriptor is None else os.tcgetpgrp(self._descriptor)
        except OSError:
            return None
