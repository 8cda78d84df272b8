"""Into the queue: with a fresh lease and key, or with the candidate that an earlier process left behind.

Fresh: read the spec, grant a lease with its TTL, then put the key in one transaction that compares the spec's revision
and reads the queue. If the transaction has no answer, the queue is read. If the key stands, it is used. If it does not,
that proves nothing about a put still under way: its lease is revoked, which the put cannot survive.

Resuming: read the key; if it stands, put our own incarnation into its record, comparing what was read; read again.
Then we are UNSURE of the lease, and hold only after a confirmed keep-alive.
"""

from __future__ import annotations

from typing import Final

from leasehold.base.records import replace
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import keep_alive, knowledge, lifecycle, queued
from leasehold.election.machine import Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import State
from leasehold.lock.reason import Code
from leasehold.lock.record import Entry

UNDECLARED_RETRY_SECONDS: Final = 15.0
"""At most so long until a lock that must be declared is looked for again: its watch may have fallen silent."""


def start(machine: Machine, event: ev.Start, now: float) -> None:
    """The pod takes part from now on."""
    machine.intent = replace(machine.intent, started=True)
    machine.resumable = event.resume
    lifecycle.join_if_wanted(machine, now)


# --- a fresh candidate ------------------------------------------------------------------------------------------------


def spec_read(machine: Machine, event: ev.SpecRead, now: float) -> None:
    """The spec says which TTL to ask for, and whether there is a lock to join at all."""
    knowledge.adopt(machine, event.declared, event.origin.revision, now)
    machine.pending.step = None
    if machine.is_undeclared():
        lock = machine.config.lock
        machine.fail(Code.UNDECLARED, f"the lock {lock} is not declared: create the Lock, or drop --require-lock")
        machine.etcd.watching = cmd.Watch(event.origin.revision + 1)
        machine.out.append(machine.etcd.watching)
        machine.schedule(UNDECLARED_RETRY_SECONDS * machine.rng.uniform(0.5, 1.0), now, lifecycle.read_spec)
    else:
        machine.ask(cmd.Grant(machine.next_op(), machine.ttl_to_ask()))


def spec_changed(machine: Machine, event: ev.SpecChanged, now: float) -> None:
    """The spec that we wait for may be there."""
    # anywhere else the joining transaction compares the spec's revision, and starts over when it moved
    if machine.pending.step is None and machine.is_undeclared():
        lifecycle.read_spec(machine, now)


def entry_gone(machine: Machine, event: ev.EntryGone, now: float) -> None:
    """A watch of our last candidate may show that this one's key is gone before its put is answered."""
    lease = machine.candidate.lease_id
    if lease is not None and event.key == machine.keys.entry(lease):
        lifecycle.lose(machine, now, "our key was deleted")


def watch_lost(machine: Machine, event: ev.WatchLost, now: float) -> None:
    """Only a lock that is not declared yet is waited for by its watch."""
    machine.etcd.watching = None
    if machine.pending.step is None and machine.is_undeclared():
        machine.schedule(machine.back_off(), now, lifecycle.read_spec)


def granted(machine: Machine, event: ev.Granted, now: float) -> None:
    """The lease counts from before its request was sent; a grant is agreed by a majority, so it counts at once."""
    asked = machine.pending.question
    machine.candidate.lease_id = event.lease
    machine.candidate.lease.granted(event.sent, event.ttl, asked.ttl if isinstance(asked, cmd.Grant) else event.ttl)
    revision = machine.etcd.declared.revision
    machine.ask(cmd.Join(machine.next_op(), event.lease, machine.config.record, revision))


def joined(machine: Machine, event: ev.Joined, now: float) -> None:
    """The joining transaction ran."""
    # not created: the spec moved, and with it perhaps the TTL that the lease should have
    if event.created:
        _enter(machine, QueueView.read(event.queue, event.origin.revision), now)
    else:
        _start_over(machine, now)


def queue_read(machine: Machine, event: ev.QueueRead, now: float) -> None:
    """The joining transaction had no answer: does the key stand?"""
    knowledge.adopt(machine, event.declared, event.origin.revision, now)
    view = QueueView.read(event.queue, event.origin.revision)
    # a key that is not there may still come: the put is under way, unless its lease is gone
    if view.own(machine.keys.entry(machine.candidate.lease_id or 0)) is not None:
        _enter(machine, view, now)
    else:
        _start_over(machine, now)


def _enter(machine: Machine, view: QueueView, now: float) -> None:
    """Our key stands in the queue."""
    candidate = machine.candidate
    candidate.view, candidate.own = view, view.own(machine.keys.entry(candidate.lease_id or 0))
    machine.pending.step = None
    machine.recover()
    knowledge.saw_queue(machine, view)
    # whatever is watched belongs to the last candidate: take_place opens a watch from this read on
    machine.etcd.watching = None
    machine.pending.keep_alive_at = candidate.lease.next_due
    if lifecycle.is_still_ours(machine, candidate.own, now):
        queued.take_place(machine, now)


def _start_over(machine: Machine, now: float) -> None:
    """Join again, with a fresh lease; what became of the old one's key no longer matters."""
    lifecycle.drop_lease(machine)
    machine.schedule(machine.back_off(), now, lifecycle.read_spec)


def failed(machine: Machine, event: ev.Failed, now: float) -> None:
    """A question had no answer, or etcd refused it."""
    machine.fail(event.code, event.reason)
    command = machine.pending.question
    if isinstance(command, cmd.Write) and event.lease_gone:
        _not_resumed(machine, now)
    elif isinstance(command, (cmd.ReadOwn, cmd.Write)):
        machine.schedule(machine.back_off(), now, lifecycle.take_up)
    # the key may stand or not: only a read can tell. After a refusal it certainly does not.
    elif isinstance(command, (cmd.Join, cmd.ReadQueue)) and not event.refused:
        machine.schedule(machine.back_off(), now, lifecycle.read_queue)
    else:
        _start_over(machine, now)


def withdraw(machine: Machine, now: float, drain: float) -> None:
    """The pod no longer wants to join: a put under way dies with its lease, and so does a key to be taken up.

    `drain` is how long the guarded work may take to stop, in seconds.
    """
    resumable, machine.resumable = machine.resumable, None
    if resumable is not None and drain > 0:
        # nobody says when that work has stopped, so its key stands as long as it can
        machine.note("left-to-expire", "the earlier process's work may still run: its lease is left to expire")
    else:
        machine.candidate.lease_id = resumable.lease if resumable else machine.candidate.lease_id
        lifecycle.drop_lease(machine)
    lifecycle.leave(machine, now, 0.0)


# --- the candidate of an earlier process ------------------------------------------------------------------------------


def resume_read(machine: Machine, event: ev.OwnRead, now: float) -> None:
    """Does the key still stand? Then say in its record that it is this process that acts for it now."""
    knowledge.adopt(machine, event.declared, event.origin.revision, now)
    own, resumable = event.own, machine.resumable
    # in another cluster the same lease and revision can be anybody's
    other = resumable is not None and resumable.cluster not in (0, event.origin.cluster)
    if own is None or resumable is None or other or own.create_revision != resumable.token or own.record.foreign:
        _not_resumed(machine, now)
    elif own.record.incarnation == machine.config.record.incarnation:
        resumed(machine, own, resumable.lease, event.origin.revision, now)
    else:
        record, token = machine.config.record, own.create_revision
        machine.ask(cmd.Write(machine.next_op(), resumable.lease, record, token, own.mod_revision))


def _not_resumed(machine: Machine, now: float) -> None:
    machine.resumable = None
    machine.note("not-resumed", "the earlier process's key is gone, or its lease: joining with a new one")
    lifecycle.read_spec(machine, now)


def resume_written(machine: Machine, event: ev.Written, now: float) -> None:
    """Read again in either case: what the key says now, or what was in the way."""
    if event.done:
        lifecycle.take_up(machine, now)
    else:
        machine.schedule(machine.back_off(), now, lifecycle.take_up)


def resumed(machine: Machine, own: Entry, lease: int, revision: int, now: float) -> None:
    """The key is ours again."""
    candidate = machine.candidate
    machine.resumable = machine.pending.step = machine.etcd.watching = None
    candidate.lease_id = lease
    lifecycle.learn_own(machine, own)
    candidate.view = QueueView((own,), revision)
    candidate.lease.ttl = machine.ttl_to_ask()
    candidate.may_have_led = True
    # nobody knows when the lease was renewed last: a confirmed keep-alive says whether we may hold
    machine.move(State.UNSURE)
    machine.note("resumed", "taking up the earlier process's term")
    keep_alive.send(machine, now)
