"""What must hold, at every instant at which anything changes; and the windows in which the design lets it not.

`place`       whoever would answer 200 has its own key among the first `capacity` of etcd's queue
`capacity`    no more than `capacity` would (the largest in force during the last TTL)
`token`       tokens grow from candidate to candidate, in the order in which they first held
`never-again` nobody holds under a candidate that it began to give up
`passed-by`   a holder that hands over leaves nobody before the one whom it hands over to
`obeys`       nobody holds one TTL after the lock was suspended, or its token was to be handed over
`rate`        a handful of attempts a second while nothing is answered; no Tick that leads to a Tick at once
`noticed`     if candidates are back that a process knew to be gone, it says that etcd was restored
`snapshot`    what is published is consistent
`liveness`    once faults stop, somebody holds, and the right one, within the bound: judged by the world

Excused are: one candidate whose key was deleted, revoked or overwritten from outside, until its watch (or any read)
says so, or would say so; everybody, for one TTL after etcd lost data; a schedule whose clocks break the bound, as to
`place`, `capacity` and `token`. Nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leasehold.candidate.replay_check import broken_by_snapshot
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec

from .handover_judge import HandoverJudge
from .store import KEYS
from .violation import Violation
from .watches import Watcher

if TYPE_CHECKING:
    from .node import Process
    from .world import World


@dataclass(slots=True)
class Excuse:
    """A candidate was ended from outside, after `revision`, and may not know it yet.

    `tellings` are when its watches say so.
    """

    revision: int
    tellings: list[tuple[float, Watcher]] = field(default_factory=list)
    told: bool = False


class Judge:
    """Watches everybody, and raises Violation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.handovers = HandoverJudge(world)
        self.void_until = -1.0
        self.clocks_hold = True
        self.expects_data_loss = False
        self.excuses: dict[int, Excuse] = {}
        self.given_up: set[int] = set()
        self.first_held: set[tuple[int, int]] = set()
        self.highest = 0
        self.highest_capacity = 1
        self._spec_seen = -1
        self._capacities: list[tuple[float, int]] = [(0.0, 1)]
        self._suspended: float | None = None
        self._up_to: list[tuple[float, int]] = []

    def fail(self, invariant: str, story: str) -> None:
        raise Violation(invariant, story)

    # --- the spec in force

    def committed(self) -> None:
        """Something was agreed on in etcd."""
        declared = self.world.cluster.store.declared
        if declared.revision != self._spec_seen:
            self._spec_seen = declared.revision
            self._in_force(declared)
        self.check()

    def _in_force(self, declared: ev.Declared) -> None:
        now, spec = self.world.timeline.now, declared.spec or Spec()
        if declared.broken:  # the last good spec stays in force, for those who know it
            self._capacities.append((now, max(1, self._capacities[-1][1])))
            self._suspended, self._up_to = None, []
            return
        self._capacities.append((now, spec.capacity))
        self.highest_capacity = max(self.highest_capacity, spec.capacity)
        self._suspended = None if not spec.suspend else now if self._suspended is None else self._suspended
        if not self._up_to or self._up_to[-1][1] != spec.handover_up_to_token:
            self._up_to.append((now, spec.handover_up_to_token))

    def capacity(self) -> int:
        """The largest in force during the last TTL."""
        since = self.world.timeline.now - self.world.cluster.longest_ttl
        ends = [start for start, _ in self._capacities[1:]] + [float("inf")]
        recent = [pair for pair, end in zip(self._capacities, ends, strict=True) if end >= since]
        self._capacities = recent
        return max(capacity for _, capacity in recent)

    # --- excuses

    def lost_data(self) -> None:
        """etcd was restored or wiped: one TTL is void."""
        self.void_until = self.world.timeline.now + self.world.cluster.longest_ttl
        self.highest = 0
        self.excuses.clear()
        self._capacities.append((self.world.timeline.now, self._capacities[-1][1]))

    def excuse(self, lease: int) -> None:
        """The candidate of this lease is about to be ended from outside."""
        self.excuses[lease] = Excuse(self.world.cluster.store.revision)

    def tells(self, lease: int, instant: float, watcher: Watcher) -> None:
        """By then, a watch of its own key will have told this candidate's process that it has ended."""
        if lease in self.excuses:
            self.excuses[lease].tellings.append((instant, watcher))
            if instant < float("inf"):
                self.world.timeline.at(instant + 1e-9, self.check)

    def _is_excused(self, process: Process) -> bool:
        excuse = self.excuses.get(process.lease or 0)
        if excuse is None or excuse.told:
            return False
        now = self.world.timeline.now
        for instant, watcher in excuse.tellings:
            closed = watcher.closed if watcher.closed is not None else float("inf")
            if instant < now and instant < closed and process.awake_since < now:
                return False
        return True

    def _hears(self, process: Process, event: ev.Event) -> None:
        """Whether this event tells its process that its candidate has ended."""
        lease = process.lease
        if lease is None or lease not in self.excuses:
            return
        key = KEYS.entry(lease)
        own: Entry | None
        if isinstance(event, ev.EntryGone) and event.key == key:
            self.excuses[lease].told = True
            return
        # a sound question, answered as late as that, would have told
        if isinstance(event, ev.Unchanged) and process.answers(event):
            self.excuses[lease].told |= event.origin.revision > self.excuses[lease].revision
            return
        if isinstance(event, ev.EntryPut) and event.entry.key == key:
            own = event.entry
        elif isinstance(event, ev.OwnRead) and process.answers(event):
            own = event.own
        elif isinstance(event, ev.QueueRead) and process.answers(event):
            own = next((entry for entry in event.queue if entry.key == key), None)
        else:
            return
        if own is None or own.record.incarnation != process.settings.record.incarnation:
            self.excuses[lease].told = True

    # --- what a process did

    def observe(self, process: Process, event: ev.Event, before: Snapshot, commands: Sequence[cmd.Command]) -> None:
        """A process took an event: judge what it published and what it commanded."""
        if self.excuses:
            self._hears(process, event)
        if process.snapshot.state is State.YIELDING and before.state is not State.YIELDING:
            process.led = before.state in (State.HOLDING, State.UNSURE) and before.term_since is not None
        self.handovers.learn(process, event, commands)
        self._check_snapshot(process, before)
        self._check_restore_is_noted(process, event, commands)
        self._check_rate(process, event, commands)
        if process.snapshot.state is State.YIELDING and process.lease is not None:
            process.yielded = process.lease
        if process.snapshot.state is State.HOLDING or before.state is State.HOLDING:
            self.check()
            self._check_token(process)

    def _check_snapshot(self, process: Process, before: Snapshot) -> None:
        for broken in broken_by_snapshot(before, process.snapshot):
            self.fail(broken.rule, f"{process.host.name} {broken.story}")

    def _check_restore_is_noted(self, process: Process, event: ev.Event, commands: Sequence[cmd.Command]) -> None:
        """A queue whose first key is older than the first one that the same process saw before: etcd was restored."""
        noted = any(isinstance(command, cmd.Note) and command.kind == "rolled-back" for command in commands)
        if noted:
            process.first_seen = (0, 0)
        queued = process.snapshot.state in (State.WAITING, State.HOLDING, State.UNSURE)
        if not isinstance(event, (ev.Joined, ev.QueueRead)) or not queued or not process.answers(event):
            return
        revision, token = process.first_seen
        first = min((entry.create_revision for entry in event.queue), default=event.origin.revision + 1)
        if event.origin.revision > revision:
            if first < token and not noted:
                self.fail("noticed", f"{process.host.name} sees {first} first after {token}, and says nothing")
            process.first_seen = (event.origin.revision, first)

    def _check_rate(self, process: Process, event: ev.Event, commands: Sequence[cmd.Command]) -> None:
        answered = isinstance(event, ev.Answer) and process.answers(event)
        for broken in process.rate.judge(event, self.world.timeline.now, commands, answered=answered):
            self.fail(broken.rule, f"{process.host.name} {broken.story}")
        if isinstance(event, ev.Tick):
            wanted = process.election.deadline()
            if wanted is not None and wanted <= process.host.clock() and not commands:
                self.fail("rate", f"{process.host.name} wants a Tick at once after a Tick")

    def _check_token(self, process: Process) -> None:
        token = process.snapshot.token
        if token is None or not process.is_holding() or (self.world.epoch, token) in self.first_held:
            return
        self.first_held.add((self.world.epoch, token))
        if self.capacity() > 1 or self.world.timeline.now <= self.void_until:
            self.highest = 0
        elif not self._is_excused(process):
            if token <= self.highest and self.clocks_hold:
                self.fail("token", f"{process.host.name} holds under {token} after {self.highest}")
            self.highest = max(self.highest, token)

    def noted(self, process: Process, note: cmd.Note) -> None:
        if note.kind == "rolled-back" and not self.expects_data_loss:
            self.fail("snapshot", f"{process.host.name} says that etcd lost data, which it did not")

    # --- who holds

    def check(self) -> None:
        """Judge everybody who would answer 200 now."""
        holders = [host.process for host in self.world.hosts if host.process and host.process.is_holding()]
        for process in holders:
            if process.lease in self.given_up or process.lease == process.yielded:
                self.fail("never-again", f"{process.host.name} holds under a candidate that it gave up")
        if holders and self.clocks_hold and self.world.timeline.now > self.void_until:
            counted = [process for process in holders if not self._is_excused(process)]
            if counted:
                self._check_places(counted)
                self._check_obedience(counted)

    def _check_places(self, holders: list[Process]) -> None:
        capacity = self.capacity()
        if len(holders) > capacity:
            names = ", ".join(process.host.name for process in holders)
            self.fail("capacity", f"{names} hold, and the capacity is {capacity}")
        first = list(self.world.cluster.store.entries.values())[:capacity]
        for process in holders:
            if not any(self._is_of(process, entry) for entry in first):
                token, ahead = process.snapshot.token, [entry.create_revision for entry in first]
                self.fail("place", f"{process.host.name} holds under {token}, and the holders are {ahead}")

    @staticmethod
    def _is_of(process: Process, entry: Entry) -> bool:
        named = entry.record.incarnation == process.settings.record.incarnation
        return named and entry.lease == process.lease and entry.create_revision == process.snapshot.token

    def _check_obedience(self, holders: list[Process]) -> None:
        long_ago = self.world.timeline.now - self.world.cluster.longest_ttl - 0.1
        if self._suspended is not None and self._suspended < long_ago:
            self.fail("obeys", f"{holders[0].host.name} holds a lock suspended since {self._suspended:.3f}")
        if self._up_to and self._up_to[-1][0] < long_ago and not self.expects_data_loss:
            for process in holders:
                if (process.snapshot.token or 0) <= self._up_to[-1][1]:
                    self.fail("obeys", f"{process.host.name} holds under a token that was to be handed over")
