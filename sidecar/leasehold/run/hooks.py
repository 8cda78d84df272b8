"""`--on-gained` and `--on-lost`: commands of the user's, run when this sidecar begins or ceases to lead.

Hints, not guarantees: a hook begins after the fact, and `on-lost` may run when another leads already.

* One at a time, in the order of events. The next waits until the one before has ended.
* A lead that is lost before its `on-gained` began runs neither: the pair cancels out. So no more than two ever wait,
  however fast the lead comes and goes.
* A lead that is lost while its `on-gained` runs ends that hook (TERM, then KILL) and then runs `on-lost`: what acts
  for a leader must not go on.
* A hook has `limit` seconds, then it and all it started (its process group) get TERM, and KILL `grace` seconds later.
  What it leaves running when it ends by itself is its own affair, but is no longer read.
* No shell: the command's words are its arguments. Its output goes to the log, line by line.

Environment: this process's own, and LEASEHOLD_EVENT (`gained` or `lost`), LEASEHOLD_LOCK, LEASEHOLD_IDENTITY,
LEASEHOLD_TOKEN (of the term that began or ended) and LEASEHOLD_LEADER (empty when unknown).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from contextlib import suppress
from typing import Final

from leasehold.base.records import dataclass
from leasehold.candidate.leadership import Change, ChangeFeed, LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.run.hook_output import OutputLog

log = logging.getLogger("leasehold.hooks")

LIMIT_SECONDS: Final = 30.0
GRACE_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A hook to run, its command, and the variables that it gets."""

    change: Change
    command: tuple[str, ...]
    variables: dict[str, str]

    @property
    def name(self) -> str:
        """The hook's name in the log."""
        return f"on-{self.change.value}"


class Hooks:
    """Runs the two commands as the lead comes and goes; an empty command is none."""

    def __init__(
        self,
        publisher: Publisher,
        on_gained: tuple[str, ...],
        on_lost: tuple[str, ...],
        *,
        limit: float = LIMIT_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._commands = {Change.GAINED: on_gained, Change.LOST: on_lost}
        self._limit = limit
        self._grace = grace
        self._feed = ChangeFeed(publisher, self._on_change)
        self._pending: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._running: Job | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._task = asyncio.create_task(self._work(), name="hooks")
        self._feed.start()

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Take no more changes, give what waits and runs `timeout` seconds, then end it."""
        self._feed.stop()
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self._task)
        except TimeoutError:
            for job in self._pending:
                log.warning("the %s hook was not run: there was no time left", job.name)
            self._pending.clear()
            self._stop.set()
            await self._task  # at most the grace, after which everything is killed

    def _on_change(self, change: Change, before: LeadershipStatus, after: LeadershipStatus) -> None:
        if change is Change.LOST:
            self._lost(before, after)
        elif change is Change.GAINED:
            self._queue(change, after.token, after)

    def _lost(self, before: LeadershipStatus, after: LeadershipStatus) -> None:
        if self._pending and self._pending[-1].change is Change.GAINED:
            job = self._pending.pop()
            log.info("the %s hook is skipped: the lead is lost again", job.name)
            return
        if self._running is not None and self._running.change is Change.GAINED:
            self._stop.set()
        self._queue(Change.LOST, before.token, after)

    def _queue(self, change: Change, token: int | None, status: LeadershipStatus) -> None:
        if not self._commands[change]:
            return
        if self._pending and self._pending[-1].change is change:  # without the other hook, nothing comes between
            self._pending.pop()
        self._pending.append(Job(change, self._commands[change], _variables(change, token, status)))
        self._wake.set()

    async def _work(self) -> None:
        while True:
            while self._pending:
                self._running = self._pending.popleft()
                self._stop.clear()
                try:
                    await self._run(self._running)
                except Exception:  # whatever it is, the next hook must run, and the sidecar end as it would have
                    log.exception("running the %s hook failed", self._running.name)
                self._running = None
            if self._closing:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _run(self, job: Job) -> None:
        """Run one hook to its end, whatever that is. Raises OSError when there are no file descriptors left."""
        with OutputLog(job.name) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *job.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output.writer,
                    stderr=output.writer,
                    env=os.environ | job.variables,
                    start_new_session=True,  # a process group of its own, so that all of it can be ended
                )
            except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: asyncio has no thread to wait with
                log.error("the %s hook could not be started: %s", job.name, error)
                return
            output.opened()
            status = await self._wait(job, process)
        _report(job, status)

    async def _wait(self, job: Job, process: asyncio.subprocess.Process) -> int:
        exit_ = asyncio.ensure_future(process.wait())
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({exit_, stop}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
        if not exit_.done():
            why = "the lead is lost, or the sidecar stops" if stop.done() else f"it ran for {self._limit:g} s"
            log.warning("ending the %s hook: %s", job.name, why)
            _signal(process, signal.SIGTERM)
            await asyncio.wait({exit_}, timeout=self._grace)
            _signal(process, signal.SIGKILL)  # also what the hook itself left in its group
        stop.cancel()
        return await exit_


def _variables(change: Change, token: int | None, status: LeadershipStatus) -> dict[str, str]:
    return {
        "LEASEHOLD_EVENT": change.value,
        "LEASEHOLD_LOCK": status.lock,
        "LEASEHOLD_IDENTITY": status.identity,
        "LEASEHOLD_TOKEN": "" if token is None else str(token),
        "LEASEHOLD_LEADER": status.leader or "",
    }


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(process.pid, number)


def _report(job: Job, status: int) -> None:
    if status == 0:
        log.info("the %s hook has ended", job.name)
    elif status > 0:
        log.error("the %s hook failed with status %d", job.name, status)
    else:
        log.error("the %s hook was ended by signal %d", job.name, -status)
