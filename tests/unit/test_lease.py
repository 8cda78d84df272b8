"""Until when a sidecar may believe in its lease."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leasehold.election.events import ResponseHeader
from leasehold.election.lease import LeaseClock

quick = settings(deadline=None)
HERE = ResponseHeader(cluster=1, member=11, term=5, revision=100)
FACTOR = 0.99 / 1.01


def granted(ttl: int = 15, sent: float = 1000.0) -> LeaseClock:
    """A clock whose lease was just granted."""
    clock = LeaseClock(0.01)
    clock.granted(sent, ttl, ttl)
    return clock


def test_a_grant_counts_from_when_it_was_sent() -> None:
    """A grant counts from the moment it was sent with room for drift."""
    clock = granted(15, 1000.0)
    assert clock.deadline == 1000.0 + 15 * FACTOR
    assert clock.is_valid(clock.deadline - 0.001)
    assert not clock.is_valid(clock.deadline)


@pytest.mark.parametrize(("asked", "answered", "believed"), [(15, 15, 15), (15, 60, 15), (15, 7, 7)])
def test_the_smaller_ttl_counts(asked: int, answered: int, believed: int) -> None:
    """etcd raises a TTL to its own minimum; another candidate's machine need not know that."""
    clock = LeaseClock(0.0)
    clock.granted(0.0, answered, asked)
    assert (clock.ttl, clock.deadline) == (believed, float(believed))


def test_a_resumed_lease_has_no_deadline() -> None:
    """A lease taken up is not believed before it is confirmed."""
    clock = LeaseClock(0.01)
    clock.ttl = 15
    assert clock.deadline is None
    assert not clock.is_valid(-math.inf)
    clock.begin(HERE)
    clock.answered(HERE, 50.0, 10)
    assert clock.confirm(HERE)
    assert clock.deadline == 50.0 + 10 * FACTOR


def test_a_confirmed_keep_alive_counts_from_when_sent() -> None:
    """A keep alive counts once it is confirmed and from when it was sent."""
    clock = granted()
    clock.begin(HERE)
    clock.answered(HERE, 1005.0, 15)
    assert clock.deadline == 1000.0 + 15 * FACTOR
    assert clock.confirm(replace(HERE, revision=200))
    assert clock.deadline == 1005.0 + 15 * FACTOR


def test_it_is_renewed_three_times_in_a_ttl() -> None:
    assert granted(15).interval == 5.0


ELSEWHERE = {"cluster": 2, "member": 12, "term": 6}


@pytest.mark.parametrize("field", ELSEWHERE)
@pytest.mark.parametrize("where", ["before", "read"])
def test_another_cluster_or_term_confirms_nothing(field: str, where: str) -> None:
    """The member that renewed may have been a leader no more, or have passed it to one."""
    clock = granted()
    other = replace(HERE, **{field: ELSEWHERE[field]})
    clock.begin(other if where == "before" else HERE)
    clock.answered(HERE, 1005.0, 15)
    assert not clock.confirm(other if where == "read" else HERE)
    assert clock.deadline == 1000.0 + 15 * FACTOR


def test_another_members_keep_alive_confirms_nothing() -> None:
    """A keep alive that another member answered confirms nothing."""
    clock = granted()
    clock.begin(HERE)
    clock.answered(replace(HERE, member=12), 1005.0, 15)
    assert not clock.confirm(HERE)
    assert clock.deadline == 1000.0 + 15 * FACTOR


def test_a_keep_alive_to_an_unknown_member_is_unconfirmed() -> None:
    """A keep alive before which nobody was known confirms nothing."""
    clock = granted()
    clock.begin(None)
    clock.answered(HERE, 1005.0, 15)
    assert not clock.confirm(HERE)
    assert clock.deadline == 1000.0 + 15 * FACTOR


def test_a_confirmation_counts_once() -> None:
    clock = granted()
    clock.begin(HERE)
    clock.answered(HERE, 1005.0, 15)
    assert clock.confirm(HERE)
    assert not clock.confirm(HERE)


def test_a_new_keep_alive_forgets_the_one_before() -> None:
    """Its answer came, but no read after it: it must not be confirmed by the next one's read."""
    clock = granted()
    clock.begin(HERE)
    clock.answered(HERE, 1005.0, 15)
    clock.begin(HERE)
    assert not clock.confirm(HERE)
    assert clock.deadline == 1000.0 + 15 * FACTOR


def test_a_late_confirmation_never_moves_the_deadline_back() -> None:
    clock = granted(15, 1000.0)
    clock.begin(HERE)
    clock.answered(HERE, 990.0, 15)
    clock.confirm(HERE)
    assert clock.deadline == 1000.0 + 15 * FACTOR


def test_a_ttl_without_confirmation_is_noticed() -> None:
    """A lease renewed for a whole ttl and never confirmed is known as that."""
    clock = granted(15)
    for sent in (1005.0, 1010.0, 1015.0, 1020.0):
        clock.begin(HERE)
        clock.answered(HERE, sent, 15)
        assert not clock.is_unconfirmed
    clock.answered(HERE, 1020.5, 15)
    assert clock.is_unconfirmed


def test_a_confirmation_begins_that_time_anew() -> None:
    clock = granted(15)
    for number in range(20):
        clock.begin(HERE)
        clock.answered(HERE, 1005.0 + 5 * number, 15)
        assert not clock.is_unconfirmed
        if number % 2:
            assert clock.confirm(HERE)


def test_time_without_renewals_does_not_count() -> None:
    """etcd was away, and gave its leases their time anew: then ours was not kept by us."""
    clock = granted(15)
    for sent in (1005.0, 1030.0):
        clock.begin(HERE)
        clock.answered(HERE, sent, 15)
        assert not clock.is_unconfirmed


STEPS = ("begin", "answered", "confirm")


@pytest.mark.parametrize("order", [o for n in range(5) for o in itertools.product(STEPS, repeat=n)], ids="-".join)
def test_only_three_steps_in_order_move_the_deadline(order: tuple[str, ...]) -> None:
    """Every sequence of up to four steps: it moves just where begin, answered and confirm stand in this order, with
    no other begin or confirm among them.
    """
    clock = granted(15, 1000.0)
    expected = 1000.0 + 15 * FACTOR
    begun = False
    pending: float | None = None
    for number, step in enumerate(order):
        sent = 1001.0 + number
        if step == "begin":
            clock.begin(HERE)
            begun, pending = True, None
        elif step == "answered":
            clock.answered(HERE, sent, 15)
            pending = sent if begun else None
        else:
            counted = clock.confirm(HERE)
            assert counted == (pending is not None)
            expected = max(expected, pending + 15 * FACTOR) if pending is not None else expected
            begun, pending = False, None
        assert clock.deadline == expected


origins = st.builds(
    ResponseHeader,
    cluster=st.integers(1, 2),
    member=st.integers(11, 12),
    term=st.integers(5, 6),
    revision=st.integers(1, 9),
)
sents = st.integers(0, 100).map(float)
ttls = st.integers(1, 60)
moves = st.one_of(
    st.tuples(st.just("begin"), st.none() | origins),
    st.tuples(st.just("answered"), origins, sents, ttls),
    st.tuples(st.just("confirm"), origins),
)


@quick
@given(ttls, ttls, sents, st.lists(moves, max_size=12), st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_the_deadline_is_never_too_late(
    asked: int, answered: int, sent: float, steps: list[tuple[object, ...]], drift: float
) -> None:
    """Whatever comes in whatever order, from whichever member: it moves only in `confirm`, only forward, only after a
    begin and an answer whose cluster, member and term are the read's own, and never beyond sent + TTL × factor.
    """
    clock = LeaseClock(drift)
    clock.granted(sent, answered, asked)
    least, before, reply = min(asked, answered), None, None
    for kind, *args in steps:
        known = clock.deadline
        assert known is not None
        getattr(clock, str(kind))(*args)
        if kind == "begin":
            before, reply = args[0], None
        elif kind == "answered":
            reply = args
            least = min(least, int(str(args[2])))
        if clock.deadline != known:
            assert kind == "confirm"
            assert isinstance(before, ResponseHeader)
            assert reply is not None
            by, renewed = reply[0], reply[1]
            assert isinstance(by, ResponseHeader)
            read = args[0]
            assert isinstance(read, ResponseHeader)
            assert (read.cluster, read.member, read.term) == (before.cluster, before.member, before.term)
            assert by.member == before.member
            assert clock.deadline is not None
            assert known < clock.deadline == float(str(renewed)) + least * clock.factor
        if kind == "confirm":
            before = reply = None


@quick
@given(ttls, st.fractions(0, Fraction(1, 2)), st.data())
def test_the_lease_outlives_the_deadline(ttl: int, drift: Fraction, data: st.DataObject) -> None:
    """The slowest local clock and the fastest of etcd: what we take for valid has not expired there."""
    rates = st.fractions(1 - drift, 1 + drift)
    ours, theirs = data.draw(rates), data.draw(rates)
    clock = LeaseClock(float(drift))
    believed = Fraction(ttl) * Fraction(clock.factor) / ours  # true seconds from sent to the deadline
    expires = Fraction(ttl) / theirs  # true seconds that etcd's clock gives it, from later on
    assert believed <= expires + Fraction(1, 10**9)  # the factor is rounded to a float
