"""A handover to the one that should hold: nobody else leads on the way, and tokens never fall."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.ranking import MAX_COMPARED
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.unit.election_script import Queue, Script, behind, converge, held, record

# --- to the preferred one --------------------------------------------------------------------------------------------


def test_a_preferred_waiter_next_in_line_needs_no_announcement() -> None:
    script = held(Spec(preferred_holder="best"))
    best = script.come(record("best"))
    assert (script.state(), script.cause) == (State.YIELDING, Cause.PREFERRED)
    assert script.take(cmd.Resign).skipped == ()
    assert best in script.etcd.order


def test_to_pass_others_by_it_first_says_so_in_its_own_record() -> None:
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
def test_a_lower_ranked_one_never_holds_between_a_holder_and_the_preferred_one(spec: Spec) -> None:
    script = held(spec)
    others = [behind(script, f"low{number}") for number in range(2)]
    first = script.token
    best = behind(script, "best", group="new", priority=1)
    preferring(script, *others, best)
    assert best.token > first
    converge(script, best, *others)
    assert [one.state() for one in others] == [State.WAITING] * 2
    assert all(one.token > best.token for one in (script, *others))


def test_a_foreign_candidate_in_between_is_let_go_first() -> None:
    script = held(Spec(preferred_holder="best"))
    foreign = script.etcd.put(Record("elect", foreign=True), script.etcd.grant(60))
    script.hear()
    script.come(record("best"))
    assert script.holding()
    script.drop(foreign)
    assert script.cause == Cause.PREFERRED


def test_when_the_target_has_gone_it_reads_and_gives_up_to_whoever_is_next() -> None:
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


def test_when_the_spec_moved_nobody_is_passed_by_for_the_old_one() -> None:
    script = held(Spec(preferred_holder="best"))
    low = script.come(record("low"))
    script.come(record("best"))
    script.answer(cmd.Write)
    script.etcd.declare(Spec())
    script.answer(cmd.Resign)
    assert low in script.etcd.order
    script.answer(cmd.ReadQueue)
    assert script.take(cmd.Resign).skipped == ()


def test_an_announcement_without_an_answer_is_read_after() -> None:
    script = held(Spec(preferred_holder="best"))
    script.come(record("low"))
    script.come(record("best"))
    script.etcd.answer(script.asked[0], script.now)
    script.fail(cmd.Write)
    script.doze()
    script.answer(cmd.ReadQueue)
    assert len(script.take(cmd.Resign).skipped) == 1


def test_more_than_one_transaction_can_compare_are_passed_by_in_parts_and_its_own_key_goes_last() -> None:
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


def test_while_it_drains_it_announces_once_and_plans_anew_at_the_end() -> None:
    script = held(Spec(preferred_holder="best"), drain=30.0)
    low = script.come(record("low"))
    best = script.come(record("best"))
    script.answer(cmd.Write)
    assert not script.asked
    later = script.come(record("later"))
    script.feed(ev.WorkStopped())
    assert script.take(cmd.Resign).skipped == (low,)
    assert {best, later} <= set(script.etcd.order)


def test_at_a_drains_end_it_announces_whom_it_did_not_know_of_at_its_beginning() -> None:
    script = held(Spec(preferred_holder="best"), drain=30.0)
    script.feed(ev.HandOver())
    assert not script.asked
    script.come(record("low"))
    script.come(record("best"))
    script.feed(ev.WorkStopped())
    assert script.take(cmd.Write).record.yield_to == "best"


def test_events_missed_while_it_drains_are_read_before_it_gives_up() -> None:
    script = held(Spec(preferred_holder="best"), drain=30.0)
    script.feed(ev.HandOver())
    script.feed(ev.WatchLost("cancelled"))
    low = script.etcd.join(record("low"))
    script.etcd.join(record("best"))
    script.feed(ev.WorkStopped())
    script.answer(cmd.ReadQueue, cmd.Write)
    assert script.take(cmd.Resign).skipped == (low,)


def test_with_capacity_two_only_the_lower_of_two_holders_yields_to_one_better_waiter() -> None:
    queue = Queue()
    queue.declare(Spec(capacity=2))
    high = Script(queue, record=record("high", priority=1)).start()
    low = Script(queue, record=record("low")).start()
    best = Script(queue, record=record("best", priority=2)).start()
    converge(high, low, best)
    assert (high.state(), low.state(), best.state()) == (State.HOLDING, State.WAITING, State.HOLDING)


def test_with_capacity_two_the_other_holder_is_guarded_while_one_is_passed_by() -> None:
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


def test_a_holder_whose_token_is_not_above_the_one_given_hands_over() -> None:
    script = held()
    other = behind(script, "other")
    first, second = script.token, other.token
    script.etcd.declare(Spec(handover_up_to_token=first))
    script.hear()
    assert script.cause == Cause.TOKEN
    converge(script, other)
    assert (other.state(), other.token) == (State.HOLDING, second)
    assert script.token > second


def test_a_waiter_with_such_a_token_gives_its_turn_up_and_joins_again() -> None:
    script = held()
    other = behind(script, "other")
    script.etcd.declare(Spec(handover_up_to_token=other.token))
    converge(script, other)
    assert sorted([script.state(), other.state()]) == [State.HOLDING, State.WAITING]
    assert min(script.token, other.token) > script.etcd.declared.spec.handover_up_to_token  # type: ignore[union-attr]  # it is declared


def test_a_token_no_candidate_can_reach_costs_a_few_tries_a_second_and_no_more() -> None:
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


def test_a_waiter_that_is_passed_by_joins_again_without_an_alarm() -> None:
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
