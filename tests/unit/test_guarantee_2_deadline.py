"""Guarantee 2: the lease is kept alive, and only a confirmed keep-alive moves the deadline."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election.snapshot import State
from leasehold.lock.spec import Spec
from tests.unit.election_script import FACTOR, deadline, held, record, waiting_behind

# --- keeping it alive ------------------------------------------------------------------------------------------------


def test_it_is_renewed_every_third_of_its_ttl() -> None:
    """It is renewed every third of its ttl by one keep alive and one read."""
    script = held()
    del script.said[:]
    for number in range(1, 4):
        script.beat()
        assert script.now == 1000.0 + number * 5.0
    assert [type(command) for command in script.said] == [cmd.KeepAlive, cmd.ReadOwn] * 3


def test_nothing_else_is_asked_while_nothing_happens() -> None:
    script = held()
    for seconds in (1.0, 1.0, 1.0, 1.0, 0.9):
        assert script.wait(seconds) == []


def test_only_a_confirmed_keep_alive_moves_the_deadline() -> None:
    """The deadline moves when the keep alive is confirmed and not before."""
    script = held()
    script.doze()
    script.answer(cmd.KeepAlive)
    assert deadline(script) == 1000.0 + 15 * FACTOR
    script.answer(cmd.ReadOwn)
    assert deadline(script) == 1005.0 + 15 * FACTOR


def test_it_counts_from_the_keep_alive_being_sent() -> None:
    """It counts from when the keep alive was sent."""
    script = held()
    script.doze()
    answer = script.etcd.answer(script.take(cmd.KeepAlive), script.now)
    script.now += 4.0
    script.feed(answer)
    script.answer(cmd.ReadOwn)
    assert deadline(script) == 1005.0 + 15 * FACTOR


@pytest.mark.parametrize("kind", [cmd.KeepAlive, cmd.ReadOwn])
def test_a_failed_keep_alive_is_retried_at_a_low_rate(kind: type) -> None:
    """What fails is tried again a few times a second."""
    script = held()
    script.doze()
    if kind is cmd.ReadOwn:
        script.answer(cmd.KeepAlive)
    before = script.now
    script.fail(kind)
    script.doze()
    assert 0.2 <= script.now - before <= 0.4
    script.answer(cmd.KeepAlive, cmd.ReadOwn)
    assert deadline(script) == script.now + 15 * FACTOR


def test_a_late_read_does_not_confirm() -> None:
    """The read belongs to a keep-alive that was given up; a new one is under way."""
    script = held()
    script.doze()
    script.answer(cmd.KeepAlive)
    late = script.etcd.answer(script.asked[0], script.now)
    script.fail(cmd.ReadOwn)
    script.doze()
    script.feed(late)
    assert deadline(script) == 1000.0 + 15 * FACTOR


@pytest.mark.parametrize("change", [{"member": 12}, {"term": 6}])
@pytest.mark.parametrize("when", [cmd.KeepAlive, cmd.ReadOwn])
def test_another_member_or_term_confirms_nothing(change: dict[str, int], when: type) -> None:
    """Another member or term in between is not believed but tried again at once."""
    script = held()
    script.doze()
    if when is cmd.ReadOwn:
        script.answer(cmd.KeepAlive)
    for name, value in change.items():
        setattr(script.etcd, name, value)
    script.settle()
    assert deadline(script) == script.now + 15 * FACTOR
    assert len([c for c in script.said if isinstance(c, cmd.KeepAlive)]) == 2


def test_changing_members_are_asked_at_a_low_rate() -> None:
    """As behind a balancer that knows gRPC. First as a holder, then unsure."""
    script, asked = held(), 0
    while script.now < 1019.0:
        assert deadline(script) == 1000.0 + 15 * FACTOR
        if script.asked:
            asked += 1
            script.etcd.member = 20 + asked % 2
            script.answer(type(script.asked[0]))
        else:
            script.doze()
    assert script.state() is State.UNSURE
    assert script.notes().count("unconfirmed") == 1
    assert asked <= 15 * 12


def test_a_ttl_without_confirmation_ends_the_candidate() -> None:
    """It would keep the lock from everybody, and never hold."""
    script = held()
    mine = script.own
    while "lost" not in script.notes():
        assert script.now < 1000.0 + 5.0 + 15.0 + 5.0
        if script.asked and isinstance(script.asked[0], cmd.KeepAlive):
            script.answer(cmd.KeepAlive)
        elif script.asked:
            script.fail(type(script.asked[0]))
        else:
            script.doze()
    assert script.revoked() == [mine.lease]


def test_an_outage_of_etcd_does_not_end_the_candidate() -> None:
    """An etcd that comes back gives every lease its time anew. The outage began when one answer was unconfirmed."""
    script = held()
    token = script.token
    script.doze()
    script.answer(cmd.KeepAlive)
    while script.now < 1030.0:
        if script.asked:
            script.fail(type(script.asked[0]))
        else:
            script.doze()
    assert script.state() is State.UNSURE
    script.wait(2.0)
    script.settle()
    assert (script.holding(), script.token) == (True, token)


def test_the_deadline_is_less_than_a_ttl_ahead() -> None:
    """An app that is told of its deadline has it for less than the ttl."""
    script = held()
    script.beat()
    assert script.election.snapshot.valid_for(script.now) == pytest.approx(15 * FACTOR)
    assert script.election.snapshot.valid_for(script.now + 15.0) == 0.0


# --- a holder learns what its watches did not tell -------------------------------------------------------------------


def test_the_confirming_read_shows_a_changed_spec() -> None:
    """A changed spec is found by the confirming read too."""
    script = held()
    script.etcd.declare(Spec(suspend=True))
    script.beat()
    assert script.cause == "suspended"


def test_an_old_confirming_read_says_nothing_new() -> None:
    """A confirming read older than what the watches told says nothing new."""
    script = held()
    script.doze()
    script.answer(cmd.KeepAlive)
    old = script.etcd.answer(script.take(cmd.ReadOwn), script.now)
    script.declare(Spec(suspend=False, capacity=2))
    script.feed(old)
    script.come(record("second"))
    assert script.holding()
    assert script.dump()["etcd"]["spec"]["capacity"] == 2


def test_a_new_holder_renews_its_lease_at_once() -> None:
    """As a waiter it confirms every other keep-alive only: two thirds of its lease may be over."""
    script, (first,) = waiting_behind("first")
    script.doze()
    script.answer(cmd.KeepAlive)
    assert not script.pending()
    script.wait(4.9)
    script.drop(first)
    assert script.holding()
    assert deadline(script) == 1000.0 + 15 * FACTOR
    script.wait(0.0)
    script.answer(cmd.KeepAlive, cmd.ReadOwn)
    assert deadline(script) == script.now + 15 * FACTOR
