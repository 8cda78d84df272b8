"""One stay of `leasehold exec` in the queue: when its command is started and stopped, and with which code it ends."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Final

from leasehold.base.clock import now as clock
from leasehold.candidate.store import timeout_for
from leasehold.election.events import Stop, WorkStopped
from leasehold.election.snapshot import Snapshot, State
from leasehold.exec.guardian import ENDING
from leasehold.exec.guardian_link import GuardianLink
from leasehold.exec.queue_check import QueueCheck
from leasehold.exec.run_once import RunOnce
from leasehold.exec.stop_schedule import COMMAND_ENDED, can_start
from leasehold.exec.terminal import Terminal
from leasehold.settings.exec import KILL_MARGIN_SECONDS, ExecConfig, default_grace, grace_mistake

if TYPE_CHECKING:
    from leasehold.run.app import RunningSidecar

_log = logging.getLogger("leasehold.supervisor")

USAGE_ERROR: Final = 2
NOT_FREE: Final = 69
"""EX_UNAVAILABLE of sysexits.h: the lock was not free in the time that `--timeout` gives."""
LOST: Final = 75
"""EX_TEMPFAIL of sysexits.h: leadership ended, and the command with it; start again to queue again."""
TRY_ONCE_SECONDS: Final = 10.0
"""With `--timeout 0`: for one try to reach etcd and to stand in the queue."""
BACKSTOP_SECONDS: Final = KILL_MARGIN_SECONDS / 2
"""So long before the deadline, this process kills the tree itself, in case its guardian is frozen."""
REPORT_GRACE_SECONDS: Final = 1.0
"""After the grace, the time for the guardian to report that the stopped tree is gone."""


class Execution:
    """One stay in the queue, and the command that runs during its term."""

    def __init__(self, config: ExecConfig, guardian: GuardianLink, terminal: Terminal, changed: asyncio.Event) -> None:
        self._config = config
        self._guardian = guardian
        self._terminal = terminal
        self._changed = changed
        self._sidecar: RunningSidecar
        self._queue: QueueCheck
        self._once: RunOnce | None = None
        self._key = ""
        self._token: int | None = None
        self._deadline = 0.0
        self._grace = 0.0
        self._stop_by: float | None = None
        self._give_up_at: float | None = None
        self._code: int | None = None

    async def run(self, sidecar: RunningSidecar) -> int:
        """Wait for the lock, run the command to its end, give the lock up; returns the exit code, -n for signal n."""
        self._begin(sidecar)
        election = asyncio.create_task(sidecar.stopped(), name="exec waits for the election")
        try:
            while self._code is None:
                self._changed.clear()
                self._reconcile(clock())
                await self._wait_for_news(election)
            if self._once is not None and self._code == 0 and self._token is not None:
                await self._once.record(self._config.sidecar.record.identity, self._key, self._token)
            sidecar.submit(Stop())
            sidecar.submit(WorkStopped())
            await election
        finally:
            election.cancel()
            self._queue.close()
            if self._once is not None:
                self._once.close()
        return self._code

    def _begin(self, sidecar: RunningSidecar) -> None:
        self._sidecar = sidecar
        sidecar.publisher.listen(lambda before, after: self._changed.set())
        timeout = timeout_for(sidecar.runner.election.ttl)
        self._queue = QueueCheck(sidecar.store, self._config.parent_key, timeout, self._changed.set)
        if self._config.once_per is not None:
            self._once = RunOnce(sidecar.run_log, self._config.once_per, timeout, self._changed.set)
        if self._config.timeout is not None:
            self._give_up_at = clock() + (self._config.timeout or TRY_ONCE_SECONDS)

    # --- decisions ------------------------------------------------------------------------------------------

    def _reconcile(self, now: float) -> None:
        snapshot = self._sidecar.publisher.snapshot
        if self._code is not None:
            return  # a signal has ended the wait
        if self._token is None:
            self._wait_for_lock(snapshot, now)
            return
        if snapshot.token == self._token and snapshot.deadline is not None and snapshot.deadline > self._deadline:
            self._deadline = snapshot.deadline
            self._guardian.deadline(snapshot.deadline)
        if not snapshot.is_holding(now) or snapshot.token != self._token:
            self._stop(now)
        if self._guardian.gone:
            self._conclude()

    def _wait_for_lock(self, snapshot: Snapshot, now: float) -> None:
        if self._guardian.dead:
            self._conclude()
        elif snapshot.is_holding(now):
            if self._is_due(snapshot):
                self._try_to_begin(snapshot, now)
        elif self._give_up_at is not None and now >= self._give_up_at:
            holder = f"{snapshot.leader} holds it" if snapshot.leader else "no holder is known"
            self._give_up(snapshot.last_error or holder)
        elif snapshot.state is State.WAITING and snapshot.key is not None:
            self._queue.look(snapshot.key)
            self._judge_queue()

    def _judge_queue(self) -> None:
        """End a wait that would be in vain."""
        ahead = self._queue.ahead
        if ahead is not None and ahead.behind_parent:
            sys.stderr.write(
                f"leasehold: {self._config.sidecar.lock} is held by the leasehold exec that this one runs under, so it "
                "would wait for itself: name another lock, or run the command without leasehold exec.\n"
            )
            self._code = USAGE_ERROR
        elif ahead is not None and self._config.timeout == 0:
            self._give_up(f"{', '.join(ahead.holders)} holds it")

    def _give_up(self, why: str) -> None:
        waited = "--timeout 0" if not self._config.timeout else f"after {self._config.timeout:g} seconds"
        _log.warning("the lock %s was not free (%s): %s", self._config.sidecar.lock, waited, why)
        self._code = NOT_FREE

    def _is_due(self, snapshot: Snapshot) -> bool:
        """Whether the command has to run, as far as that is known; if not, the wait is over with success."""
        if self._once is None or snapshot.token is None:
            return True
        if not self._once.is_known(snapshot.token):
            return False
        if self._once.last is None:
            return True
        _log.info("not run: %s ran it, until %s", self._once.last.identity, self._once.last.ended)
        self._code = 0
        return False

    def _try_to_begin(self, snapshot: Snapshot, now: float) -> None:
        """Start the command, or wait for the lease's renewal, if one that is late would stop the command at once."""
        assert snapshot.deadline is not None, "a holder has one"
        ttl, drift = self._sidecar.runner.election.ttl, self._config.sidecar.max_drift
        impossible = grace_mistake(self._config.grace, ttl, drift)
        if impossible:  # the lock's TTL is known only after joining
            sys.stderr.write(f"leasehold: {self._config.sidecar.mistake(*impossible)}\n")
            self._code = USAGE_ERROR
            return
        grace = default_grace(ttl, drift) if self._config.grace is None else self._config.grace
        if can_start(now, snapshot.deadline, grace + KILL_MARGIN_SECONDS, ttl):
            self._token, self._deadline, self._grace = snapshot.token, snapshot.deadline, grace
            self._key = snapshot.key or ""
            self._terminal.begin()
            self._guardian.deadline(snapshot.deadline)
            self._guardian.begin(snapshot.token or 0, self._key, grace, wait_for_all=self._config.wait_for_all)

    def _stop(self, now: float) -> None:
        if self._stop_by is None:
            self._stop_by = now + self._grace + REPORT_GRACE_SECONDS
            self._guardian.stop()

    def _conclude(self) -> None:
        """Set the exit code: no process of the tree is left."""
        guardian = self._guardian
        if guardian.failure:
            sys.stderr.write(f"leasehold: {self._config.command[0]!r} cannot be run: {guardian.failure}.\n")
        if guardian.left:
            self._report_left(guardian.left)
        if guardian.code is not None and guardian.stopping in ("", COMMAND_ENDED):
            self._code = guardian.code
            return
        self._code = LOST
        why = guardian.stopping or "its guardian was killed"
        _log.error("the command was stopped: %s", why)

    def _report_left(self, count: int) -> None:
        left = "1 process" if count == 1 else f"{count} processes"
        if self._config.wait_for_all:
            _log.info("the command left %s behind; the lock was kept until the end of the last", left)
        else:
            _log.warning("the command left %s behind: stopped; --wait-for-all waits for them instead", left)

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
        """Seconds until the clock alone requires something; at most one, because the clock may jump.

        That is the end of the wait for the lock, or the time by which the guardian must report that the tree is gone.
        """
        if self._token is None:
            return None if self._give_up_at is None else min(1.0, max(0.0, self._give_up_at - now))
        if self._guardian.gone:
            return None
        latest = self._deadline - BACKSTOP_SECONDS
        if self._stop_by is not None:
            latest = min(latest, self._stop_by)
        return min(1.0, max(0.0, latest - now))

    # --- signals --------------------------------------------------------------------------------------------

    def signalled(self, number: int, by_terminal: bool) -> None:
        """Pass a signal on, unless the command has it from the terminal; before it starts, end the wait."""
        if self._token is not None:
            if not (by_terminal and self._terminal.present):
                self._guardian.signal(number)
        elif number in ENDING and self._code is None:
            self._code = -number
            self._changed.set()
