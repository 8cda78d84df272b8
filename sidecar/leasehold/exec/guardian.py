"""Stops a command's whole process tree before the lease deadline: the guardian of `leasehold exec`.

It is a separate process because leasehold itself may be frozen or killed at any time. It receives each confirmed
deadline through a pipe and needs nothing else: no etcd, no network, no event loop. If no later deadline arrives in
time, it sends TERM at `deadline - grace - margin` and KILL at `deadline - margin`; if the pipe closes because leasehold
has died, it sends TERM at once. It is the subreaper of the tree (see `process_tree.py`), and ends when no process of
the tree is left. If the guardian itself is killed, the kernel kills the command, and leasehold, which is a subreaper
too, kills the rest.

Its limits: the command may run past the deadline if both processes are killed or frozen at the same time, if the
machine stands still, or if the command keeps the guardian off the processor for longer than the margin (a hundred busy
processes under a small CPU limit can). Then only the fencing token helps. Programs that the command has others start,
such as containers, are not its descendants; the guardian may not signal processes of another user.

Lines from leasehold: `deadline SECONDS`, `grace SECONDS`, `wait-for-all`, `start TOKEN KEY`, `signal NUMBER`, `stop`.
Lines to it: `ready`, `ended CODE` (the command's own exit code, -n for signal n), `left COUNT` (processes that it left
behind), `stopping WHY`, `failed CODE TEXT` (the command could not be started), `gone` (no process of the tree is left),
`bug TRACEBACK`.

It must start quickly and stay small: it imports only a few modules of the standard library.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from typing import Final

from leasehold.base.clock import now as clock
from leasehold.exec import boot_timer, kill_tree, process_tree
from leasehold.exec.job_control import JobControl
from leasehold.exec.stop_schedule import COMMAND_ENDED, LEASE_ENDS, LEASEHOLD_GONE, URGENT, StopSchedule

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
RETRY_KILL_SECONDS: Final = 0.01
"""Between two searches for survivors of a killed tree."""

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Signals that ask a program to end."""

# KILL and STOP cannot be caught. The others are CHLD, and signals that report a fault of this process itself.
KEPT: Final = frozenset(
    getattr(signal, f"SIG{name}")
    for name in ("KILL", "STOP", "CHLD", "SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS")
)


class Guardian:
    """The loop around the schedule: input from the pipe, the children and the clock; output in signals."""

    def __init__(self, command: list[str], control: int, report: int, margin: float, jobs: JobControl) -> None:
        self._command = command
        self._control = control
        self._report = report
        self._jobs = jobs
        self._schedule = StopSchedule(margin)
        self._buffer = b""
        self._child: int | None = None
        self._child_ended = False
        self._early_signals: list[int] = []
        """Signals that arrived before the command was started; it gets them after that."""
        self._term: dict[str, str] = {}
        """What the command's environment says of its term; empty before the order to start it."""
        self._wait_for_all = False
        self._orphaned = False
        self._finished = False
        self._ignored = {number for number in _signals() if signal.getsignal(number) == signal.SIG_IGN}
        self._timer = boot_timer.create()
        self._woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def run(self) -> None:
        """Run until no process of the tree is left."""
        for number in _signals():  # a signal to the whole container or session must not end us: we do the stopping
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._send("ready")
        while not self._finished:
            self._wait()
            now = clock()  # read before the pipe: a deadline that had arrived by then counts
            self._read()
            self._act(now)

    # --- what to do -----------------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        schedule = self._schedule
        if self._child is None:
            self._before_start(now)
            return
        children_left = process_tree.reap(self._ended)
        if not children_left:
            self._finish("gone")
            return
        self._jobs.check()
        if now >= schedule.term_at:
            self._stop(LEASE_ENDS, now)
        if schedule.why and now >= schedule.kill_at:
            kill_tree.kill(self._group())

    def _before_start(self, now: float) -> None:
        if self._schedule.why:
            self._finish("gone")
        elif self._term and now < self._schedule.term_at:
            self._start()
        elif self._term:
            self._stop(LEASE_ENDS, now)
            self._finish("gone")

    def _stop(self, why: str, now: float) -> None:
        """Send TERM to the whole tree, once: processes that it starts for its clean-up are left alone."""
        if not self._schedule.stop(why, now):
            return
        self._send(f"stopping {why}")
        # A tree that fills the machine slows us down as well: KILL must not wait for the last TERM.
        kill_tree.terminate(self._group(), lambda: clock() < self._schedule.kill_at, urgent=why in URGENT)

    def _group(self) -> int | None:
        """The command's own process group, until its leader is reaped: after that, the number may be another's."""
        return None if self._child_ended or self._jobs.shared else self._child

    def _ended(self, pid: int, status: int) -> None:
        if pid != self._child:
            return
        if os.WIFSTOPPED(status):
            self._jobs.stopped(os.WSTOPSIG(status))
            return
        self._child_ended = True
        self._send(f"ended {os.waitstatus_to_exitcode(status)}")
        if self._schedule.why:
            return  # the others have had their TERM, too
        left = len(process_tree.descendants(os.getpid()))
        if left:
            self._send(f"left {left}")
        if not self._wait_for_all:
            self._stop(COMMAND_ENDED, clock())

    def _finish(self, line: str) -> None:
        self._send(line)
        self._finished = True

    # --- the command ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        guardian = os.getpid()
        # A blocked signal waits until the child has the command's handlers; until then it would be ignored, as in us.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._child = os.fork()
        except OSError as error:  # no more processes allowed, or no memory
            self._send(f"failed {NOT_EXECUTABLE} {error.strerror}")
            self._send(f"ended {NOT_EXECUTABLE}")
            self._finish("gone")
            return
        if self._child == 0:
            self._become_command(guardian, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in self._early_signals:
            self._pass_on(number)

    def _become_command(self, guardian: int, mask: Iterable[int]) -> None:
        """In the child: set up the command's process group, signals and environment. Never returns."""
        code = NOT_EXECUTABLE
        try:
            process_tree.die_with_parent(guardian)
            self._jobs.enter()
            for number in _signals() - self._ignored | {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD}:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvpe(self._command[0], self._command, {**os.environ, **self._term})
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            self._send(f"failed {code} {error.strerror}")
        finally:
            os._exit(code)

    # --- the pipes ------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read everything that leasehold has written; the end of the pipe means that leasehold has died."""
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
                self._handle(line.decode())

    def _handle(self, line: str) -> None:
        word, _, value = line.partition(" ")
        if word == "deadline":
            self._schedule.extend(float(value))
        elif word == "grace":
            self._schedule.grace = float(value)
        elif word == "start":
            self._term = dict(zip(("LEASEHOLD_TOKEN", "LEASEHOLD_KEY"), value.split(" "), strict=False))
        elif word == "wait-for-all":
            self._wait_for_all = True
        elif word == "signal":
            self._pass_on(int(value))
        elif word == "stop":
            self._stop("leadership has ended", clock())

    def _pass_on(self, number: int) -> None:
        if self._child is None:
            self._early_signals.append(number)
            return
        if not self._child_ended:
            try:
                os.kill(self._child, number)  # only we reap it, so the id is still its own
                if number in ENDING:
                    os.kill(self._child, signal.SIGCONT)  # a stopped process would not see the signal before that
            except PermissionError:
                return  # it has changed its credentials
        # Looked at afterwards: a signal to a process that has just ended is lost without an error.
        if number in ENDING and self._ended_otherwise(number):
            self._stop(COMMAND_ENDED, clock())  # only processes that it left behind still run

    def _ended_otherwise(self, number: int) -> bool:
        """Whether the command has ended, reaped or not, and not by this signal."""
        if self._child_ended or self._child is None:
            return self._child_ended
        status = os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return status is not None and not (status.si_code == os.CLD_KILLED and status.si_status == number)

    def _send(self, line: str) -> None:
        try:
            os.write(self._report, line.encode() + b"\n")
        except (BrokenPipeError, BlockingIOError):
            return  # leasehold is gone, or has read nothing for thousands of lines; the work goes on

    def _wait(self) -> None:
        """Sleep until the pipe, a child or the clock needs attention."""
        until = self._next()
        timeout = None if until is None else max(0.0, until - clock()) * 1000
        watched = select.poll()
        if not self._orphaned:  # a closed pipe is always readable
            watched.register(self._control, select.POLLIN)
        watched.register(self._woken, select.POLLIN)
        if self._timer is not None and until is not None:
            # poll's own clock stops while the machine is suspended; this timer fires right after it.
            boot_timer.arm(self._timer, until)
            watched.register(self._timer, select.POLLIN)
        watched.poll(timeout)
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            return

    def _next(self) -> float | None:
        """The next time at which the clock alone requires something; None if there is none."""
        schedule = self._schedule
        if self._child is None:
            return None
        if not schedule.why:
            return min(schedule.term_at, self._jobs.check_at(clock()))
        return max(schedule.kill_at, clock() + RETRY_KILL_SECONDS)


def _signals() -> set[int]:
    return {int(number) for number in signal.valid_signals()} - KEPT
