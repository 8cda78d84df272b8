"""Leasehold's end of the pipes to the guardian (see `guardian.py`), and the sweep in case the guardian dies.

Used on one event loop, in a process that starts nothing else. Children that it had before, as after a shell's
`helper & exec leasehold exec …`, are left alone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from leasehold.exec import kill_tree, process_tree
from leasehold.exec.guardian import RETRY_KILL_SECONDS

_log = logging.getLogger("leasehold.guardian_link")

START_SECONDS: Final = 30.0
"""For the guardian to start, even on a busy machine."""


_TURN_SECONDS: Final = 0.001
_GUARDIAN_DIES_TURNS: Final = 50
"""For a killed guardian to be gone: the kernel may hold it up, and its command must not run on for that."""


class GuardianError(Exception):
    """The guardian could not be started; the text says why."""


class GuardianLink:
    """A guardian process and what it has reported. `changed` is called after each report and when it ends."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.code: int | None = None
        """The command's own exit code, -n for signal n, once it has ended."""
        self.left = 0
        """How many processes it left behind."""
        self.failure = ""
        """Why the command could not be started."""
        self.stopping = ""
        """Why the guardian is stopping the tree."""
        self.gone = False
        """Nothing of the tree is left."""
        self.dead = False
        """The guardian ended before it could say that."""
        self._changed = changed
        self._pid = 0
        self._begun = False
        self._ended = False
        self._spared = frozenset(process_tree.children(os.getpid()))
        self._buffer = b""
        self._ready: asyncio.Future[None] | None = None
        self._control = self._report = -1

    async def start(
        self, command: Sequence[str], environ: Mapping[str, str], margin: float, *, shared: bool, mask: Iterable[int]
    ) -> None:
        """Start the guardian and wait until it is ready. Raises GuardianError.

        With `shared`, the command will be in our process group. `mask` are the signals that are blocked in it.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        theirs_in, self._control = os.pipe2(os.O_CLOEXEC)
        self._report, theirs_out = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._control, False)
        os.set_blocking(self._report, False)
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        loop.add_reader(self._report, self._read)
        words = [str(theirs_in), str(theirs_out), repr(margin), str(int(shared)), *command]
        try:
            self._pid = _spawn(words, environ, (theirs_in, theirs_out), mask)
        except OSError as error:
            raise GuardianError(f"the guardian process could not be started: {error.strerror}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        try:
            await asyncio.wait_for(self._ready, START_SECONDS)
        except TimeoutError:
            raise GuardianError(f"the guardian process did not start within {START_SECONDS:g} seconds") from None

    # --- to the guardian ------------------------------------------------------------------------------------

    def deadline(self, deadline: float) -> None:
        """Pass a confirmed lease deadline on."""
        self._tell(f"deadline {deadline!r}")

    def begin(self, token: int, key: str, grace: float, *, wait_for_all: bool) -> None:
        """Have the command started, under this fencing token of this key in etcd.

        `grace` is in seconds, between TERM and KILL. With `wait_for_all`, what it leaves behind is not stopped.
        """
        self._begun = True
        self._tell(f"grace {grace!r}")
        if wait_for_all:
            self._tell("wait-for-all")
        self._tell(f"start {token} {key}")

    def signal(self, number: int) -> None:
        """Pass a signal on to the command."""
        self._tell(f"signal {number}")

    def stop(self) -> None:
        """Have the tree stopped: TERM now, KILL after the grace or before the deadline."""
        self._tell("stop")

    def _tell(self, line: str) -> None:
        try:
            os.write(self._control, line.encode() + b"\n")
        except BlockingIOError:
            return  # it has read nothing for thousands of lines, so it is frozen; an earlier deadline is no danger
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EBADF):
                raise

    # --- from it --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            data = os.read(self._report, 65536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._report)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))
        self.reap()
        self._changed()

    def _take(self, line: str) -> None:
        word, _, value = line.partition(" ")
        if word == "ready" and self._ready and not self._ready.done():
            self._ready.set_result(None)
        elif word == "ended":
            self.code = int(value)
        elif word == "left":
            self.left = int(value)
        elif word == "failed":
            self.failure = value.partition(" ")[2]
        elif word == "stopping":
            self.stopping = value
        elif word == "gone":
            self.gone = True
        elif word == "bug":
            _log.error("the guardian failed: %s", value)

    def reap(self) -> None:
        """Collect children that have ended: the guardian, and orphans that came to us."""
        process_tree.reap(self._collected)

    def _collected(self, pid: int, status: int) -> None:
        if os.WIFSTOPPED(status):
            return
        self._spared -= {pid}
        if pid != self._pid:
            return
        self._ended = True
        self._read_rest()
        self.dead = not self.gone
        if self._ready and not self._ready.done():
            self._ready.set_exception(GuardianError("the guardian process ended at its start"))
        self._changed()

    def _read_rest(self) -> None:
        """What the guardian wrote before it ended counts."""
        try:
            data = os.read(self._report, 65536)
        except (BlockingIOError, OSError):
            return
        for line in (self._buffer + data).split(b"\n"):
            self._take(line.decode(errors="replace"))
        self._buffer = b""

    async def sweep(self) -> None:
        """Kill all that is left below this process, the guardian first, until nothing is."""
        await self._kill_guardian()
        complained = False
        while self._is_anyone_left():
            if not self._kill() and not complained:
                complained = True
                _log.error("some processes of the command run as another user and cannot be stopped")
            await asyncio.sleep(RETRY_KILL_SECONDS)
        self._read_rest()
        self.gone = True

    async def _kill_guardian(self) -> None:
        """End it, and reap what comes to us then.

        One that is frozen has reaped nothing for a long time: a tree that forks on and on has left it thousands of dead
        processes, and each walk would read every one of them before it has stopped the living.
        """
        if not self._guardian_runs():
            return
        os.kill(self._pid, signal.SIGKILL)
        for _ in range(_GUARDIAN_DIES_TURNS):
            await asyncio.sleep(_TURN_SECONDS)
            self.reap()
            if not self._guardian_runs():
                return

    def _guardian_runs(self) -> bool:
        return self._pid != 0 and not self._ended

    def _is_anyone_left(self) -> bool:
        self.reap()
        return not self._spared.issuperset(process_tree.children(os.getpid()))

    def _kill(self) -> bool:
        try:
            return kill_tree.kill(spared=self._spared)
        except OSError:  # out of memory or files, perhaps: there is nothing else to do but to try again
            return True

    async def close(self) -> None:
        """Be done with the guardian: nothing of a command that it started is left afterwards."""
        loop = asyncio.get_running_loop()
        if self._begun and not self.gone:
            await self.sweep()
        while self._guardian_runs():
            await self._kill_guardian()
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        loop.remove_signal_handler(signal.SIGCHLD)
        if self._report >= 0:
            loop.remove_reader(self._report)
            os.close(self._report)
            self._report = -1


def _spawn(words: Sequence[str], environ: Mapping[str, str], kept: Sequence[int], mask: Iterable[int] = ()) -> int:
    """Start the guardian with nothing but the standard library and this package; it keeps these descriptors.

    Like a shell's `exec`, this leaves other descriptors that leasehold was given open for the command.
    """
    package = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.path.insert(0, {package!r}); from leasehold.exec.guardian_process import main; main()"
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    return os.posix_spawn(
        sys.executable,
        [sys.executable, *["-O"] * sys.flags.optimize, "-I", "-S", "-c", code, *words],
        dict(environ),
        setsigmask=mask,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
