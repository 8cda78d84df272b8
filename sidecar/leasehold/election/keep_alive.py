"""Keeping the lease alive, and confirming that it is: `lease.py` says what that takes and why."""

from __future__ import annotations

from typing import Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import knowledge, lifecycle, queued
from leasehold.election.machine import Machine
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry

UNCONFIRMED_BEFORE_NOTE: Final = 5
"""So many keep-alives in a row without confirmation are worth a line in the log."""
KEEP_ALIVES_PER_FULL_READ: Final = 6
"""Every so many keep-alives, two TTLs, the confirming read reads in any case: it shows how many candidates there are,
and so whether a watch of the whole queue has missed one. A multiple of two, for the waiters."""


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
    if candidate.lease.is_unconfirmed:
        lifecycle.lose(machine, now, "our lease was renewed for a whole TTL, but never confirmed")
        return
    machine.schedule_keep_alive(event.sent + candidate.lease.interval)
    if _needs_confirming(machine):
        ahead = candidate.view.just_ahead(candidate.token)
        expected = _expected(machine, ahead)
        lease, key = candidate.entry.lease, ahead.key if ahead else None
        machine.ask_keep_alive(cmd.ReadOwn(machine.next_op(), lease, key, expected))


def _needs_confirming(machine: Machine) -> bool:
    """Whether this keep-alive is to be confirmed: always by holders, drained or not; by waiters every other one.

    Waiters need that many: a member that hangs passes their keep-alives on but falls silent as a watch, and only a
    linearizable read finds that out before it is their turn. Holders need all: with half of them, an outage of etcd
    half as long would end a term.
    """
    candidate = machine.candidate
    if machine.state is not State.WAITING:
        return machine.state is not State.YIELDING or candidate.is_draining
    return candidate.unconfirmed > 0 or candidate.keep_alives % 2 == 0 or knowledge.is_first_unwatched(machine)


def _expected(machine: Machine, ahead: Entry | None) -> cmd.Expected | None:
    """What the confirming read has to find if all is as we know it; None if it is to read in any case."""
    own = machine.candidate.entry
    if machine.candidate.keep_alives % KEEP_ALIVES_PER_FULL_READ == 0 or knowledge.is_first_unwatched(machine):
        return None
    spec = machine.etcd.declared.revision
    return cmd.Expected(own.create_revision, own.mod_revision, spec, ahead.mod_revision if ahead else 0)


def unchanged(machine: Machine, event: ev.Unchanged, now: float) -> None:
    """All that was compared is as it was when we asked: that confirms the lease, and says nothing new."""
    machine.pending.keep_alive = None
    _confirm(machine, event.origin, now)
    if knowledge.is_watched_wrongly(machine, 0):
        queued.reread(machine, now)


def own_read(machine: Machine, event: ev.OwnRead, now: float) -> None:
    """The confirming read was answered, and read."""
    candidate, asked = machine.candidate, machine.pending.find(event.op)
    machine.pending.keep_alive = None
    if not lifecycle.is_still_ours(machine, event.own, now):
        return
    before = machine.etcd.spec
    changed = knowledge.adopt(machine, event.declared, event.origin.revision, now)
    _confirm(machine, event.origin, now)
    # an older read says nothing about the watches: they may have shown what came after it
    newest = event.origin.revision >= max(candidate.watch_revision, candidate.view.revision)
    if newest and asked is not None and isinstance(asked.command, cmd.ReadOwn):
        _compare_with_watches(machine, event, asked.command.ahead, now)
    if changed:
        queued.respond_to_spec(machine, before, now)
    queued.give_up_detached(machine, now)


def _confirm(machine: Machine, header: ev.ResponseHeader, now: float) -> None:
    """The keep-alive counts if this answer comes from the member, and the term, of the one before it."""
    if not machine.candidate.lease.confirm(header):
        _not_confirmed(machine, now)
        return
    machine.failures = machine.candidate.unconfirmed = 0
    machine.recover()
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


def _compare_with_watches(machine: Machine, event: ev.OwnRead, ahead: str | None, now: float) -> None:
    """The confirming read also shows whether the watches have kept us up to date; if not, they are renewed."""
    candidate, watching = machine.candidate, machine.etcd.watching
    missed = _has_missed(machine, event, ahead)
    if machine.state is State.WAITING and (watching is None or not watching.queue):
        # the head proves that all before it are gone, though nobody watches them
        candidate.view = candidate.view.behind(event.head)
    if missed:
        knowledge.forget_watch(machine)
    if missed or knowledge.is_watched_wrongly(machine, event.count):
        queued.reread(machine, now)
    elif knowledge.is_first_unwatched(machine):
        # this read shows both keys that we watched, as we know them: a watch from here on misses nothing of them
        knowledge.watch(machine, event.origin.revision)


def _has_missed(machine: Machine, event: ev.OwnRead, ahead: str | None) -> bool:
    """Whether a key that we watch was deleted or rewritten, or one has come, and no event said so."""
    watching, view = machine.etcd.watching, machine.candidate.view
    # nothing is watched while a read is on its way, or about to be
    if watching is None:
        return False
    if ahead is not None and view.own(ahead) != event.ahead:
        return True
    # the count is all that a read of few keys shows of the others; 0 if it is not known
    return watching.queue and view.complete and event.count not in (0, len(view.entries))
