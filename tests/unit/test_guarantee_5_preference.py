"""Guarantee 5: a handover to the one that should hold: nobody else leads on the way, and tokens never fall."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.ranking import MAX_COMPARED
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import Script, behind, converge, held, record

# --- to the preferred one --------------------------------------------------------------------------------------------


def test_a_preferred_next_in_line_needs_no_announcement() -> None:
    """A preferred waiter next in line needs no announcement."""
    script = held(Spec(preferred_holder="best"))
    best = script.come(record("best"))
    assert (script.state(), script.cause) == (State.YIELDING, Cause.PREFERRED)
    assert script.take(cmd.Resign).skipped == ()
    assert best in script.etcd.order


def test_to_skip_others_it_first_announces_it() -> None:
    """And deletes then, in one transaction that compares them, the target and the spec."""
    script = held(Spec(preferred_group="new"))
    low = [script.come(record(f"low{number}")) for number in range(2)]
    best = script.come(record("best", group="new"))
    assert not script.holding()
    write = script.take(cmd.Write)
    assert write.record.yield_to == "best"
    assert (write.token, write.mod_revision) == (script.token, script.own.mod_revision)
    script.feed(script.etcd.answer(write, script.now))
    command = script.take(cmd.Resign)
    assert (command.skipped, command.guards) == (tuple(low), (best,))
    assert command.spec_revision == script.etcd.declared.revision
    script.feed(script.etcd.answer(command, script.now))
    assert script.etcd.order == (best,)


def preferring(script: Script, *others: Script) -> None:
    """Nobody but these two ever leads on the way: the one before, then the last of the others."""
    *low, best = others
    for _ in range(200):
        for one in (script, *others):
            if not one.hear_next() and one.asked:
                one.feed(one.etcd.answer(one.asked.pop(0), one.now))
            assert not any(other.holding() for other in low)
            assert not (script.holding() and best.holding())
        if best.holding():
            return
    raise AssertionError("the preferred one never holds")


@pytest.mark.parametrize(
    "spec", [Spec(preferred_holder="best"), Spec(preferred_group="new"), Spec()], ids=["holder", "group", "priority"]
)
def test_a_lower_ranked_candidate_never_holds_between(spec: Spec) -> None:
    """A lower ranked one never holds between a holder and the preferred one."""
    script = held(spec)
    others = [behind(script, f"low{number}") for number in range(2)]
    first = script.token
    best = behind(script, "best", group="new", priority=1)
    preferring(script, *others, best)
    assert best.token > first
    converge(script, best, *others)
    assert [one.state() for one in others] == [State.WAITING] * 2
    assert all(one.token > best.token for one in (script, *others))


def test_a_foreign_candidate_is_never_skipped() -> None:
    """A foreign candidate in between is let go first."""
    script = held(Spec(preferred_holder="best"))
    foreign = script.etcd.put(Record("elect", foreign=True), script.etcd.grant(60))
    script.hear()
    script.come(record("best"))
    assert script.holding()
    script.drop(foreign)
    assert script.cause == Cause.PREFERRED


def test_it_reads_again_if_the_target_has_gone() -> None:
    """The handover has begun: there is no way back."""
    script = held(Spec(preferred_holder="best"))
    low = script.come(record("low"))
    best = script.come(record("best"))
    script.answer(cmd.Write)
    script.etcd.delete(best)
    script.answer(cmd.Resign)
    assert script.state() is State.YIELDING
    script.answer(cmd.ReadQueue)
    assert script.take(cmd.Resign).skipped == ()
    assert low in script.etcd.order


def test_nobody_is_skipped_for_an_old_spec() -> None:
    """When the spec moved nobody is skipped for the old one."""
    script = held(Spec(preferred_holder="best"))
    low = script.come(record("low"))
    script.come(record("best"))
    script.answer(cmd.Write)
    script.etcd.declare(Spec())
    script.answer(cmd.Resign)
    assert low in script.etcd.order
    script.answer(cmd.ReadQueue)
    assert script.take(cmd.Resign).skipped == ()


def test_an_unanswered_announcement_leads_to_a_read() -> None:
    """An announcement without an answer is read after."""
    script = held(Spec(preferred_holder="best"))
    script.come(record("low"))
    script.come(record("best"))
    script.etcd.answer(script.asked[0], script.now)
    script.fail(cmd.Write)
    script.doze()
    script.answer(cmd.ReadQueue)
    assert len(script.take(cmd.Resign).skipped) == 1


def test_many_are_skipped_in_parts() -> None:
    """More than one transaction can compare are skipped in parts and its own key goes last."""
    script = held(Spec(preferred_holder="best"))
    low = [script.etcd.join(record(f"low{number}")) for number in range(MAX_COMPARED + 3)]
    script.hear()
    best = script.come(record("best"))
    script.answer(cmd.Write)
    first = script.take(cmd.Resign)
    assert (first.keep_own, first.skipped) == (True, tuple(low[3:]))
    script.feed(script.etcd.answer(first, script.now))
    assert script.own in script.etcd.order
    script.answer(cmd.ReadQueue)
    last = script.take(cmd.Resign)
    assert (last.keep_own, last.skipped) == (False, tuple(low[:3]))
    script.feed(script.etcd.answer(last, script.now))
    assert script.etcd.order == (best,)


def test_the_plan_is_made_again_after_the_drain() -> None:
    """While it drains it announces once and plans again at the end."""
    script = held(Spec(preferred_holder="best"), drain=30.0)
    low = script.come(record("low"))
    best = script.come(record("best"))
    script.answer(cmd.Write)
    assert not script.asked
    later = script.come(record("later"))
    script.feed(ev.WorkStopped())
    assert script.take(cmd.Resign).skipped == (low,)
    assert {best, later} <= set(script.etcd.order)


def test_a_late_preferred_waiter_is_announced() -> None:
    """At a drains end it announces whom it did not know of at its beginning."""
    script = held(Spec(preferred_holder="best"), drain=30.0)
    script.feed(ev.HandOver())
    assert not script.asked
    script.come(record("low"))
    script.come(record("best"))
    script.feed(ev.WorkStopped())
    assert script.take(cmd.Write).record.yield_to == "best"


def test_events_missed_while_draining_are_read() -> None:
    """Events missed while it drains are read before it gives up."""
    script = held(Spec(preferred_holder="best"), drain=30.0)
    script.feed(ev.HandOver())
    script.feed(ev.WatchLost("cancelled"))
    low = script.etcd.join(record("low"))
    script.etcd.join(record("best"))
    script.feed(ev.WorkStopped())
    script.answer(cmd.ReadQueue, cmd.Write)
    assert script.take(cmd.Resign).skipped == (low,)


def test_of_two_holders_only_the_lower_one_yields() -> None:
    """With capacity two only the lower of two holders yields to one better waiter."""
    queue = Queue()
    queue.declare(Spec(capacity=2))
    high = Script(queue, record=record("high", priority=1)).start()
    low = Script(queue, record=record("low")).start()
    best = Script(queue, record=record("best", priority=2)).start()
    converge(high, low, best)
    assert (high.state(), low.state(), best.state()) == (State.HOLDING, State.WAITING, State.HOLDING)


def test_the_other_holder_is_guarded_during_a_skip() -> None:
    """With capacity two the other holder is guarded while one is skipped."""
    queue = Queue()
    queue.declare(Spec(capacity=2))
    first = queue.join(record("first", priority=9))
    script = Script(queue).start()
    low = script.come(record("low", priority=1))
    assert script.cause == Cause.PREFERRED  # low is better than we are, and next: no announcement
    assert script.take(cmd.Resign).guards == ()
    script = Script(queue, record=record("third", priority=3)).start()
    assert {first, low} < set(queue.order)


# --- up to a token ---------------------------------------------------------------------------------------------------


def test_a_holder_with_a_low_token_hands_over() -> None:
    """A holder whose token is not above the one given hands over."""
    script = held()
    other = behind(script, "other")
    first, second = script.token, other.token
    script.etcd.declare(Spec(handover_up_to_token=first))
    script.hear()
    assert script.cause == Cause.TOKEN
    converge(script, other)
    assert (other.state(), other.token) == (State.HOLDING, second)
    assert script.token > second


def test_a_waiter_with_a_low_token_joins_again() -> None:
    """A waiter with such a token gives its turn up and joins again."""
    script = held()
    other = behind(script, "other")
    script.etcd.declare(Spec(handover_up_to_token=other.token))
    converge(script, other)
    assert sorted([script.state(), other.state()]) == [State.HOLDING, State.WAITING]
    assert min(script.token, other.token) > script.etcd.declared.spec.handover_up_to_token  # type: ignore[union-attr]  # it is declared


def test_an_unreachable_token_costs_few_tries() -> None:
    """A typing error that cannot be taken back, since the field only grows; or tokens that fell."""
    queue = Queue()
    queue.declare(Spec(handover_up_to_token=10**9))
    script = Script(queue)
    script.feed(ev.Start())
    while script.now < 1030.0:
        script.wait(0.05)
        script.settle()
        assert not script.holding()
    assert len([c for c in script.said if isinstance(c, cmd.Join)]) <= 60


def test_a_skipped_waiter_joins_again_without_an_error() -> None:
    """The holder's record said so before: to be passed by in a rollout is no error, and a deletion by hand is one."""
    for said, kind in ((True, "passed-by"), (False, "lost")):
        script = Script()
        ahead = script.etcd.join(record("holder"))
        script.start().settle()
        if said:
            script.rewrite(ahead, yield_to="preferred")
        script.drop(script.own)
        assert [note for note in script.notes() if note in ("lost", "passed-by")] == [kind]
        assert script.state() is State.JOINING
