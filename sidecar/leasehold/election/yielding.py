"""Giving up the lock on purpose: at once in what is answered, in etcd when the guarded work has stopped.

Plain case: delete our key, then revoke the lease. Candidates of lower rank may stand between us and the one that
should hold next. Then our record first says `yieldTo`; after that one transaction, which compares that all of them and
the target still stand, deletes our key and theirs. So none of them holds in between, and tokens never fall: those that
are skipped join again at the end. The waiter directly behind us has seen our record change, so it reads the queue
before it holds.

An unknown outcome is never taken for success or failure: the queue is read again, and the deletion is asked for again
if our key still stands. YIELDING leads to IDLE and nowhere else.
"""

from __future__ import annotations

from typing import Final

from leasehold.base.records import replace
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import knowledge, lifecycle, ranking
from leasehold.election.machine import Handover, Machine
from leasehold.election.snapshot import Cause, State

STOP_TIMEOUT_SECONDS: Final = 10.0
"""For so long a stopping sidecar tries to delete its key; after that the lease is left to expire."""
MAX_FAILED_WRITES: Final = 3
"""So often the record is tried to be rewritten; an etcd that is full takes no writes, but it does take deletions."""


def begin(machine: Machine, cause: Cause, now: float, drain: float) -> None:
    """From this moment the answer is no. The key goes once the guarded work has stopped, or after `drain` seconds."""
    led = machine.has_led()
    machine.move(State.YIELDING)
    handover = machine.candidate.handover = Handover(cause, led)
    # whatever was asked was asked in order to hold: its answer is late from here on
    machine.pending.step = machine.pending.retry = None
    if led:
        machine.note("yielding", cause)
    if led and drain > 0:
        handover.drain_until = now + drain
        # the others can learn whom we hand over to while the guarded work still stops
        announce(machine, plan_handover(machine, now))
    else:
        resign(machine, now)


def work_stopped(machine: Machine, event: ev.WorkStopped | ev.Tick, now: float) -> None:
    """The guarded work has stopped, or its time is up."""
    handover = machine.candidate.handover
    if handover.drain_until is not None:
        handover.drain_until = None
        resign(machine, now)


def can_skip(machine: Machine, now: float) -> bool:
    """Whether we know well enough who may hold to skip others, and can say so in our record."""
    etcd, handover = machine.etcd, machine.candidate.handover
    # a broken spec may prefer somebody else; a capacity that fell may have left holders that do not know it yet
    known = not etcd.declared.broken and (etcd.no_skipping_until is None or now >= etcd.no_skipping_until)
    return known and handover.failed_writes < MAX_FAILED_WRITES


def plan_handover(machine: Machine, now: float) -> ranking.HandoverPlan:
    """Who is to hold next, and whom that skips; an empty plan if we do not know enough to skip anybody."""
    view = machine.candidate.view
    # from an incomplete view we would skip to somebody who is not the best, or delete keys that are not between us
    if not view.complete or not can_skip(machine, now):
        return ranking.HandoverPlan()
    return ranking.plan(view.entries, machine.etcd.spec, machine.candidate.token)


def announce(machine: Machine, plan: ranking.HandoverPlan) -> bool:
    """Say in our record whom we hand over to, if that skips others. Whether that is under way now."""
    own = machine.candidate.entry
    # nobody is skipped: the one behind us may hold as soon as it sees our key go, without a read
    if not plan.skipped or plan.target is None:
        return False
    record = replace(machine.config.record, yield_to=plan.target.record.identity)
    # the record says so already
    if own.record.yield_to == record.yield_to:
        return False
    machine.ask(cmd.Write(machine.next_op(), own.lease, record, own.create_revision, own.mod_revision))
    return True


def resign(machine: Machine, now: float) -> None:
    """Delete our key, and those that must not hold before the preferred one; read first what is not known."""
    candidate, handover = machine.candidate, machine.candidate.handover
    limit_stop(machine, now)
    machine.schedule_keep_alive(machine.pending.keep_alive_at)
    # an answer is awaited: it leads back here
    if machine.pending.step is not None:
        return
    # a leader needs a complete view to hand over to the right one; a waiter just leaves its place
    if handover.outcome_unknown or (handover.led and not candidate.view.complete):
        lifecycle.read_queue(machine, now)
        return
    plan = plan_handover(machine, now)
    if not announce(machine, plan):
        _delete(machine, plan)


def limit_stop(machine: Machine, now: float) -> None:
    """A process that stops cannot wait for etcd without limit, once the drain time is over: the key expires then."""
    handover = machine.candidate.handover
    if machine.intent.stopping and handover.stop_by is None and not machine.candidate.is_draining:
        handover.stop_by = now + STOP_TIMEOUT_SECONDS


def _delete(machine: Machine, plan: ranking.HandoverPlan) -> None:
    own, handover = machine.candidate.entry, machine.candidate.handover
    # in parts, our own key stays until the last one
    if not plan.in_parts:
        handover.resigned = True
    # the plan is only as good as the spec that it was made from; without one any spec will do
    spec = machine.etcd.declared.revision if plan.skipped else None
    parts = (plan.skipped, plan.guards, spec, plan.in_parts)
    machine.ask(cmd.Resign(machine.next_op(), own.lease, own.create_revision, *parts))


def written(machine: Machine, event: ev.Written, now: float) -> None:
    """The record was rewritten, or keys were deleted; or a comparison did not hold."""
    candidate, handover = machine.candidate, machine.candidate.handover
    command = machine.pending.question
    machine.pending.step = None
    if isinstance(command, cmd.Resign) and event.done and not command.keep_own:
        lifecycle.lose(machine, now, "given up")
        return
    if isinstance(command, cmd.Write) and event.done:
        candidate.own = replace(candidate.entry, record=command.record, mod_revision=event.origin.revision)
    else:
        # the queue is not what we took it for: somebody came or went, or it was us
        handover.outcome_unknown = True
    _go_on(machine, now)


def queue_read(machine: Machine, event: ev.QueueRead, now: float) -> None:
    """The queue as it is: does our key still stand?"""
    if lifecycle.take_view(machine, event, now):
        machine.candidate.handover.outcome_unknown = False
        # the queue may change while the guarded work stops; without that, our key goes next
        if machine.candidate.is_draining:
            knowledge.watch(machine, machine.candidate.view.revision)
        _go_on(machine, now)


def failed(machine: Machine, event: ev.Failed, now: float) -> None:
    """No answer, or an error."""
    machine.fail(event.code, event.reason)
    handover = machine.candidate.handover
    if machine.pending.is_keep_alive(event.op):
        lifecycle.keep_alive_failed(machine, event, now)
    # the lease is gone, and the key with it: there is nothing to delete
    elif event.lease_gone:
        lifecycle.lose(machine, now, "our lease has expired")
    elif event.unmarked:
        # a restart could take the key up again after its deletion: so it is not deleted
        machine.note("left-to-expire", "the resume file cannot be marked: the lease is not renewed any more")
        lifecycle.leave(machine, now, machine.back_off())
    else:
        handover.outcome_unknown = True
        # an etcd that is full takes no writes: after a few, the key goes without an announcement
        handover.failed_writes += isinstance(machine.pending.question, cmd.Write)
        machine.schedule(machine.short_delay(), now, _go_on)


def _go_on(machine: Machine, now: float) -> None:
    """Nothing is under way: resign, unless the guarded work still runs; then only what is unknown is read."""
    candidate, handover = machine.candidate, machine.candidate.handover
    if not candidate.is_draining:
        resign(machine, now)
    elif handover.outcome_unknown and machine.pending.step is None:
        lifecycle.read_queue(machine, now)


def watch_lost(machine: Machine, event: ev.WatchLost, now: float) -> None:
    """No watch is opened for the end of a candidate: the queue is read again before it matters."""
    knowledge.forget_watch(machine)


def stop_timed_out(machine: Machine, now: float) -> None:
    """etcd has not answered a stopping sidecar in time."""
    machine.note("left-to-expire", "etcd did not answer in time: the lease is left to expire")
    # a revoke is still sent, without waiting for its answer: it may get through
    lifecycle.drop_lease(machine)
    lifecycle.leave(machine, now, 0.0)
