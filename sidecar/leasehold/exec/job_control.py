"""The guardian and its command on a terminal, as one job of the shell; without a terminal, in sessions of their own.

On a terminal, the command stays in leasehold's process group, as under `flock` and `timeout --foreground`. So the
shell's `fg` and `bg` move it, Ctrl-C and Ctrl-\\ reach it and the rest of its pipeline from the terminal, and a pager
that reads its output can read its keys, too. The guardian has a group of its own there, so that none of this reaches
it.

leasehold itself cannot stop while its command runs: it has a lease to renew. So the shell takes the job for a running
one, and does not continue a command that the terminal has stopped. The guardian does.
"""

from __future__ import annotations

import math
import os
import signal
from typing import Final

_CHECK_SECONDS: Final = 0.1
"""Between two looks at whether the job is in the foreground again."""


class JobControl:
    """`shared` is the process group that the command joins; None if leasehold has no terminal."""

    def __init__(self, shared: int | None) -> None:
        self.shared = shared
        self._terminal = -1
        self._waits_for_terminal = False

    def stand_apart(self) -> None:
        """Put the guardian where no signal from the terminal reaches it."""
        if self.shared is None:
            os.setsid()
        else:
            os.setpgid(0, 0)  # of the same session: the command can join a group of its own session only

    def enter(self) -> None:
        """In the command, before it is executed: join the job, or begin a session."""
        if self.shared is None:
            os.setsid()  # Linux may schedule by session: in its own session, the guardian gets its own share
            return
        try:
            os.setpgid(0, self.shared)
        except PermissionError:  # leasehold and the rest of its group have ended
            os.setpgid(0, 0)

    def stopped(self, number: int) -> None:
        """The command was stopped by this signal.

        Ctrl-Z would let the lease run out under a command that can do nothing about it, so it is continued. A command
        that used the terminal from the background waits until it is in the foreground.
        """
        if self.shared is None:
            return
        if number == signal.SIGTSTP:
            self._continue()
        elif number in (signal.SIGTTIN, signal.SIGTTOU):
            self._waits_for_terminal = True

    def check(self) -> None:
        """Continue a command that waits for the foreground and is there."""
        if self._waits_for_terminal and self._is_foreground():
            self._waits_for_terminal = False
            self._continue()

    def check_at(self, now: float) -> float:
        """When to check, in seconds of `leasehold.base.clock`."""
        return now + _CHECK_SECONDS if self._waits_for_terminal else math.inf

    def _continue(self) -> None:
        if self.shared is None:
            return
        try:
            os.killpg(self.shared, signal.SIGCONT)
        except (ProcessLookupError, PermissionError):
            return

    def _is_foreground(self) -> bool:
        try:
            if self._terminal < 0:
                self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            return os.tcgetpgrp(self._terminal) == self.shared
        except OSError:  # the terminal is gone: what reads from it is told so
            return True
