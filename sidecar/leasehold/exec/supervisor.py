"""`leasehold exec`: run a command only while leading.

This process joins the lock's queue, as `leasehold run` does. When it holds the lock, its guardian (`guardian.py`)
starts the command, and stops the whole process tree before the lease deadline even if this process is frozen or killed.
The lock is given up only when no process of the tree is left; until then the lease is kept alive, however long that
takes.

Exit codes: the command's own, 128 + n if signal n ended it; 75 if the command was stopped because leadership or the
guardian's protection ended; 126 or 127 if it cannot be run; 2 for settings; 128 + n for signal n while waiting.
Signals are passed on to the command, and it gets the terminal. Ctrl-Z cannot suspend it, because its lease would end.
An earlier term is never resumed: its command died with the process that held it.
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
from leasehold.settings.config import (
    KILL_MARGIN_SECONDS,
    ConfigError,
    ExecConfig,
    default_grace,
    exec_config,
    grace_mistake,
)

if TYPE_CHECKING:
    from leasehold.run.app import RunningSidecar

_log = logging.getLogger("leasehold.supervisor")

USAGE_ERROR: Final = 2
LOST: Final = 75
"""EX_TEMPFAIL of sysexits.h: leadership ended, and the command with it; start again to queue again."""
BACKSTOP_SECONDS: Final = KILL_MARGIN_SECONDS / 2
"""So long before the deadline, this process kills the tree itself, in case its guardian is frozen."""
REPORT_GRACE_SECONDS: Final = 1.0
"""After the grace, the time for the guardian to report that the stopped tree is gone."""

_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_JOB_CONTROL: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT})
_PYTHONS: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold exec`. Raises ConfigError."""
    config = exec_config(arguments, environ)
    unusable = find_program(config.command[0], environ)
    if unusable:
        code, what = unusable
        sys.stderr.write(f"leasehold: {config.command[0]!r} {what}.\n")
        return code
    if not sys.platform.startswith("linux"):
        raise ConfigError(["leasehold exec needs Linux: elsewhere it cannot be sure to stop a whole process tree."])
    if process_tree.read(os.getpid()) is None:
        raise ConfigError(["leasehold exec needs /proc: without it, it cannot find process trees; mount it."])
    logs.configure(config.sidecar.log)
    logs.warn(config.sidecar.warnings)
    return asyncio.run(_supervise(config, environ))


def find_program(name: str, environ: Mapping[str, str]) -> tuple[int, str] | None:
    """Why a program cannot be run, as exit code and words; None if only trying can show it."""
    path = environ.get("PATH", os.defpath)
    if shutil.which(name, path=path):
        return None
    places = [Path(name)] if "/" in name else [Path(part or ".") / name for part in path.split(os.pathsep)]
    if any(place.exists() for place in places):
        return NOT_EXECUTABLE, "cannot be run: it is a directory, or not executable for this user"
    return NOT_FOUND, "is not there: name a program on PATH, or its path"


async def _supervise(config: ExecConfig, environ: Mapping[str, str]) -> int:
    from leasehold.run import app  # aiohttp and gRPC: not before the settings are known to be good

    process_tree.become_subreaper()
    changed = asyncio.Event()
    guardian = GuardianLink(changed.set)
    terminal = _has_terminal()
    lock, identity = str(config.sidecar.lock), config.sidecar.record.identity
    try:
        named = {**environ, "LEASEHOLD_LOCK": lock, "LEASEHOLD_IDENTITY": identity}
        await guardian.start(config.command, named, KILL_MARGIN_SECONDS, terminal=terminal)
        if terminal:  # the command gets the foreground: log lines from the background must not stop us
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        async with app.composed(config.sidecar, external_drain=True) as sidecar:
            return await Execution(config, sidecar, guardian, changed).run()
    except GuardianError as error:
        sys.stderr.write(f"leasehold: {error}.\n")
        return LOST
    finally:
        await guardian.close()
        if terminal:
            _take_terminal_back()


class Execution:
    """One stay in the queue, and the command that runs during its term."""

    def __init__(
        self, config: ExecConfig, sidecar: RunningSidecar, guardian: GuardianLink, changed: asyncio.Event
    ) -> None:
        self._config = config
        self._sidecar = sidecar
        self._guardian = guardian
        self._changed = changed
        self._token: int | None = None
        self._deadline = 0.0
        self._grace = 0.0
        self._stop_by: float | None = None
        self._code: int | None = None

    async def run(self) -> int:
        """Wait for the lock, run the command to its end, give the lock up; returns the exit code."""
        self._listen_to_signals()
        self._sidecar.publisher.listen(lambda before, after: self._changed.set())
        election = asyncio.create_task(self._sidecar.stopped(), name="exec waits for the election")
        try:
            while self._code is None:
                self._changed.clear()
                self._reconcile(clock())
                await self._wait_for_news(election)
            self._sidecar.submit(Stop())
            self._sidecar.submit(WorkStopped())
            await election
        finally:
            election.cancel()
        return self._code

    # --- decisions ------------------------------------------------------------------------------------------

    def _reconcile(self, now: float) -> None:
        snapshot = self._sidecar.publisher.snapshot
        if self._token is None:
            if self._guardian.dead:
                self._conclude()
            elif snapshot.is_holding(now):
                self._try_to_begin(snapshot, now)
            return
        if snapshot.token == self._token and snapshot.deadline is not None and snapshot.deadline > self._deadline:
            self._deadline = snapshot.deadline
            self._guardian.deadline(snapshot.deadline)
        if not snapshot.is_holding(now) or snapshot.token != self._token:
            self._stop(now)
        if self._guardian.gone:
            self._conclude()

    def _try_to_begin(self, snapshot: Snapshot, now: float) -> None:
        """Start the command. Not while too little of the lease is left: then after its renewal."""
        assert snapshot.deadline is not None, "a holder has one"
        ttl, drift = self._sidecar.runner.election.ttl, self._config.sidecar.max_drift
        impossible = grace_mistake(self._config.grace, ttl, drift)
        if impossible:  # the lock's TTL is known only after joining
            sys.stderr.write(f"leasehold: {self._config.sidecar.mistake(*impossible)}\n")
            self._code = USAGE_ERROR
            return
        grace = default_grace(ttl, drift) if self._config.grace is None else self._config.grace
        if now < snapshot.deadline - grace - KILL_MARGIN_SECONDS:
            self._token, self._deadline, self._grace = snapshot.token, snapshot.deadline, grace
            self._guardian.deadline(snapshot.deadline)
            self._guardian.begin(snapshot.token or 0, grace)

    def _stop(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + self._grace + REPORT_GRACE_SECONDS
            self._guardian.stop()

    def _conclude(self) -> None:
        """Set the exit code: no process of the tree is left."""
        guardian = self._guardian
        if guardian.failure:
            sys.stderr.write(f"leasehold: {self._config.command[0]!r} cannot be run: {guardian.failure}.\n")
        if guardian.code is not None and guardian.stopping in ("", "the command has ended"):
            self._code = guardian.code
            return
        self._code = LOST
        why = guardian.stopping or "its guardian was killed"
        _log.error("the command was stopped: %s", why)

    # --- waiting --------------------------------------------------------------------------------------------

    async def _wait_for_news(self, election: asyncio.Task[None]) -> None:
        """Wait until something has changed; kill the tree if the guardian has died, or is late."""
        if self._code is not None:
            return
        news = asyncio.create_task(self._changed.wait(), name="exec waits for news")
        try:
            await asyncio.wait(
                {news, election}, timeout=self._seconds_left(clock()), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()
        if self._guardian.dead or (self._token is not None and self._seconds_left(clock()) == 0):
            await self._guardian.sweep()
            self._changed.set()
        if election.done():
            election.result()  # raises what a bug in it raised
            raise RuntimeError("the election ended although nothing stopped it")

    def _seconds_left(self, now: float) -> float | None:
        """Seconds for the guardian to report that the tree is gone; at most one, because the clock may jump."""
        if self._token is None or self._guardian.gone:
            return None
        latest = self._deadline - BACKSTOP_SECONDS
        if self._stop_by is not None:
            latest = min(latest, self._stop_by)
        return min(1.0, max(0.0, latest - now))

    # --- signals --------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        """Handle every signal that a command could; signals ignored at our start, as under nohup, stay ignored."""
        loop = asyncio.get_running_loop()
        for number in signal.valid_signals() - KEPT - _JOB_CONTROL - _PYTHONS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._token is not None:
            self._guardian.signal(number)
        elif number in _ENDING and self._code is None:
            self._code = 128 + number
            self._changed.set()


def _has_terminal() -> bool:
    """Whether our standard input is a terminal, and we are in its foreground."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _take_terminal_back() -> None:
    """Return to the terminal's foreground, as the shell expects."""
    try:
        os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        return  # the terminal is gone
