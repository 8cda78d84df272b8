"""A real guardian process at the end of pipes that a test writes and reads."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from leasehold.base.clock import now as clock
from leasehold.exec import guardian_link
from tests.servers import wait_for
from tests.support.unkillable_tree import beats

FAMILY = str(Path(__file__).parent.parent / "support" / "unkillable_tree.py")
Family = Callable[..., tuple[list[str], Path]]
MARGIN = 0.5
LEASE = 3.0
"""Seconds of a lease that a test waits out; renewed until all is as the test needs it, however long that takes."""
PATIENCE = 600.0


class ByHand:
    """A real guardian process at the end of pipes that the test writes and reads."""

    def __init__(self, command: Sequence[str]) -> None:
        theirs_in, self.control = os.pipe2(os.O_CLOEXEC)
        self.report, theirs_out = os.pipe2(os.O_CLOEXEC)
        words = [str(theirs_in), str(theirs_out), str(MARGIN), "0", *command]
        self.pid = guardian_link._spawn(words, os.environ, (theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        self.lines: list[str] = []
        self._buffer = b""
        self._reaped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if not self._reaped:
            os.kill(self.pid, signal.SIGCONT)
            self.wait()  # whatever it still guards goes with it
        os.close(self.report)

    def tell(self, *lines: str) -> None:
        os.write(self.control, "".join(line + "\n" for line in lines).encode())

    def begin(self, lease: float, grace: float = 0.2) -> float:
        """Start the command under a lease of so many seconds; returns its deadline."""
        deadline = clock() + lease
        self.tell(f"deadline {deadline!r}", f"grace {grace!r}", "start 42 /queue/1f")
        return deadline

    def renew(self, until: Callable[[], object], lease: float = LEASE) -> float:
        """Renew the lease, time and again, until a condition holds; returns the last deadline."""
        deadline = 0.0

        def renewed() -> bool:
            nonlocal deadline
            deadline = clock() + lease
            self.tell(f"deadline {deadline!r}")
            assert not self.heard("stopping")
            return bool(until())

        wait_for(renewed, "what the lease is renewed for", PATIENCE)
        return deadline

    def heard(self, word: str) -> bool:
        """Whether the guardian has reported a line that starts so, after reading what is there."""
        while select.select([self.report], [], [], 0)[0] and (data := os.read(self.report, 65536)):
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            self.lines += [line.decode() for line in lines]
        return any(line.split(" ")[0] == word for line in self.lines)

    def hear(self, word: str) -> str:
        wait_for(lambda: self.heard(word), f"the guardian says {word!r}", PATIENCE)
        return next(line for line in self.lines if line.split(" ")[0] == word)

    def wait(self) -> int:
        """Its exit code. One that does not end is killed, and fails the test."""
        try:
            wait_for(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "it ends", PATIENCE)
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(self.pid, 0)
            self._reaped = True
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """As when leasehold dies: the kernel closes its end."""
        if self.control >= 0:
            os.close(self.control)
            self.control = -1


def up(file: Path, *members: str) -> Callable[[], bool]:
    return lambda: {"main", *members} <= {beat.member for beat in beats(file)}


def last(file: Path) -> float:
    """When any of the family last ran, as far as it could write it down."""
    return max((beat.at for beat in beats(file)), default=0.0)
