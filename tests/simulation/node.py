"""One life of a sidecar process, which does what the runner does.

One event at a time; commands in order; exactly one answer or `Failed` for each question within its timeout, and after
that perhaps a late or second answer, which the machine must not believe; a `Tick` when its deadline comes. Any failed
call closes the connection, which fails all others on it and loses the watches; the next one goes to another member.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leasehold.candidate.replay_check import QuestionRate
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.commands import Command
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.events import Resumable
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.record import Entry

from .cluster import Member
from .service import Request
from .store import KEYS, Change
from .watches import Watcher

if TYPE_CHECKING:
    from .host import Host


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One connection of a process, to the `boot`th life of a member."""

    boot: int


class Process:
    """One life of a sidecar: the election under test, and a faithful runner around it."""

    def __init__(self, host: Host, settings: ElectionConfig, resumable: Resumable | None) -> None:
        world = host.world
        self.host, self.world, self.settings = host, world, settings
        self.election = Election(settings, random.Random(world.rng.getrandbits(32)))
        self.snapshot: Snapshot = self.election.snapshot
        self.lease = resumable.lease if resumable else None
        self._saved: int | None = None
        self.dead = self.frozen = False
        self.paused = False
        self.healthy = settings.starts_healthy
        self.awake_since = -1.0
        self.answered: Command | None = None
        self.unwritten = 0
        self.yielded: int | None = None
        self.rate = QuestionRate()
        self.knows: dict[str, Entry] = {}
        self.first_seen = (0, 0)
        self.led = False
        self.knows_spec = 0
        self.capacity_fell = float("-inf")
        self.pending: dict[int, Request] = {}
        self.connection: Connection | None = None
        self.watcher: Watcher | None = None
        self._messages: list[Callable[[], None]] = []
        self._timers: list[Callable[[], None]] = []
        self._wake_at: float | None = None

    # --- events in

    def when_awake(self, action: Callable[[], None], *, timer: bool = False) -> None:
        """Do this now, or when the process thaws; never, once it is dead."""
        if self.frozen:
            (self._timers if timer else self._messages).append(action)
        elif not self.dead:
            action()

    def take(self, event: ev.Event) -> None:
        """Feed one event to the machine and do what it says."""
        if self.dead:
            return
        if isinstance(event, (ev.Answer, ev.Failed)):
            request = self.pending.pop(event.op, None)
            self.answered = request.command if request else None
        before = self.snapshot
        commands = self.election.handle(event, self.host.clock())
        self.snapshot = self.election.snapshot
        if not isinstance(event, ev.Tick) or commands:
            self.world.trace.add(self.host.name, "<", (event, self.snapshot.state))
        for command in commands:
            self.world.trace.add(self.host.name, "  >", command)
            self._perform(command)
        self._save()
        self.world.judge.observe(self, event, before, commands)
        self._arm()

    def is_ended_by(self, change: Change) -> bool:
        """Whether this change deletes the candidate's key, or names another process in it."""
        if isinstance(change, ev.SpecChanged) or self.lease is None:
            return False
        if isinstance(change, ev.EntryGone):
            return change.key == KEYS.entry(self.lease)
        other = change.entry.record.incarnation != self.settings.record.incarnation
        return other and change.entry.key == KEYS.entry(self.lease)

    def answers(self, event: ev.Answer) -> bool:
        """Whether this answer was awaited when it came."""
        return self.answered is not None and getattr(self.answered, "op", 0) == event.op

    def hear(self, watcher: Watcher, event: ev.Event) -> None:
        """A watch event has arrived; of a watch given up, it may still have stood in our queue."""
        stale = watcher is not self.watcher or watcher.closed is not None
        if not stale or self.world.rng.random() < 0.3:
            self.when_awake(lambda: self.take(event))

    def _save(self) -> None:
        """The resume file: written when a key is ours, and not again for the same."""
        token, lease = self.snapshot.token, self.election.lease_id
        if token is not None and lease is not None and token != self._saved:
            self._saved = token
            self.host.disk.save(Resumable(lease, token, self.world.cluster.id), lambda: not self.dead)

    # --- commands out

    def _perform(self, command: Command) -> None:
        if isinstance(command, cmd.Note):
            self.world.judge.noted(self, command)
        elif isinstance(command, cmd.Stopped):
            self.end()
        elif isinstance(command, cmd.Watch):
            self._watch(command)
        else:
            self._request(command)

    def _watch(self, command: cmd.Watch) -> None:
        if self.watcher is not None and self.watcher.closed is None:
            self.watcher.closed = self.world.timeline.now
        watcher = Watcher(command, self.member, self)
        self.watcher = watcher
        self.world.network.carry(self, lambda: self.world.hub.register(watcher))

    def _request(self, command: Any) -> None:
        """Send it; but before anything that gives a lease up, mark the resume file."""
        if isinstance(command, cmd.Join):
            self.lease = command.lease
        request = Request(command, self.member, self.host.clock(), self._ignore)
        if not isinstance(command, cmd.Revoke):
            self.pending[command.op] = request
        if not isinstance(command, (cmd.Resign, cmd.Revoke)):
            self._send(request)
            return

        def marked(done: bool) -> None:
            if done:
                self._send(request)
            elif isinstance(command, cmd.Resign) and self.pending.get(command.op) is request:
                reason = "the resume file cannot be marked"
                self.take(ev.Failed(command.op, reason, refused=True, unmarked=True))

        self.host.disk.mark(command.lease, lambda done: self.when_awake(lambda: marked(done)))

    def _send(self, request: Request) -> None:
        command, request.member, request.sent = request.command, self.member, self.host.clock()
        if isinstance(command, (cmd.Resign, cmd.Revoke)) and not getattr(command, "keep_own", False):
            self.world.judge.given_up.add(command.lease)
        if not isinstance(command, cmd.Revoke):
            connection = self.connect()
            request.reply = lambda event: self.world.network.bring(self, connection, request, event)
            patience = self.world.patience / self.host.rate
            self.world.timeline.after(patience, lambda: self.when_awake(lambda: self._timeout(request), timer=True))
        self.world.network.carry(self, lambda: self.world.service.receive(request), request)

    @staticmethod
    def _ignore(event: ev.Event) -> None:
        """A revocation is not answered."""

    # --- the connection

    @property
    def member(self) -> Member:
        return self.world.cluster.members[self.host.connection]

    def connect(self) -> Connection:
        """The connection there is, or a new one."""
        if self.connection is None:
            self.connection = Connection(self.member.boots)
        return self.connection

    def delay(self) -> float | None:
        return self.world.network.delay_of_event(self)

    def _timeout(self, request: Request) -> None:
        if self.pending.get(request.command.op) is request:
            self.fail(request, "timed out")

    def fail(self, request: Request, reason: str) -> None:
        """A call has failed: close the connection, fail all else that was on it, go to another member."""
        failed = [request, *(other for other in self.pending.values() if other is not request)]
        told = [ev.Failed(other.command.op, reason) for other in failed]
        self.disconnect()
        for event in told:
            if event.op in self.pending:
                self.take(event)

    def broken(self, reason: str) -> None:
        """The connection was broken at the other end."""
        for request in list(self.pending.values()):
            if request.command.op in self.pending:
                self.fail(request, reason)
                return
        self.disconnect()

    def disconnect(self) -> None:
        self.connection = None
        self.host.connection = (self.host.connection + 1) % len(self.world.cluster.members)
        watcher, self.watcher = self.watcher, None
        if watcher is not None and watcher.closed is None:
            watcher.closed = self.world.timeline.now
            lost = ev.WatchLost("the connection was closed")
            self.world.timeline.after(
                self.world.rng.uniform(0.0, 0.02), lambda: self.when_awake(lambda: self.take(lost))
            )

    # --- time

    def _arm(self) -> None:
        """See that a Tick comes when the machine wants one; a little late, as an event loop is."""
        wanted = self.election.deadline()
        if wanted is None or self.dead:
            return
        instant = max(self.host.true(wanted), self.world.timeline.now)
        if self._wake_at is None or instant < self._wake_at:
            self._wake_at = instant
            late = self.world.rng.choice((1e-6, 0.001, 0.01))
            self.world.timeline.at(instant + late, self._wake, instant)

    def _wake(self, armed: float) -> None:
        if self._wake_at == armed:
            self._wake_at = None
            self.when_awake(self._tick, timer=True)

    def _tick(self) -> None:
        wanted = self.election.deadline()
        if wanted is not None and wanted <= self.host.clock():
            self.take(ev.Tick())
        else:
            self._arm()

    # --- what befalls a process

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        """The first thing that a thawed process may do is to answer a `/leader` that was waiting."""
        self.frozen = False
        self.awake_since = self.world.timeline.now
        self.world.judge.check()
        messages, timers = self._messages, self._timers
        self._messages, self._timers = [], []
        for action in (messages + timers) if self.world.rng.random() < 0.5 else (timers + messages):
            self.when_awake(action)

    def end(self) -> None:
        self.dead = True
        self.pending.clear()
        if self.watcher is not None:
            self.watcher.closed = self.world.timeline.now

    def is_holding(self) -> bool:
        """Whether it would answer 200 now. A frozen process answers nothing."""
        holding = self.snapshot.state is State.HOLDING and self.snapshot.is_holding(self.host.clock())
        return holding and not self.frozen and not self.dead
