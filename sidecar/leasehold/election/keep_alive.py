"""Keeping the lease alive, and confirming that it is: `lease.py` says what that takes and why."""

from __future__ import annotations

from typing import Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import knowledge, lifecycle, queued
from leasehold.election.machine import Machine
from leasehold.election.snapshot import State

UNCONFIRMED_BEFORE_NOTE: Final = 5
"""So many keep-alives in a row without confirmation are worth a line in the log."""


def send(machine: Machine, now: float) -> None:
    """Renew the lease. The header of the last answer says which member must answer for it to count."""
    machine.candidate.lease.begin(machine.etcd.header)
    machine.ask_keep_alive(cmd.KeepAlive(machine.next_op(), machine.candidate.lease_id or 0))


def kept_alive(machine: Machine, event: ev.KeptAlive, now: float) -> None:
    """A member says that it has renewed the lease; the deadline does not move before that is confirmed."""
    candidate = machine.candidate
    machine.pending.keep_alive = None
    # etcd answers so for a lease that it does not know
    if event.ttl <= 0:
        lifecycle.lose(machine, now, "our lease has expired")
        return
    candidate.keep_alives += 1
    candidate.lease.answered(event.origin, event.sent, event.ttl)
    # to go on would keep the lock from everybody, and never hold it
    if candidate.lease.is_unconfirmed(event.sent):
        lifecycle.lose(machine, now, "our lease was renewed for a whole TTL, but never confirmed")
        return
    machine.schedule_keep_alive(event.sent + candidate.lease.interval)
    if _needs_confirming(machine):
        ahead = candidate.view.just_ahead(candidate.token)
        read = cmd.ReadOwn(machine.next_op(), candidate.entry.lease, ahead.key if ahead else None)
        machine.ask_keep_alive(read)


def _needs_confirming(machine: Machine) -> bool:
    """Whether this keep-alive is to be confirmed: always by holders, drained or not, and the next in line."""
    candidate = machine.candidate
    if machine.state is not State.WAITING:
        return machine.state is not State.YIELDING or candidate.is_draining
    # Those further back confirm every other one. They need to: a member that hangs passes their keep-alives on but
    # falls silent as a watch, and only a linearizable read finds that out before it is their turn.
    next_in_line = len(candidate.view.ahead(candidate.token)) <= machine.etcd.spec.capacity
    return next_in_line or candidate.unconfirmed > 0 or candidate.keep_alives % 2 == 0


def own_read(machine: Machine, event: ev.OwnRead, now: float) -> None:
    """The confirming read was answered."""
    candidate = machine.candidate
    machine.pending.keep_alive = None
    if not lifecycle.is_still_ours(machine, event.own, now):
        return
    before = machine.etcd.spec
    changed = knowledge.adopt(machine, event.declared, event.origin.revision, now)
    if candidate.lease.confirm(event.origin):
        _confirmed(machine, now)
    else:
        _not_confirmed(machine, now)
    # an older read says nothing about the watches: they may have shown what came after it
    if event.origin.revision >= max(candidate.watch_revision, candidate.view.revision):
        _compare_with_watches(machine, event, now)
    if changed:
        queued.respond_to_spec(machine, before, now)


def _confirmed(machine: Machine, now: float) -> None:
    machine.failures = machine.candidate.unconfirmed = 0
    machine.error = None
    # while we were unsure, watches may have been lost: our place is evaluated from a read
    if machine.state is State.UNSURE:
        queued.reread(machine, now)


def _not_confirmed(machine: Machine, now: float) -> None:
    """Another member or term answered than before."""
    machine.candidate.unconfirmed += 1
    # that member is known now, so the next try counts; if it does not either, the members keep changing
    machine.schedule_keep_alive(now + (0.0 if machine.candidate.unconfirmed == 1 else machine.short_delay()))
    if machine.candidate.unconfirmed == UNCONFIRMED_BEFORE_NOTE:
        machine.note("unconfirmed", "etcd's answers come from changing members or terms: the lease cannot be confirmed")


def _compare_with_watches(machine: Machine, event: ev.OwnRead, now: float) -> None:
    """The confirming read also shows whether the watches have kept us up to date; if not, they are renewed."""
    candidate, watching = machine.candidate, machine.etcd.watching
    watching_queue = watching is not None and watching.queue
    if machine.state is State.WAITING and not watching_queue:
        # the head proves that all before it are gone, though nobody watches them
        candidate.view = candidate.view.behind(event.head)
        missed = _has_missed(machine, event)
    else:
        # the count is all that a read of one key shows of the others; 0 if it is not known
        missed = watching_queue and candidate.view.complete and event.count not in (0, len(candidate.view.entries))
    if missed:
        knowledge.forget_watch(machine)
        queued.reread(machine, now)


def _has_missed(machine: Machine, event: ev.OwnRead) -> bool:
    """Whether the key ahead, which we watch, was deleted or rewritten and no event said so."""
    candidate, watching, ahead = machine.candidate, machine.etcd.watching, event.ahead
    # nothing but our own key is watched: it is our turn, or a read is on its way
    if (watching.keys if watching else frozenset()) <= {candidate.entry.key}:
        return False
    return ahead is None or candidate.view.own(ahead.key) != ahead
