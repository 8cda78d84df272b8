"""`leasehold exec`: run a command only while leading.

This process stands for the lock, as `leasehold run` does. When it holds, its guardian (`guardian.py`) starts the
command, and stops its whole process tree before the lease deadline, also when this process is frozen or killed. The
lock is given up only when nothing of the tree is left; until then the lease is kept alive, however long that takes.

Exit codes: the command's own, 128 + n if signal n ended it; 75 when the command was stopped because leadership ended,
or could not be guarded any more; 126 or 127 when it cannot be run; 2 for settings; 128 + n for signal n while waiting.
Signals are passed on to the command. A terminal is lent to it; Ctrl-Z cannot suspend it, for the lease would run out.
An older term is never resumed: its command died with the process that held it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leasehold import logs
from leasehold.clock import now as clock
from leasehold.election.events import Stop, WorkStopped
from leasehold.election.snapshot import Snapshot
from leasehold.exec import process_tree
from leasehold.exec.guardian import KEPT, NOT_EXECUTABLE, NOT_FOUND
from leasehold.exec.guardian_link import GuardianError, GuardianLink
from leasehold.settings.config import KILL_MARGIN, ConfigError, ExecConfig, default_grace, exec_config, grace_mistake

if TYPE_CHECKING:
    from leasehold.run.app import RunningSidecar

_log = logging.getLogger("leasehold.supervisor")

USAGE_ERROR: Final = 2
LOST: Final = 75
"""EX_TEMPFAIL of sysexits.h: leadership ended, and with it the command; start again to stand for the lock anew."""
BACKSTOP: Final = KILL_MARGIN / 2
"""Seconds before the deadline at which this process kills the tree itself, should its guardian be frozen."""
LATE: Final = 1.0
"""Seconds after the grace that a guardian gets to report that a stopped tree is gone."""

_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_JOB_CONTROL: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT})
_PYTHONS: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold exec`. Raises ConfigError."""
    wanted = exec_config(arguments, environ)
    unusable = find_program(wanted.command[0], environ)
    if unusable:
        code, what = unusable
        sys.stderr.write(f"leasehold: {wanted.command[0]!r} {what}.\n")
        return code
    if not sys.platform.startswith("linux"):
        raise ConfigError(["leasehold exec needs Linux: elsewhere it cannot stop a whole process tree for certain."])
    if process_tree.read(os.getpid()) is None:
        raise ConfigError(["leasehold exec needs /proc: without it no process tree can be found; mount it."])
    logs.configure(wanted.sidecar.log)
    logs.warn(wanted.sidecar.warnings)
    return asyncio.run(_supervise(wanted, environ))


def find_program(name: str, environ: Mapping[str, str]) -> tuple[int, str] | None:
    """Why a program cannot be run, as exit code and words, if that can be told before it is tried."""
    path = environ.get("PATH", os.defpath)
    if shutil.which(name, path=path):
        return None
    places = [Path(name)] if "/" in name else [Path(part or ".") / name for part in path.split(os.pathsep)]
    if any(place.exists() for place in places):
        return NOT_EXECUTABLE, "cannot be run: it is a directory, or not executable for this user"
    return NOT_FOUND, "is not there: name a program on PATH, or its path"


async def _supervise(wanted: ExecConfig, environ: Mapping[str, str]) -> int:
    from leasehold.run import app  # aiohttp and gRPC: not before the settings are known to be good

    process_tree.become_subreaper()
    changed = asyncio.Event()
    guard = GuardianLink(changed.set)
    terminal = _has_terminal()
    lock, identity = str(wanted.sidecar.lock), wanted.sidecar.record.identity
    try:
        named = {**environ, "LEASEHOLD_LOCK": lock, "LEASEHOLD_IDENTITY": identity}
        await guard.start(wanted.command, named, KILL_MARGIN, terminal=terminal)
        if terminal:  # the command will be in the foreground: writing a log line from the background must not stop us
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        async with app.composed(wanted.sidecar, guarded=True) as parts:
            return await Execution(wanted, parts, guard, changed).run()
    except GuardianError as error:
        sys.stderr.write(f"leasehold: {error}.\n")
        return LOST
    finally:
        await guard.close()
        if terminal:
            _take_terminal_back()


class Execution:
    """One stay in the queue, and the command that runs once it leads."""

    def __init__(self, wanted: ExecConfig, parts: RunningSidecar, guard: GuardianLink, changed: asyncio.Event) -> None:
        self._wanted = wanted
        self._parts = parts
        self._guard = guard
        self._changed = changed
        self._token: int | None = None
        self._deadline = 0.0
        self._grace = 0.0
        self._stop_by: float | None = None
        self._code: int | None = None

    async def run(self) -> int:
        """Wait for the lock, see the command through, give the lock up; returns the exit code."""
        self._listen_to_signals()
        self._parts.board.listen(lambda before, after: self._changed.set())
        election = asyncio.create_task(self._parts.stopped(), name="exec waits for the election")
        try:
            while self._code is None:
                self._changed.clear()
                self._look(clock())
                await self._turn(election)
            self._parts.submit(Stop())
            self._parts.submit(WorkStopped())
            await election
        finally:
            election.cancel()
        return self._code

    # --- one look at everything -----------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        snapshot = self._parts.board.snapshot
        if self._token is None:
            if self._guard.dead:
                self._conclude()
            elif snapshot.is_holding(now):
                self._try_to_begin(snapshot, now)
            return
        if snapshot.token == self._token and snapshot.deadline is not None and snapshot.deadline > self._deadline:
            self._deadline = snapshot.deadline
            self._guard.deadline(snapshot.deadline)
        if not snapshot.is_holding(now) or snapshot.token != self._token:
            self._stop(now)
        if self._guard.gone:
            self._conclude()

    def _try_to_begin(self, snapshot: Snapshot, now: float) -> None:
        """Start the command, unless the lease is about to be renewed or lost: then after that."""
        assert snapshot.deadline is not None, "a holder has one"
        ttl, drift = self._parts.runner.election.ttl, self._wanted.sidecar.max_drift
        impossible = grace_mistake(self._wanted.grace, ttl, drift)
        if impossible:  # only joining has told the lock's own TTL
            sys.stderr.write(f"leasehold: {self._wanted.sidecar.mistake(*impossible)}\n")
            self._code = USAGE_ERROR
            return
        grace = default_grace(ttl, drift) if self._wanted.grace is None else self._wanted.grace
        if now < snapshot.deadline - grace - KILL_MARGIN:
            self._token, self._deadline, self._grace = snapshot.token, snapshot.deadline, grace
            self._guard.deadline(snapshot.deadline)
            self._guard.begin(snapshot.token or 0, grace)

    def _stop(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + self._grace + LATE
            self._guard.stop()

    def _conclude(self) -> None:
        """Nothing of the tree is left: what becomes of the exit code."""
        guard = self._guard
        if guard.failure:
            sys.stderr.write(f"leasehold: {self._wanted.command[0]!r} cannot be run: {guard.failure}.\n")
        if guard.code is not None and guard.stopping in ("", "the command has ended"):
            self._code = guard.code
            return
        self._code = LOST
        why = guard.stopping or "its guardian was killed"
        _log.error("the command was stopped: %s", why)

    # --- waiting --------------------------------------------------------------------------------------------

    async def _turn(self, election: asyncio.Task[None]) -> None:
        """Wait until something has changed; sweep when the guardian has died, or is late."""
        if self._code is not None:
            return
        news = asyncio.create_task(self._changed.wait(), name="exec waits for news")
        try:
            await asyncio.wait({news, election}, timeout=self._patience(clock()), return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if self._guard.dead or (self._token is not None and self._patience(clock()) == 0):
            await self._guard.sweep()
            self._changed.set()
        if election.done():
            election.result()  # raises what a bug in it raised
            raise RuntimeError("the election has ended unasked")

    def _patience(self, now: float) -> float | None:
        """Seconds until the guardian should have reported that the tree is gone. The clock may jump: look often."""
        if self._token is None or self._guard.gone:
            return None
        latest = self._deadline - BACKSTOP
        if self._stop_by is not None:
            latest = min(latest, self._stop_by)
        return min(1.0, max(0.0, latest - now))

    # --- signals --------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        """Handle what a command could; what was ignored at our start, as under nohup, stays so for both."""
        loop = asyncio.get_running_loop()
        for number in signal.valid_signals() - KEPT - _JOB_CONTROL - _PYTHONS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._token is not None:
            self._guard.signal(number)
        elif number in _ENDING and self._code is None:
            self._code = 128 + number
            self._changed.set()


def _has_terminal() -> bool:
    """Whether our standard input is a terminal that is ours to lend."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _take_terminal_back() -> None:
    """Be the terminal's foreground again, so that the shell finds it as it left it."""
    try:
        os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        return  # the terminal has gone
