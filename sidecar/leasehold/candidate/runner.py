"""The shell around the election: feeds it events with the time, performs its commands, publishes its snapshots.

It decides nothing, and knows the store only as a `store.Store`. It feeds every event synchronously on the loop, one at
a time: no await stands between an answer and the snapshot that follows from it. Requests to the disk and to the store
run in tasks of their own; their answers come back as events.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from leasehold.base.logs import afterwards
from leasehold.candidate.alarm import Alarm
from leasehold.candidate.first_step import begin
from leasehold.candidate.metrics import WARNINGS, Observer
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.recorder import Recorder
from leasehold.candidate.resume import ResumeStore
from leasehold.candidate.resume_file import ResumeFile
from leasehold.candidate.store import Store, timeout_for
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import Election, ElectionConfig

_log = logging.getLogger("leasehold.runner")

LAST_REVOCATIONS_SECONDS: Final = 2.0
"""How long `run` waits at its end for revocations that are under way."""
LEASE_LINGER_SECONDS: Final = 0.2
"""How long a lease outlives its deleted key, so that an observer can tell a deletion from an expiry."""
_REVOKE_ATTEMPTS: Final = 3
_LONG_LEASE: Final = (
    "etcd grants leases of %d s, not of the %d s asked for, because of its --election-timeout: "
    "a dead leader is replaced after %d s"
)


class Runner:
    """One election, running."""

    def __init__(
        self,
        settings: ElectionConfig,
        store: Store,
        board: Publisher,
        observer: Observer | None = None,
        resume_file: ResumeFile | None = None,
    ) -> None:
        """`store` is the lock that `settings` names; `resume_file` None means that nothing is ever resumed."""
        rng = random.Random()
        self.election = Election(settings, rng)
        self.recorder = Recorder(settings, self.election, rng, board.clock)
        self._store = store
        self._board = board
        self._observer = observer or Observer()
        self._resume = ResumeStore(resume_file)
        self._saved: int | None = None
        self._cluster = 0
        self._keyless: int | None = None
        """The lease whose key is certainly gone: no candidate waits for its end."""
        self._long_lease_noted = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._events: deque[ev.Event] = deque()
        self._feeding = True  # until `run` begins: what is submitted before comes after Start
        self._alarm = Alarm(board.clock, lambda: self.submit(ev.Tick()))
        self._unreported: Callable[[], None] | None = None

    async def run(self) -> None:
        """Take part until the election has stopped. Raises what a bug raises: then the process must end."""
        self._ended = asyncio.get_running_loop().create_future()
        try:
            resume = await self._resume.load()
            self._begin(ev.Start(resume))
            await self._ended
            await self._finish_revocations()
        finally:
            await self._end()

    def _begin(self, start: ev.Start) -> None:
        if self._resume.ghost is not None:
            self._spawn(self._revoke(self._resume.ghost), "revoke")
        self._spawn(self._warn_of_known_bug(), "version")
        self._events.appendleft(start)
        self._feeding = False
        self._feed_all()

    def submit(self, event: ev.Event) -> None:
        """Feed one event, after those that wait. To be called on the loop. A bug that it meets ends `run`."""
        self._events.append(event)
        self._feed_all()

    def _feed_all(self) -> None:
        """Feed what waits, unless that is being done: a listener that submits is fed after all have been told."""
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events and self._ended is not None and not self._ended.done():
                self._feed(self._events.popleft())
        except Exception as error:
            self._fail(error)
        finally:
            self._feeding = False

    def _fail(self, bug: BaseException) -> None:
        """Have `run` end with it."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(bug)

    def seconds_since_progress(self) -> float:
        """Seconds since the loop last had the election's turn. If it runs, at most about `LONGEST_TIMER_SECONDS`."""
        return self._board.clock() - self._alarm.looked_at

    def _feed(self, event: ev.Event) -> None:
        self._alarm.looked_at = now = self._board.clock()
        if isinstance(event, ev.Answer):
            self._cluster = event.origin.cluster
        elif isinstance(event, ev.EntryGone) and event.key == self._own_key():
            self._keyless = self.election.lease_id  # our watch is often faster than the answer to our deletion
        self._report()
        commands = self._handle(event, now)
        self._unreported = partial(self.recorder.handled, event, now, commands, self._board.snapshot)
        # The snapshot says no already. A deletion goes out before anybody is told of that: its task begins first. The
        # next holder waits for the deletion, and for nothing that listeners or the recorder do.
        if any(isinstance(command, cmd.Resign) for command in commands):
            self._perform_all(sorted(commands, key=lambda command: not isinstance(command, cmd.Resign)))
            asyncio.get_running_loop().call_later(self._resume.mark_seconds, self._report)
        else:
            self._report()
            self._perform_all(commands)
        self._remember()
        self._alarm.set(self.election.deadline())

    def _handle(self, event: ev.Event, now: float) -> list[cmd.Command]:
        """Have the election decide, and put what it says in force. Raises what a bug in it raises."""
        try:
            commands = self.election.handle(event, now)
        except Exception as bug:
            self.recorder.failed(event, now, bug)
            raise
        self._board.put(self.election.snapshot)
        return commands

    def _report(self) -> None:
        """Notify the listeners of what the last event led to, and record it, unless that has been done."""
        self._board.notify()
        unreported, self._unreported = self._unreported, None
        if unreported is None:
            return
        try:
            unreported()
        except Exception as bug:
            self._fail(bug)

    def _own_key(self) -> str | None:
        lease = self.election.lease_id
        return None if lease is None else self.election.keys.entry(lease)

    # --- commands -----------------------------------------------------------------------------------------------

    def _perform_all(self, commands: list[cmd.Command]) -> None:
        for command in commands:
            self._perform(command)

    def _perform(self, command: cmd.Command) -> None:
        match command:
            case cmd.Note(kind, text):
                self._note(kind, text)
            case cmd.Stopped():
                if self._ended is not None and not self._ended.done():
                    self._ended.set_result(None)
            case cmd.Watch():
                self._rewatch(command)
            case cmd.Revoke(lease):
                self._spawn(self._revoke(lease, LEASE_LINGER_SECONDS if lease == self._keyless else 0.0), "revoke")
            case _:  # what is asked is sent now: each turn of the loop is a part of what an idle candidate costs
                self._keep(begin(self._ask(command), f"election {type(command).__name__}"))

    def _note(self, kind: str, text: str) -> None:
        if kind in WARNINGS:
            _log.warning("%s: %s", kind, text)
            self._observer.error(kind)
        else:
            afterwards(partial(_log.info, "%s: %s", kind, text))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self._keep(asyncio.create_task(work, name=f"election {name}"))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    async def _ask(self, command: cmd.Question) -> None:
        if isinstance(command, cmd.Resign) and not await self._resume.mark(command.lease):
            self.submit(ev.Failed(command.op, "the resume file cannot be marked", refused=True, unmarked=True))
            return
        asked = self._board.clock()
        answer = await self._store.perform(command, timeout_for(self.election.ttl))
        match command, answer:
            case _, ev.Failed(reason=reason):
                _log.debug("%s failed: %s", type(command).__name__, reason)
                self._observer.error("request")
            case _, ev.KeptAlive():
                self._observer.keep_alive(self._board.clock() - asked)
            case cmd.Grant(ttl=wanted), ev.Granted(ttl=granted):
                self._compare_ttl(wanted, granted)
            case cmd.Resign(lease=lease, keep_own=False), ev.Written(done=True):
                self._keyless = lease
        self.submit(answer)

    def _compare_ttl(self, asked: int, granted: int) -> None:
        """Say once if etcd grants longer leases than were asked for."""
        if granted > asked and not self._long_lease_noted:
            self._long_lease_noted = True
            _log.warning(_LONG_LEASE, granted, asked, granted)

    async def _warn_of_known_bug(self) -> None:
        bug = await self._store.known_bug(timeout_for(self.election.ttl))
        if bug:
            _log.warning("%s", bug)

    async def _revoke(self, lease: int, pause: float = 0.0) -> None:
        """Best effort, a few times: the lease expires in any case. `pause` is in seconds."""
        if not await self._resume.mark(lease):
            return
        await asyncio.sleep(pause)
        for _ in range(_REVOKE_ATTEMPTS):
            failure = await self._store.revoke(lease, timeout_for(self.election.ttl))
            if failure is None:
                return
            _log.debug("revoking lease %x failed: %s", lease, failure)

    # --- watches ------------------------------------------------------------------------------------------------

    def _rewatch(self, command: cmd.Watch) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if command.keys or command.queue or command.spec:
            self._watch = self._spawn(self._follow(command), "watch")

    async def _follow(self, command: cmd.Watch) -> None:
        """Feed the changes that the watches report, and their loss; nothing of theirs once they are replaced."""
        following = asyncio.current_task()

        def on_event(event: ev.Event) -> None:
            if self._watch is following:
                self.submit(event)

        on_event(await self._store.follow(command, on_event))

    def _remember(self) -> None:
        """A new candidate is in the queue: keep it for the process after us."""
        token, lease = self._board.snapshot.token, self.election.lease_id
        if token is not None and lease is not None and token != self._saved:
            self._saved = token
            self._store.prepare(lease, token)
            self._spawn(self._resume.save(ev.Resumable(lease, token, self._cluster)), "save")

    async def _finish_revocations(self) -> None:
        """Wait, for a bounded time, for the revocations that are under way."""
        last = [task for task in self._tasks if task.get_name() == "election revoke"]
        if last:
            await asyncio.wait(last, timeout=LAST_REVOCATIONS_SECONDS)

    async def _end(self) -> None:
        self._report()
        self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
