"""Each invariant of the election bites: a bug planted for it is noticed at once, by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Final

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election import knowledge, lifecycle, pod, queued, why_not, yielding
from leasehold.election.election import TRANSITIONS
from leasehold.election.invariants import HELD_AGAIN, INVARIANTS, LEADS_ELSEWHERE, OTHER_TOKEN, InvariantBroken
from leasehold.election.machine import Handover, Machine, PendingRequest
from leasehold.election.snapshot import Cause, State
from leasehold.lock.reason import Code, Reason
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from tests.simulation.plant import Function, Mutant, replaces
from tests.unit.election_script import Script, held


class Bug(Mutant):
    """One bug, the invariant that it breaks, and what has to happen for it to show."""

    invariant: ClassVar[str]

    @staticmethod
    def happens() -> None:
        raise NotImplementedError


class HoldsWithoutATerm(Bug):
    invariant = "a holder has a key, a lease, a deadline and a term"

    @replaces(queued.hold)
    def hold(original: Function, machine: Machine, now: float) -> None:
        machine.move(State.HOLDING)

    @staticmethod
    def happens() -> None:
        held()


class CandidateNotForgotten(Bug):
    invariant = "a candidate has a key exactly in the queue"

    @replaces(lifecycle.leave)
    def leave(original: Function, machine: Machine, now: float, delay: float) -> None:
        machine.move(State.IDLE)

    @staticmethod
    def happens() -> None:
        script = held()
        script.drop(script.own)


class LeaseOfAnother(Bug):
    invariant = "the key is of the lease"

    @replaces(queued.take_place)
    def take_place(original: Function, machine: Machine, now: float) -> None:
        machine.candidate.lease_id = 1
        original(machine, now)

    @staticmethod
    def happens() -> None:
        held()


class YieldsWithoutAHandover(Bug):
    invariant = "a handover is under way exactly while yielding"

    @replaces(yielding.begin)
    def begin(original: Function, machine: Machine, cause: Cause, now: float, drain: float) -> None:
        machine.move(State.YIELDING)

    @staticmethod
    def happens() -> None:
        held().feed(ev.HandOver())


class RetryNotCleared(Bug):
    invariant = "one step and one keep-alive at most"

    @replaces(Machine.ask)
    def ask(original: Function, machine: Machine, command: Any) -> None:
        machine.pending.step = PendingRequest(command, 0)
        machine.out.append(command)

    @staticmethod
    def happens() -> None:
        Script(require_lock=True).start().declare(Spec())


class WatchLeftOpen(Bug):
    invariant = "nothing is left in idle"

    @replaces(knowledge.unwatch)
    def unwatch(original: Function, machine: Machine) -> None:
        pass

    @staticmethod
    def happens() -> None:
        script = held()
        script.feed(ev.Pause())
        script.settle()


class PauseOnlyRemembered(Bug):
    invariant = "a candidate is there exactly if wanted"

    @replaces(pod.pause)
    def pause(original: Function, machine: Machine, event: ev.Pause, now: float) -> None:
        machine.intent = replace(machine.intent, paused=True)

    @staticmethod
    def happens() -> None:
        held().feed(ev.Pause())


class RetryForgotten(Bug):
    invariant = "something is under way or due"

    @replaces(Machine.schedule)
    def schedule(original: Function, machine: Machine, *when: Any) -> None:
        machine.pending.step = None

    @staticmethod
    def happens() -> None:
        script = Script()
        script.feed(ev.Start())
        script.fail(cmd.ReadSpec)


class ReasonWhileLeading(Bug):
    invariant = "a reason is there exactly while it does not lead"

    @replaces(why_not._found)
    def _found(original: Function, machine: Machine, now: float) -> Reason:
        return Reason(Code.STARTING)

    @staticmethod
    def happens() -> None:
        held()


class BackFromYielding(Bug):
    invariant = LEADS_ELSEWHERE

    @replaces(yielding.watch_lost)
    def watch_lost(original: Function, machine: Machine, event: ev.WatchLost, now: float) -> None:
        machine.state, machine.candidate.handover = State.HOLDING, Handover()

    @staticmethod
    def happens() -> None:
        script = held(drain=10.0)
        script.feed(ev.HandOver())
        script.feed(ev.WatchLost("cancelled"))


class HoldsWhileResigning(Bug):
    invariant = HELD_AGAIN

    @replaces(pod.hand_over)
    def hand_over(original: Function, machine: Machine, event: ev.HandOver, now: float) -> None:
        own = machine.candidate.entry
        machine.ask(cmd.Resign(machine.next_op(), own.lease, own.create_revision))

    @staticmethod
    def happens() -> None:
        held().feed(ev.HandOver())


class TokenChanges(Bug):
    invariant = OTHER_TOKEN

    @replaces(lifecycle.is_still_ours)
    def is_still_ours(original: Function, machine: Machine, own: Entry, now: float) -> bool:
        lifecycle.learn_own(machine, own)
        return True

    @staticmethod
    def happens() -> None:
        script = held()
        own = script.own
        script.etcd.delete(own)
        script.feed(ev.EntryPut(script.etcd.put(own.record, own.lease)))


BUGS: Final = Bug.__subclasses__()


@pytest.mark.skipif(not __debug__, reason="the invariants are checked only where Python runs without -O")
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: str(bug.__name__))
def test_a_planted_bug_breaks_its_invariant(bug: type[Bug]) -> None:
    with bug.planted(checked=True), pytest.raises(InvariantBroken) as broken:
        bug.happens()
    assert broken.value.invariant == bug.invariant


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: str(bug.__name__))
def test_without_the_bug_all_is_well(bug: type[Bug]) -> None:
    """It is the planted bug that is noticed, and not what happens."""
    bug.happens()


def test_every_invariant_has_a_planted_bug() -> None:
    assert {bug.invariant for bug in BUGS} == {*INVARIANTS, LEADS_ELSEWHERE, HELD_AGAIN, OTHER_TOKEN}


def test_yielding_leads_to_the_end_alone() -> None:
    """A mistake in the table itself would hide others."""
    assert {state for row in TRANSITIONS[State.YIELDING].values() for state in row.leads_to} == {
        State.IDLE,
        State.JOINING,
    }
