"""Stops a command's whole process tree before the lease deadline: the guardian of `leasehold exec`.

A process of its own, because leasehold itself may be frozen or killed at any instant. It is told every confirmed
deadline through a pipe and needs nothing else: no etcd, no network, no event loop. When no later deadline arrives in
time, it sends TERM at `deadline - grace - margin` and KILL at `deadline - margin`; when the pipe closes, because
leasehold has died, TERM at once. It is the subreaper of the tree (see `process_tree.py`), and ends when nothing of the
tree is left. Should the guardian itself be killed, the kernel kills the command, and leasehold, which is a subreaper
too, the rest.

Its limits: if both are killed or frozen in the same instant, if the machine stands still, or if the command keeps the
guardian from the processor for longer than the margin (a hundred busy processes under a small CPU limit can), the
command may run on past the deadline: then only the fencing token helps. What a command has others start for it, such
as containers, is not its descendant, and what runs as another user is not the guardian's to signal.

Lines from leasehold: `deadline SECONDS`, `grace SECONDS`, `start TOKEN`, `signal NUMBER`, `stop`.
Lines to it: `ready`, `ended CODE` (the command's own exit code, 128 + n for signal n), `stopping WHY`,
`failed CODE TEXT` (the command could not be started), `gone` (nothing of the tree is left), `bug TRACEBACK`.

It must stay quick to start and small: nothing but a few modules of the standard library.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from typing import Final

from leasehold.clock import now as clock
from leasehold.exec import boot_timer, kill_tree, process_tree
from leasehold.exec.stop_schedule import LEASE_ENDS, LEASEHOLD_GONE, URGENT, StopSchedule

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
RETRY_KILL: Final = 0.01
"""Seconds between two looks for what is left of a killed tree."""

# Not to be caught: KILL and STOP; to be left alone: those that tell of a fault of this very process, and CHLD.
KEPT: Final = frozenset(
    getattr(signal, f"SIG{name}")
    for name in ("KILL", "STOP", "CHLD", "SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS")
)


class Guardian:
    """The loop around the plan: the pipe, the children and the clock in, signals out."""

    def __init__(self, command: list[str], control: int, report: int, margin: float, terminal: bool) -> None:
        self._command = command
        self._control = control
        self._report = report
        self._terminal = terminal
        self._plan = StopSchedule(margin)
        self._buffer = b""
        self._child: int | None = None
        self._child_ended = False
        self._early: list[int] = []
        """Signals that came after the order to start, before the start."""
        self._token = ""
        self._orphaned = False
        self._finished = False
        self._ignored = {number for number in _signals() if signal.getsignal(number) == signal.SIG_IGN}
        self._timer = boot_timer.create()
        self._waked, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def run(self) -> None:
        """Guard until nothing is left to guard."""
        for number in _signals():  # whoever stops the whole container or session leaves the stopping to us
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._tell("ready")
        while not self._finished:
            self._wait()
            now = clock()  # before the pipe is read: a deadline that was in it by now counts
            self._read()
            self._act(now)

    # --- what to do -----------------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        plan = self._plan
        if self._child is None:
            self._before_start(now)
            return
        children_left = process_tree.reap(self._ended)
        if not children_left:
            self._finish("gone")
            return
        if now >= plan.term_at:
            self._stop(LEASE_ENDS, now)
        if plan.why and now >= plan.kill_at:
            kill_tree.kill(self._group())

    def _before_start(self, now: float) -> None:
        if self._plan.why:
            self._finish("gone")
        elif self._token and now < self._plan.term_at:
            self._start()
        elif self._token:
            self._stop(LEASE_ENDS, now)
            self._finish("gone")

    def _stop(self, why: str, now: float) -> None:
        """Send TERM to all of the tree, once: what it starts for its own clean-up is left to work."""
        if not self._plan.stop(why, now):
            return
        self._tell(f"stopping {why}")
        # A tree that fills the machine slows us down too: KILL must not wait for the last TERM.
        kill_tree.terminate(self._group(), lambda: clock() < self._plan.kill_at, urgent=why in URGENT)

    def _group(self) -> int | None:
        """The command's process group, as long as its number is sure to be its own: until its leader is reaped."""
        return None if self._child_ended else self._child

    def _ended(self, pid: int, status: int) -> None:
        if pid != self._child:
            return
        if os.WIFSTOPPED(status):
            # Ctrl-Z would let the lease run out under a command that can do nothing about it.
            if self._terminal and os.WSTOPSIG(status) == signal.SIGTSTP:
                os.killpg(pid, signal.SIGCONT)
            return
        self._child_ended = True
        self._tell(f"ended {exit_code(status)}")
        self._stop("the command has ended", clock())

    def _finish(self, line: str) -> None:
        self._tell(line)
        self._finished = True

    # --- the command ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        guardian = os.getpid()
        # Blocked, a signal waits until the command can die of it; ours are ignored, and so would be the child's.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._child = os.fork()
        except OSError as error:  # no more processes allowed, or no memory
            self._tell(f"failed {NOT_EXECUTABLE} {error.strerror}")
            self._tell(f"ended {NOT_EXECUTABLE}")
            self._finish("gone")
            return
        if self._child == 0:
            self._become_command(guardian, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in self._early:
            self._pass_on(number)

    def _become_command(self, guardian: int, mask: Iterable[int]) -> None:
        """In the child: the command's process group, terminal, signals and environment. Never returns."""
        code = NOT_EXECUTABLE
        try:
            process_tree.die_with_parent(guardian)
            if self._terminal:
                os.setpgid(0, 0)
                os.tcsetpgrp(0, os.getpid())  # SIGTTOU is ignored yet: else this would stop us
            else:
                os.setsid()  # Linux may share the processor out by sessions: the guardian's part is its own then
            for number in _signals() - self._ignored | {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD}:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvpe(self._command[0], self._command, {**os.environ, "LEASEHOLD_TOKEN": self._token})
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            self._tell(f"failed {code} {error.strerror}")
        finally:
            os._exit(code)

    # --- the pipes ------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Take everything that leasehold has written; the end of it means that leasehold has died."""
        while not self._orphaned:
            try:
                data = os.read(self._control, 65536)
            except BlockingIOError:
                return
            if not data:
                self._orphaned = True
                self._stop(LEASEHOLD_GONE, clock())
                return
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._obey(line.decode())

    def _obey(self, line: str) -> None:
        word, _, value = line.partition(" ")
        if word == "deadline":
            self._plan.extend(float(value))
        elif word == "grace":
            self._plan.grace = float(value)
        elif word == "start":
            self._token = value
        elif word == "signal":
            self._pass_on(int(value))
        elif word == "stop":
            self._stop("leadership has ended", clock())

    def _pass_on(self, number: int) -> None:
        if self._child is None:
            self._early.append(number)
        elif not self._child_ended:  # nobody else reaps it: the id is still its own
            try:
                os.kill(self._child, number)
            except PermissionError:
                return  # it has taken other credentials

    def _tell(self, line: str) -> None:
        try:
            os.write(self._report, line.encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            return  # nobody listens any more, or has for thousands of lines; the work is the same

    def _wait(self) -> None:
        """Sleep until the pipe, a child or the clock has something for us."""
        until = self._next()
        timeout = None if until is None else max(0.0, until - clock()) * 1000
        watched = select.poll()
        if not self._orphaned:  # a closed pipe is always readable
            watched.register(self._control, select.POLLIN)
        watched.register(self._waked, select.POLLIN)
        if self._timer is not None and until is not None:
            # poll's own clock stands still while the machine is suspended; this one wakes us at once after it.
            boot_timer.arm(self._timer, until)
            watched.register(self._timer, select.POLLIN)
        watched.poll(timeout)
        try:
            os.read(self._waked, 4096)
        except BlockingIOError:
            return

    def _next(self) -> float | None:
        """The next instant at which the clock alone gives us something to do."""
        plan = self._plan
        if self._child is None:
            return None
        if not plan.why:
            return plan.term_at
        return max(plan.kill_at, clock() + RETRY_KILL)


def exit_code(status: int) -> int:
    """A wait status as a shell shows it: the exit code, or 128 + n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _signals() -> set[int]:
    return {int(number) for number in signal.valid_signals()} - KEPT


def main() -> None:
    """Started by exec.py as `CONTROL REPORT MARGIN TERMINAL CMD…`: two descriptors, seconds, 0 or 1."""
    control, report, margin, terminal, *command = sys.argv[1:]
    process_tree.set_name("lh-guard")  # not "leasehold…": `pkill -9 leasehold` must not kill both of us at once
    process_tree.become_subreaper()
    for descriptor in (int(control), int(report)):
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, False)
    if terminal == "1":
        os.setpgid(0, 0)  # the session, and with it the terminal, is still ours to give to the command
    else:
        os.setsid()
    try:
        Guardian(command, int(control), int(report), float(margin), terminal == "1").run()
    except BaseException:  # whatever it is, the tree must not outlive it
        _kill_all()
        _report_bug(int(report))
        sys.exit(1)


def _report_bug(report: int) -> None:
    """Let leasehold log it. Our standard error may be a pipe that nobody reads: then we would never end."""
    import traceback  # not before it is needed: this process must stay small

    try:
        os.write(report, f"bug {traceback.format_exc()!r}\n".encode())
    except OSError:  # nobody listens any more
        return


def _kill_all() -> None:
    while process_tree.reap(lambda pid, status: None):
        try:
            kill_tree.kill()
        except OSError:  # out of memory or files, perhaps: there is nothing else to do but to try again
            time.sleep(RETRY_KILL)
