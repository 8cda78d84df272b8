"""Planted bugs: the real election with one thing taken out of it, as small as can be.

Each must be caught by the simulation; what catches it, and after how many seeds, `test_mutants.py` says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import joining, keep_alive, knowledge, lifecycle, queued, yielding
from leasehold.election.election import Election
from leasehold.election.lease import LeaseClock
from leasehold.election.machine import Handover, Machine
from leasehold.election.queue_view import QueueView
from leasehold.election.ranking import HandoverPlan
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec

from .mutants_of_reads import ConfirmsWithoutItsKey, OneTransactionTakenForTwo
from .plant import Function, Mutant, replaces


class DeadlineFromTheReply(Mutant):
    """Counts the TTL from when the answer came, as etcd's Go `Session` does, not from before the question left."""

    @replaces(Election.handle)
    def handle(original: Function, election: Election, event: ev.Event, now: float) -> Any:
        if isinstance(event, (ev.Granted, ev.KeptAlive)):
            event = replace(event, sent=now)
        return original(election, event, now)


class DriftFactorDropped(Mutant):
    """Takes all clocks to run alike."""

    @replaces(LeaseClock.__post_init__)
    def init(original: Function, lease: LeaseClock) -> None:
        lease.factor = 1.0


class OwnKeyNotWatched(Mutant):
    """Hears nothing of its own key."""

    @replaces(Election.handle)
    def handle(original: Function, election: Election, event: ev.Event, now: float) -> Any:
        key = event.key if isinstance(event, ev.EntryGone) else None
        key = event.entry.key if isinstance(event, ev.EntryPut) else key
        if key is not None and key == election.snapshot.key:
            return []
        return original(election, event, now)


class NoConfirmationAfterUnsure(Mutant):
    """Once unsure, takes the next keep-alive's answer for proof that the lease lives."""

    @replaces(keep_alive.kept_alive)
    def kept_alive(original: Function, machine: Machine, event: ev.KeptAlive, now: float) -> None:
        original(machine, event, now)
        lease = machine.candidate.lease
        if machine.state is State.UNSURE and event.ttl > 0:
            lease.deadline = event.sent + lease.ttl * lease.factor
            queued.evaluate(machine, now)


class UnconfirmedKeepAliveCounted(Mutant):
    """Moves the deadline by a keep-alive's answer alone."""

    @replaces(LeaseClock.answered)
    def answered(original: Function, lease: LeaseClock, header: ev.ResponseHeader, sent: float, ttl: int) -> None:
        original(lease, header, sent, ttl)
        lease.deadline = sent + lease.ttl * lease.factor


class HoldsWhileOutcomeUnknown(Mutant):
    """A deletion had no answer, and the key is still there: so it was not done, and we lead on."""

    @replaces(yielding.queue_read)
    def queue_read(original: Function, machine: Machine, event: ev.QueueRead, now: float) -> None:
        candidate, handover = machine.candidate, machine.candidate.handover
        stands = candidate.entry.key in {entry.key for entry in event.queue}
        if stands and handover.resigned and not machine.intent.stopping and candidate.lease.is_valid(now):
            machine.state, machine.pending.step, candidate.handover = State.WAITING, None, Handover()
            queued.queue_read(machine, event, now)
        else:
            original(machine, event, now)


class YieldingBackToHolding(Mutant):
    """The preferred candidate has gone while it waits for the guarded work: so it leads on."""

    @replaces(queued.entry_gone)
    def entry_gone(original: Function, machine: Machine, event: ev.EntryGone, now: float) -> None:
        original(machine, event, now)
        handover = machine.candidate.handover
        if machine.candidate.is_draining and handover.cause is Cause.PREFERRED:
            machine.state, machine.candidate.handover = State.HOLDING, Handover()


class ChangedKeyTakenOverUnread(Mutant):
    """Takes over from a predecessor that had rewritten its record, and may have deleted ours with its own."""

    @replaces(QueueView.clears_the_way)
    def clears_the_way(original: Function, view: QueueView, key: str, token: int, revision: int) -> bool:
        ahead = view.ahead(token)
        return len(ahead) == 1 and ahead[0].key == key and revision > view.gone_at


class PredecessorTakenForTheOnlyOne(Mutant):
    """Takes over when the key directly ahead goes, whoever else stands ahead."""

    @replaces(QueueView.clears_the_way)
    def clears_the_way(original: Function, view: QueueView, key: str, token: int, revision: int) -> bool:
        ahead = view.ahead(token)
        return bool(ahead) and ahead[-1].key == key and not ahead[-1].changed

    @replaces(queued.moved_up)
    def moved_up(original: Function, machine: Machine, clear: bool, now: float) -> None:
        if clear:
            machine.candidate.view = replace(machine.candidate.view, entries=(machine.candidate.entry,))
        original(machine, clear, now)


class LeaseReused(Mutant):
    """Stands in the queue again under the lease of the candidate that it gave up."""

    kept: ClassVar[WeakKeyDictionary[Machine, tuple[int, LeaseClock]]] = WeakKeyDictionary()

    @replaces(lifecycle.drop_lease)
    def drop_lease(original: Function, machine: Machine) -> None:
        candidate = machine.candidate
        if candidate.lease_id is not None and candidate.lease.deadline is not None and not machine.intent.stopping:
            LeaseReused.kept[machine] = (candidate.lease_id, candidate.lease)
            candidate.lease_id = None
        original(machine)

    @replaces(joining.spec_read)
    def spec_read(original: Function, machine: Machine, event: ev.SpecRead, now: float) -> None:
        lease_id, lease = LeaseReused.kept.pop(machine, (0, None))
        if lease is None or not lease.is_valid(now):
            original(machine, event, now)
            return
        knowledge.adopt(machine, event.declared, event.origin.revision, now)
        machine.candidate.lease_id, machine.candidate.lease = lease_id, lease
        revision = machine.etcd.declared.revision
        machine.ask(cmd.Join(machine.next_op(), lease_id, machine.config.record, revision))


# --- beyond the list -------------------------------------------------------------------------------------------------


class TermNotCompared(Mutant):
    """Confirms a keep-alive by a read in another raft term."""

    @replaces(LeaseClock.confirm)
    def confirm(original: Function, lease: LeaseClock, header: ev.ResponseHeader) -> Any:
        if lease.before is not None:
            lease.before = replace(lease.before, term=header.term)
        return original(lease, header)


class MemberNotCompared(Mutant):
    """Confirms a keep-alive by a read through another member."""

    faults = ("relapse",)

    @replaces(LeaseClock.answered)
    def answered(original: Function, lease: LeaseClock, header: ev.ResponseHeader, sent: float, ttl: int) -> None:
        original(lease, header, sent, ttl)
        lease.sent = sent

    @replaces(LeaseClock.confirm)
    def confirm(original: Function, lease: LeaseClock, header: ev.ResponseHeader) -> Any:
        if lease.before is not None:
            lease.before = replace(lease.before, member=header.member)
        return original(lease, header)


class SpecReadOnce(Mutant):
    """Keeps to the spec under which it joined."""

    @replaces(knowledge.adopt)
    def adopt(original: Function, machine: Machine, *args: Any) -> Any:
        return original(machine, *args) if machine.state is State.JOINING else False


class GuardsDropped(Mutant):
    """Skips others without comparing that the target still stands."""

    faults = ("roughen", "sicken", "hand_over", "pause")

    @replaces(Machine.ask)
    def ask(original: Function, machine: Machine, command: Any) -> None:
        original(machine, replace(command, guards=()) if isinstance(command, cmd.Resign) else command)


class YieldsWithoutSayingSo(Mutant):
    """Skips others without writing `yieldTo` first."""

    @replaces(yielding.announce)
    def announce(original: Function, machine: Machine, now: float) -> bool:
        return False


class TakeoverIgnored(Mutant):
    """Does not look at whose process its own record names."""

    @replaces(lifecycle.is_still_ours)
    def is_still_ours(original: Function, machine: Machine, own: Entry | None, now: float) -> Any:
        if own is not None:
            own = replace(own, record=replace(own.record, incarnation=machine.config.record.incarnation))
        return original(machine, own, now)


class ResumedLeaseTrusted(Mutant):
    """Takes up an earlier process's key and counts a whole TTL from then on."""

    faults = ("crash", "cut_all")

    @replaces(joining.resumed)
    def resumed(original: Function, machine: Machine, own: Entry, granted: int, revision: int, now: float) -> None:
        original(machine, own, granted, revision, now)
        lease = machine.candidate.lease
        lease.deadline = now + lease.ttl * lease.factor
        queued.reread(machine, now)


class PreferenceIgnoredWhenYielding(Mutant):
    """Gives its key up without skipping those that are not to hold."""

    @replaces(yielding.plan_handover)
    def plan_handover(original: Function, machine: Machine, now: float) -> HandoverPlan:
        return HandoverPlan(target=original(machine, now).target)


class SuspendedOnlyBeforeHolding(Mutant):
    """Obeys suspension and the token to be handed over only when it joins."""

    @replaces(queued.respond_to_spec)
    def respond_to_spec(original: Function, machine: Machine, before: Spec, now: float) -> None:
        if machine.state is not State.HOLDING:
            original(machine, before, now)


class NeverBacksOff(Mutant):
    """Tries again at once, always."""

    @replaces(Machine.back_off)
    def back_off(original: Function, machine: Machine) -> float:
        return 0.0

    @replaces(Machine.short_delay)
    def short_delay(original: Function, machine: Machine) -> float:
        return 0.0


class RestoreNotNoticed(Mutant):
    """Takes candidates that are back for ones that it had not seen before."""

    faults = ("restore_bumped", "stop", "crash")

    @replaces(knowledge.saw_queue)
    def saw_queue(original: Function, machine: Machine, view: QueueView) -> None:
        pass


LISTED: tuple[type[Mutant], ...] = (
    DeadlineFromTheReply,
    DriftFactorDropped,
    OwnKeyNotWatched,
    NoConfirmationAfterUnsure,
    UnconfirmedKeepAliveCounted,
    HoldsWhileOutcomeUnknown,
    YieldingBackToHolding,
    ChangedKeyTakenOverUnread,
    PredecessorTakenForTheOnlyOne,
    LeaseReused,
)
FURTHER: tuple[type[Mutant], ...] = (
    TermNotCompared,
    MemberNotCompared,
    SpecReadOnce,
    GuardsDropped,
    YieldsWithoutSayingSo,
    TakeoverIgnored,
    ResumedLeaseTrusted,
    PreferenceIgnoredWhenYielding,
    SuspendedOnlyBeforeHolding,
    NeverBacksOff,
    RestoreNotNoticed,
    ConfirmsWithoutItsKey,
    OneTransactionTakenForTwo,
)
