"""Guarantee 5: handing over: no from the first moment, the key when the work has stopped, and never back again."""

from __future__ import annotations

import math

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Cause, State
from leasehold.lock.spec import Spec
from tests.unit.election_script import Script, behind, converge, held, record

# --- a handover ------------------------------------------------------------------------------------------------------


def test_the_answer_is_no_before_the_key_is_deleted() -> None:
    """The answer is no from the first moment and the key is deleted then."""
    script = held()
    mine = script.own
    script.feed(ev.HandOver())
    assert not script.holding()
    assert (script.state(), script.cause) == (State.YIELDING, Cause.REQUEST)
    assert script.take(cmd.Resign) == cmd.Resign(script.last_op(), mine.lease, mine.create_revision)


def test_a_fresh_candidate_joins_after_a_handover() -> None:
    """After that the lease is given back and a fresh candidate joins."""
    script = held()
    mine = script.own
    script.feed(ev.HandOver())
    script.answer(cmd.Resign)
    assert script.revoked() == [mine.lease]
    script.rejoin()
    assert script.holding()
    assert script.token > mine.create_revision
    assert script.own.lease != mine.lease


def test_etcd_is_the_successors_first() -> None:
    """An old leader asks for nothing in the moment in which the next one hears of the deletion, and soon after."""
    script = held()
    script.feed(ev.HandOver())
    script.answer(cmd.Resign)
    assert script.asked == []
    assert 0 < (script.election.deadline() or 0) - script.now <= 0.1


def test_the_next_in_line_holds() -> None:
    """The next in line holds and the one before waits."""
    script = held()
    other = behind(script, "other")
    script.feed(ev.HandOver())
    converge(script, other)
    assert (script.state(), other.state()) == (State.WAITING, State.HOLDING)
    assert script.election.snapshot.leader == "other"


@pytest.mark.parametrize("event", [ev.HandOver(), ev.WorkStopped()])
def test_only_a_held_lock_can_be_handed_over(event: ev.Event) -> None:
    """Only what is held can be handed over."""
    script = held()
    other = behind(script, "other")
    for one in (other, Script()):
        state = one.state()
        one.feed(event)
        assert (one.state(), one.asked) == (state, [])


def test_an_unsure_holder_hands_over_too() -> None:
    """A doubted holder hands over too."""
    script = held()
    script.now += 15.0
    script.feed(ev.Tick())
    assert script.state() is State.UNSURE
    script.feed(ev.HandOver())
    assert script.state() is State.YIELDING


# --- the guarded work stops first ------------------------------------------------------------------------------------


def test_the_lease_is_kept_alive_during_the_drain() -> None:
    """While it drains the key stays and the lease is kept alive and confirmed."""
    script = held(drain=30.0)
    script.feed(ev.HandOver())
    assert script.state() is State.YIELDING
    for _ in range(5):
        script.beat()
    assert not script.asked
    assert script.own in script.etcd.order
    assert not script.holding()


def test_the_drain_ends_when_the_work_has_stopped() -> None:
    """It ends when the work has stopped."""
    script = held(drain=30.0)
    script.feed(ev.HandOver())
    script.feed(ev.WorkStopped())
    script.answer(cmd.Resign)
    assert not script.etcd.entries


def test_the_drain_ends_when_its_time_is_up() -> None:
    """It ends when the drain time has passed."""
    script = held(drain=3.0)
    script.feed(ev.HandOver())
    assert script.election.deadline() == script.now + 3.0
    script.wait(3.0)
    script.answer(cmd.Resign)
    assert not script.etcd.entries


def test_a_drain_without_bound_waits_for_the_work() -> None:
    """Without bound it ends only when the work has stopped."""
    script = held(drain=math.inf)
    script.feed(ev.Stop())
    for _ in range(20):
        script.beat()
    assert not script.stopped()
    script.feed(ev.WorkStopped())
    script.settle()
    assert script.stopped()


def test_a_waiter_has_nothing_to_drain() -> None:
    script = held()
    other = Script(script.etcd, record=record("other"), drain=30.0).start()
    other.feed(ev.Stop())
    other.settle()
    assert other.stopped()


@pytest.mark.parametrize("how", ["watch", "confirming read", "keep-alive"])
def test_a_key_lost_during_the_drain_ends_the_candidate(how: str) -> None:
    """A key that goes while it drains ends the candidate."""
    script = held(drain=30.0)
    mine = script.own
    script.feed(ev.HandOver())
    if how == "watch":
        script.etcd.delete(mine)
        script.hear()
    elif how == "confirming read":
        script.etcd.delete(mine)
        script.beat()
    else:
        script.etcd.revoke(mine.lease)
        script.doze()
        script.answer(cmd.KeepAlive)
    assert script.state() is State.JOINING
    assert "lost" in script.notes()


# --- nothing leads back ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drain", [0.0, 30.0])
def test_no_event_leads_from_yielding_back_to_holding(drain: float) -> None:
    """Not even a keep-alive that was under way, is answered and confirmed."""
    script = held(drain=drain)
    token = script.token
    script.doze()
    script.feed(ev.Health(healthy=False))
    for event in (ev.Health(healthy=True), ev.Resume(), ev.Tick(), ev.SpecChanged(ev.Declared(Spec(), 101), 101)):
        script.feed(event)
    script.answer(cmd.KeepAlive)
    if drain:
        script.answer(cmd.ReadOwn)
    assert (script.state(), script.token) == (State.YIELDING, token)


def test_a_lease_to_be_given_up_is_not_renewed() -> None:
    """Its time bounds how long an etcd that does not answer can keep the lock from everybody."""
    script = held()
    script.feed(ev.HandOver())
    while script.now < 1100.0:
        while script.asked:
            assert not isinstance(script.asked[0], cmd.KeepAlive)
            script.fail(type(script.asked[0]))
        script.doze()


def test_an_unanswered_deletion_is_asked_for_again() -> None:
    """The read proves nothing about the delete under way: the candidate is given up all the same."""
    script = held()
    token = script.token
    script.feed(ev.HandOver())
    for _ in range(3):
        script.fail(cmd.Resign)
        script.doze()
        script.answer(cmd.ReadQueue)
        assert (script.state(), script.token) == (State.YIELDING, token)
    script.answer(cmd.Resign)
    script.rejoin()
    assert script.token > token


def test_a_read_finds_that_the_deletion_was_done() -> None:
    """A deletion without an answer that was done is found by the read."""
    script = held()
    mine = script.own
    script.feed(ev.HandOver())
    script.etcd.delete(mine)
    script.fail(cmd.Resign)
    script.doze()
    script.answer(cmd.ReadQueue)
    assert script.revoked() == [mine.lease]
    script.rejoin()
    assert script.token > mine.create_revision


def test_a_deletion_seen_by_the_watch_is_done() -> None:
    """A deletion that the watch tells of before its answer comes is done."""
    script = held()
    script.feed(ev.HandOver())
    late = script.etcd.answer(script.take(cmd.Resign), script.now)
    script.hear()
    assert script.state() is State.JOINING
    script.feed(late)
    assert "lost" not in script.notes()
    script.rejoin()
    assert script.holding()


def test_a_key_that_cannot_be_marked_is_left_to_expire() -> None:
    """The disk is full: what cannot be marked must not be deleted, and must not be kept for ever either."""
    script = held()
    mine = script.own
    script.feed(ev.HandOver())
    script.fail(cmd.Resign, refused=True, unmarked=True)
    assert "left-to-expire" in script.notes()
    assert script.revoked() == []
    script.asked[:] = [c for c in script.asked if not isinstance(c, cmd.KeepAlive)]
    del script.said[:]
    script.wait(2.0)
    script.settle()
    assert script.state() is State.WAITING
    script.beat()
    assert not [c for c in script.said if isinstance(c, cmd.KeepAlive) and c.lease == mine.lease]
    script.etcd.revoke(mine.lease)
    script.hear()
    assert script.holding()
