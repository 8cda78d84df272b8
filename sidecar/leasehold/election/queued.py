"""In the queue: deciding what our place makes of us, and following the watches.

A place is evaluated from a view that nobody ahead of us is missing from: after a linearizable read, or, by a waiter,
when the one key ahead of it is deleted and that alone proves the way clear. Everything else that happens here leads to
a read, to a new evaluation, or to the end of the candidate.
"""

from __future__ import annotations

from typing import Final

from leasehold.election import events as ev
from leasehold.election import knowledge, lifecycle, ranking, yielding
from leasehold.election.machine import Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import Cause, State
from leasehold.lock.spec import Spec

_USELESS_PLACE: Final = (Cause.TOKEN, Cause.PREFERRED, Cause.DETACHED)
"""Nothing comes of waiting there: the token is too low, others come first, or the key would outlive its lease."""

# --- our place --------------------------------------------------------------------------------------------------------


def reread(machine: Machine, now: float) -> None:
    """Read the queue unless that is under way."""
    # an answer older than what the watches show is asked for again, so a second read would show nothing more
    if machine.pending.step is None:
        lifecycle.read_queue(machine, now)


def queue_read(machine: Machine, event: ev.QueueRead, now: float) -> None:
    """The whole queue at one revision: with it our place can be evaluated."""
    if lifecycle.take_view(machine, event, now):
        take_place(machine, now)


def take_place(machine: Machine, now: float) -> None:
    """A read of the whole queue has just shown our key: decide what we are, and watch from there on."""
    evaluate(machine, now)
    # a candidate that yields at once needs no watch: its key is about to go
    if machine.state is not State.YIELDING or machine.candidate.is_draining:
        knowledge.watch(machine, machine.candidate.view.revision)


def evaluate(machine: Machine, now: float) -> None:
    """Decide what we are. The view is known to be right for those ahead of us."""
    if not machine.candidate.lease.is_valid(now):
        _be_unsure(machine, now)
        return
    cause = reason_not_to_hold(machine, now)
    if cause is None:
        hold(machine, now)
    # a waiter stays where it is unless its place itself is of no use
    elif machine.state is State.HOLDING or cause in _USELESS_PLACE or machine.is_undeclared():
        yielding.begin(machine, cause, now, machine.config.drain)
    else:
        machine.move(State.WAITING)
        # somebody else is ahead of the key that we took over: the earlier process's work cannot run under it any more
        machine.candidate.may_have_led = machine.candidate.may_have_led and cause is not Cause.CAPACITY


def _be_unsure(machine: Machine, now: float) -> None:
    # ask for the lease at once; an unsure candidate asks already, at the pace of its failures
    if machine.state is not State.UNSURE:
        machine.schedule_keep_alive(min(machine.pending.keep_alive_at, now))
    machine.move(State.UNSURE)


def reason_not_to_hold(machine: Machine, now: float) -> Cause | None:
    """Why we are not to hold, or None. The order counts: the guarantee first, then what the lock asks for."""
    token, spec, view = machine.candidate.token, machine.etcd.spec, machine.candidate.view
    # a key that does not go with our lease must not stay, wherever it stands
    if machine.candidate.detached:
        return Cause.DETACHED
    if len(view.ahead(token)) >= spec.capacity:
        return Cause.CAPACITY
    if spec.suspend or machine.is_undeclared():
        return Cause.SUSPENDED
    if token <= spec.handover_up_to_token:
        return Cause.TOKEN
    # nobody yields to somebody preferred whom it could not reach: the next in line would hold instead
    if yielding.can_skip(machine, now) and ranking.should_yield(view.entries, spec, token):
        return Cause.PREFERRED
    return None


def hold(machine: Machine, now: float) -> None:
    """We lead, from now on, until the lease's deadline."""
    # a waiter confirms only every other keep-alive: of its deadline less than half a TTL may be left, too little to
    # begin work that takes time to stop
    if machine.state is State.WAITING:
        machine.schedule_keep_alive(min(machine.pending.keep_alive_at, now))
    machine.move(State.HOLDING)
    # a term goes on when the lease is confirmed again: same key, same token
    if machine.candidate.term_since is None:
        machine.candidate.term_since = now


def reconsider(machine: Machine, now: float) -> None:
    """Somebody came, changed or went behind a holder: is there one that is preferred to us?"""
    # waiters need not ask: what is behind them does not change their place
    if machine.state is State.HOLDING and machine.candidate.view.complete:
        evaluate(machine, now)


def respond_to_spec(machine: Machine, before: Spec, now: float) -> None:
    """The spec has changed."""
    spec, holding = machine.etcd.spec, machine.state is State.HOLDING
    # these two need no view of those behind us: a holder must not wait for a read before it stops leading
    at_once = (Cause.SUSPENDED, Cause.CAPACITY)
    if holding and (machine.candidate.view.complete or reason_not_to_hold(machine, now) in at_once):
        evaluate(machine, now)
    # a waiter far back does not read: its turn is not before others', and a thousand waiters would read at once
    elif before.capacity != spec.capacity or machine.is_undeclared() or not _is_far_back(machine, now):
        reread(machine, now)


def _is_far_back(machine: Machine, now: float) -> bool:
    return machine.state is State.WAITING and reason_not_to_hold(machine, now) is Cause.CAPACITY


# --- what the watches show -------------------------------------------------------------------------------------------


def entry_put(machine: Machine, event: ev.EntryPut, now: float) -> None:
    """A candidate joined, or rewrote its record; it may be our own key that somebody else wrote."""
    candidate, entry = machine.candidate, event.entry
    knowledge.saw_revision(machine, entry.mod_revision)
    candidate.view = candidate.view.put(entry)
    # a holder announces a handover: if our key is deleted next, that is no loss
    candidate.may_be_skipped = candidate.may_be_skipped or bool(entry.record.yield_to)
    if entry.key != candidate.entry.key:
        reconsider(machine, now)
    # our own writes come back as events, and an old one must not undo what is known
    elif entry.mod_revision > candidate.entry.mod_revision and lifecycle.is_still_ours(machine, entry, now):
        give_up_detached(machine, now)


def give_up_detached(machine: Machine, now: float) -> None:
    """Our key was seen: end the candidate if the key is not our lease's any more."""
    if machine.candidate.detached and machine.state is not State.YIELDING:
        evaluate(machine, now)


def entry_gone(machine: Machine, event: ev.EntryGone, now: float) -> None:
    """A candidate's key is gone: ours, or one that may have stood in the way."""
    candidate = machine.candidate
    if event.key == candidate.entry.key:
        _own_gone(machine, now)
        return
    knowledge.saw_revision(machine, event.revision)
    view, token = candidate.view, candidate.token
    candidate.view = view.gone(event.key, event.revision)
    if machine.state is not State.WAITING:
        reconsider(machine, now)
    elif not _is_news_only(machine, view):
        # asked of the view before, for it depends on what the key's record said
        moved_up(machine, view.clears_the_way(event.key, token, event.revision), now)


def _is_news_only(machine: Machine, before: QueueView) -> bool:
    """Whether a deletion shows a waiter in a long queue who leads, and nothing about its own place."""
    view, token = machine.candidate.view, machine.candidate.token
    # All waiters of a long queue watch its first key. If each of them read the queue when that goes, etcd could do
    # nothing else. With the same key ahead as before it is not our turn, and that key is watched.
    far = not view.complete and machine.etcd.spec.capacity == 1
    return far and view.just_ahead(token) == before.just_ahead(token)


def _own_gone(machine: Machine, now: float) -> None:
    # a waiter that a holder was about to skip joins again, as a matter of course; anybody else has lost
    skipped = machine.state is State.WAITING and machine.candidate.may_be_skipped
    if skipped:
        machine.note("passed-by", "a holder hands over to one who is preferred: joining again")
    lifecycle.lose(machine, now, "our key was deleted", expected=skipped)


def moved_up(machine: Machine, clear: bool, now: float) -> None:
    """A waiter whose way is certainly clear holds at once, and reads then; any other reads first."""
    # at once is sound: our own key stands until the deadline at least, and nobody can come in ahead of it
    if clear and machine.etcd.spec.capacity == 1 and reason_not_to_hold(machine, now) is None:
        hold(machine, now)
    # with a complete view of a queue in which it is not our turn, a read would show nothing
    if not machine.candidate.view.complete or reason_not_to_hold(machine, now) is not Cause.CAPACITY:
        reread(machine, now)


def skipping_allowed_again(machine: Machine, now: float) -> None:
    """A TTL has passed since the capacity fell: preferences count again."""
    machine.etcd.no_skipping_until = None
    reconsider(machine, now)


def spec_changed(machine: Machine, event: ev.SpecChanged, now: float) -> None:
    """The operator wrote or deleted the lock's spec."""
    knowledge.saw_revision(machine, event.revision)
    before = machine.etcd.spec
    if knowledge.adopt(machine, event.declared, event.revision, now):
        respond_to_spec(machine, before, now)


def watch_lost(machine: Machine, event: ev.WatchLost, now: float) -> None:
    """Events may have been missed: read the queue, and watch again from there."""
    knowledge.forget_watch(machine)
    machine.fail(event.code, event.reason)
    # a step under way leads to a read, and the read to a new watch
    if machine.pending.step is None:
        machine.schedule(machine.back_off(), now, lifecycle.read_queue)


def failed(machine: Machine, event: ev.Failed, now: float) -> None:
    """A question had no answer."""
    machine.fail(event.code, event.reason)
    if machine.pending.is_keep_alive(event.op):
        lifecycle.keep_alive_failed(machine, event, now)
    else:
        machine.schedule(machine.back_off(), now, lifecycle.read_queue)
