"""The shell around the election: feeds it events with the time, performs its commands, publishes what it says.

It decides nothing. Whatever it feeds, it feeds synchronously on the loop, one event at a time: no await stands between
an answer and the snapshot that follows from it. What goes to the disk or to etcd goes in tasks of its own; the answer
comes back as an event.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

from leasehold.candidate.metrics import Observer
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.resume import ResumeStore
from leasehold.candidate.resume_file import ResumeFile
from leasehold.candidate.store import Store, flaw_of, timeout_for
from leasehold.election import events as ev
from leasehold.election.election import Election, ElectionConfig
from leasehold.etcd import EtcdClient, EtcdError, WatchBatch, Watcher, WatchLost
from leasehold.lock.keys import prefix_end
from leasehold.logs import afterwards

_log = logging.getLogger("leasehold.runner")

LONGEST_SLEEP: Final = 1.0
"""Seconds. The loop's clock stands still while the machine sleeps, the election's does not: so look again."""
FAREWELL: Final = 2.0
"""Seconds that revocations under way get at the end."""
LINGER: Final = 0.2
"""Seconds that a lease outlives its deleted key: so an onlooker can tell that from an expiry."""
_LOUD: Final = {"lost", "usurped", "rolled-back", "unsure", "spec-broken", "left-to-expire", "not-resumed"}


class Runner:
    """One election, running."""

    def __init__(
        self,
        settings: ElectionConfig,
        client: EtcdClient,
        board: Publisher,
        observer: Observer | None = None,
        resume_file: ResumeFile | None = None,
    ) -> None:
        """`client` is the caller's to close; `resume_file` None means that nothing is ever resumed."""
        self.election = Election(settings, random.Random())
        self._client = client
        self._store = Store(client, self.election.keys)
        self._board = board
        self._observer = observer or Observer()
        self._keeper = ResumeStore(resume_file)
        self._saved: int | None = None
        self._cluster = 0
        self._keyless: int | None = None
        """The lease whose key is gone for certain: nobody waits for its end."""
        self._long_lease_noted = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._events: deque[ev.Event] = deque()
        self._feeding = True  # until `run` begins: what is submitted before comes after Start
        self._wake: asyncio.TimerHandle | None = None
        self._turned = board.clock()

    async def run(self) -> None:
        """Take part until the election has stopped. Raises what a bug raises: then the process must end."""
        self._ended = asyncio.get_running_loop().create_future()
        try:
            resume = await self._keeper.load()
            self._begin(ev.Start(resume))
            await self._ended
            await self._farewell()
        finally:
            await self._end()

    def _begin(self, start: ev.Start) -> None:
        if self._keeper.ghost is not None:
            self._spawn(self._revoke(self._keeper.ghost), "revoke")
        self._spawn(self._look_at_version(), "version")
        self._events.appendleft(start)
        self._feeding = False
        self._feed_all()

    def submit(self, event: ev.Event) -> None:
        """Feed one event, after those that wait. To be called on the loop. A bug that it meets ends `run`."""
        self._events.append(event)
        self._feed_all()

    def _feed_all(self) -> None:
        """Feed what waits, unless that is being done: a listener that submits is heard after all have been told."""
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

    def beat_age(self) -> float:
        """Seconds since the election was last fed: it is at least once in `LONGEST_SLEEP`, on a loop that turns."""
        return self._board.clock() - self._turned

    def _feed(self, event: ev.Event) -> None:
        self._turned = now = self._board.clock()
        if isinstance(event, ev.Answer):
            self._cluster = event.origin.cluster
        elif isinstance(event, ev.EntryGone) and event.key == self._own_key():
            self._keyless = self.election.lease_id  # our watch is often faster than the answer to our deletion
        commands = self.election.handle(event, now)
        self._board.publish(self.election.snapshot)
        for command in commands:
            self._perform(command)
        self._remember()
        self._set_alarm()

    def _own_key(self) -> str | None:
        lease = self.election.lease_id
        return None if lease is None else self.election.keys.entry(lease)

    def _set_alarm(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        wanted = self.election.deadline()
        delay = LONGEST_SLEEP if wanted is None else min(LONGEST_SLEEP, max(0.0, wanted - self._board.clock()))
        self._wake = asyncio.get_running_loop().call_later(delay, self.submit, ev.Tick())

    # --- commands -----------------------------------------------------------------------------------------------

    def _perform(self, command: ev.Command) -> None:
        match command:
            case ev.Note(kind, text):
                self._note(kind, text)
            case ev.Stopped():
                if self._ended is not None and not self._ended.done():
                    self._ended.set_result(None)
            case ev.Watch():
                self._rewatch(command)
            case ev.Revoke(lease):
                self._spawn(self._revoke(lease, LINGER if lease == self._keyless else 0.0), "revoke")
            case _:
                self._spawn(self._ask(command), type(command).__name__)

    def _note(self, kind: str, text: str) -> None:
        if kind in _LOUD:
            _log.warning("%s: %s", kind, text)
            self._observer.error(kind)
        else:
            afterwards(partial(_log.info, "%s: %s", kind, text))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"election {name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    async def _ask(self, command: Any) -> None:
        if isinstance(command, ev.Resign) and not await self._keeper.mark(command.lease):
            self.submit(ev.Failed(command.op, "the resume file cannot be marked", refused=True, unmarked=True))
            return
        asked = self._board.clock()
        answer = await self._store.perform(command, timeout_for(self.election.ttl))
        if isinstance(answer, ev.Failed):
            _log.debug("%s failed: %s", type(command).__name__, answer.reason)
            self._observer.error("request")
        elif isinstance(answer, ev.KeptAlive):
            self._observer.keep_alive(self._board.clock() - asked)
        elif isinstance(answer, ev.Granted):
            self._compare_ttl(command.ttl, answer.ttl)
        elif isinstance(command, ev.Resign) and isinstance(answer, ev.Written) and answer.done and not command.keep_own:
            self._keyless = command.lease
        self.submit(answer)

    def _compare_ttl(self, asked: int, granted: int) -> None:
        """Say once if etcd grants longer leases than were asked for."""
        if granted > asked and not self._long_lease_noted:
            self._long_lease_noted = True
            _log.warning(
                "etcd grants leases of %d s, not of the %d s asked for, because of its --election-timeout: "
                "a dead leader is replaced after %d s",
                granted,
                asked,
                granted,
            )

    async def _look_at_version(self) -> None:
        """Say so once if this etcd is known to break a promise that the election rests on."""
        try:
            answer = await self._client.status(timeout=timeout_for(self.election.ttl))
        except EtcdError:
            return  # the election says what is wrong with etcd
        flaw = flaw_of(answer.version)
        if flaw:
            _log.warning("%s", flaw)

    async def _revoke(self, lease: int, pause: float = 0.0) -> None:
        """Best effort, a few times: the lease expires in any case. `pause` is in seconds."""
        if not await self._keeper.mark(lease):
            return
        await asyncio.sleep(pause)
        for _ in range(3):
            try:
                await self._client.revoke(lease, timeout=timeout_for(self.election.ttl))
                return
            except EtcdError as error:
                if getattr(error, "lease_gone", False):
                    return
                _log.debug("revoking lease %x failed: %s", lease, error)

    # --- watches ------------------------------------------------------------------------------------------------

    def _rewatch(self, command: ev.Watch) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if command.keys or command.queue or command.spec:
            self._watch = self._spawn(self._follow(command), "watch")

    async def _follow(self, command: ev.Watch) -> None:
        """Feed what the watches tell, in the turn in which it comes; once they are replaced, nothing of theirs."""
        following = asyncio.current_task()

        def hear(batch: WatchBatch) -> None:
            try:
                for event in batch.events:
                    if self._watch is following:
                        self.submit(self._store.heard(event, batch.origin.revision))
            except Exception as error:  # whoever calls would take it for a fault of the connection
                self._fail(error)

        try:
            async with self._client.watch(hear=hear) as watcher:
                await self._add(watcher, command)
                await anext(watcher)  # brings nothing, but says when events may have been missed
        except (EtcdError, WatchLost) as error:
            if self._watch is following:
                self.submit(ev.WatchLost(str(error)))

    async def _add(self, watcher: Watcher, command: ev.Watch) -> None:
        keys, revision = self.election.keys, command.revision
        if command.queue:
            await watcher.add(keys.queue, end=prefix_end(keys.queue), start_revision=revision)
        for key in sorted(command.keys):
            await watcher.add(key, start_revision=revision)
        if command.spec:
            await watcher.add(keys.spec, start_revision=revision)

    def _remember(self) -> None:
        """A new candidate is in the queue: keep it for the process after us."""
        token, lease = self._board.snapshot.token, self.election.lease_id
        if token is not None and lease is not None and token != self._saved:
            self._saved = token
            self._spawn(self._keeper.save(ev.Resumable(lease, token, self._cluster)), "save")

    # --- the end ------------------------------------------------------------------------------------------------

    async def _farewell(self) -> None:
        """Let revocations under way come to their end."""
        last = [task for task in self._tasks if task.get_name() == "election revoke"]
        if last:
            await asyncio.wait(last, timeout=FAREWELL)

    async def _end(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
