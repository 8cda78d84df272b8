"""The judge of a handover: nobody is skipped who should come next, as far as the one who hands over knew.

`passed-by` is the invariant. What a process knew of the queue and of the spec is kept from the moment at which it
commanded to give up: what it could not know is not held against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec

from .violation import CALM, Violation

if TYPE_CHECKING:
    from .node import Process
    from .world import World


class HandoverJudge:
    """Watches what processes learn, and raises Violation if one skips somebody better."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._knowledge: dict[tuple[int, int], tuple[set[int], int]] = {}

    def learn(self, process: Process, event: ev.Event, commands: Sequence[cmd.Command]) -> None:
        """Keep what a process knew of the queue and the spec when it commanded to give up."""
        if isinstance(event, (ev.Joined, ev.QueueRead)):
            process.knows = {entry.key: entry for entry in event.queue}
        elif isinstance(event, ev.EntryPut):
            process.knows[event.entry.key] = event.entry
        elif isinstance(event, ev.EntryGone):
            process.knows.pop(event.key, None)
        if isinstance(event, (ev.SpecRead, ev.QueueRead, ev.OwnRead, ev.SpecChanged)):
            self._learn_spec(process, event.declared)
        self._count_unwritten(process, event)
        for command in commands:
            if isinstance(command, cmd.Resign) and process.led:
                known = {entry.create_revision for entry in process.knows.values()}
                if any(entry.record.foreign for entry in process.knows.values()) or process.unwritten >= 3:
                    known.clear()  # what is not ours may be in the way; and a full etcd lets nobody say `yieldTo`
                if process.capacity_fell + CALM > self.world.timeline.now:
                    known.clear()  # whom it would pass by may still believe to hold
                self._knowledge[(command.lease, command.op)] = (known, process.knows_spec)

    def _count_unwritten(self, process: Process, event: ev.Event) -> None:
        if process.snapshot.state is not State.YIELDING:
            process.unwritten = 0
        elif isinstance(event, ev.Failed) and isinstance(process.answered, cmd.Write):
            process.unwritten += 1

    def _learn_spec(self, process: Process, declared: ev.Declared) -> None:
        """Whoever hears of another spec may hear that the capacity fell, if it was ever above 1."""
        if declared.revision != process.knows_spec and self.world.judge.highest_capacity > 1:
            process.capacity_fell = self.world.timeline.now
        process.knows_spec = max(process.knows_spec, declared.revision)

    def gives_up(self, command: cmd.Resign, queue: Sequence[Entry]) -> None:
        """A `Resign` takes effect; `queue` is as it was before."""
        own = next(entry for entry in queue if entry.lease == command.lease and entry.create_revision == command.token)
        gone = {entry.key for entry in command.skipped} | ({own.key} if not command.keep_own else set())
        left = [entry for entry in queue if entry.key not in gone]
        if any(entry.record.foreign for entry in command.skipped):
            raise Violation("passed-by", "a candidate that is not ours was passed by")
        holders = {entry.key for entry in queue[: (self.world.cluster.store.declared.spec or Spec()).capacity]}
        if command.skipped and holders & {entry.key for entry in command.skipped}:
            raise Violation("passed-by", f"{own.record.identity} deletes the key of another holder")
        spec = self.world.cluster.store.declared.spec or Spec()
        for passed in command.skipped:
            behind = [entry for entry in left if entry.create_revision > passed.create_revision]
            if not any(rank(entry, spec) > rank(passed, spec) for entry in behind):
                raise Violation("passed-by", f"{passed.record.identity} is passed by for nobody better")
        knowledge = self._knowledge.get((command.lease, command.op))
        # with a capacity above 1, who is next depends on other holders: `place` judges what comes of it
        if knowledge is not None and queue[0] is own and not command.keep_own and self.world.judge.capacity() == 1:
            self._check_successor(own, left, *knowledge)

    def _check_successor(self, own: Entry, left: Sequence[Entry], known: set[int], known_spec: int) -> None:
        """Nobody may come next if somebody better was known to stand behind, and could be put first."""
        declared = self.world.cluster.store.declared
        if declared.revision > known_spec or declared.broken or not left:
            return
        spec = declared.spec or Spec()
        for better in left:
            if better.create_revision in known and rank(better, spec) > rank(left[0], spec):
                names = f"{left[0].record.identity} comes next, although {better.record.identity} is preferred"
                raise Violation("passed-by", f"{own.record.identity} gives up, and {names}")


def rank(entry: Entry, spec: Spec) -> tuple[bool, bool, int]:
    """The design's order, in words of its own: named, of the preferred group, of high priority."""
    record = entry.record
    named = spec.preferred_holder != "" and record.identity == spec.preferred_holder
    grouped = spec.preferred_group != "" and record.group == spec.preferred_group
    return (named, grouped and not record.foreign, 0 if record.foreign else record.priority)
