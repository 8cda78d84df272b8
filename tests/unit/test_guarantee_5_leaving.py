"""Guarantee 5: a pod that stops, pauses or is unhealthy leaves the queue as a holder hands over."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Cause, State
from leasehold.election.yielding import STOP_TIMEOUT_SECONDS
from tests.unit.election_script import behind, converge, held

# --- stopping --------------------------------------------------------------------------------------------------------


def test_it_has_stopped_when_its_key_is_gone() -> None:
    """It has stopped when its key is gone and watches nothing then."""
    script = held()
    script.feed(ev.Stop())
    assert not script.stopped()
    assert script.cause == Cause.SHUTDOWN
    script.settle()
    assert script.stopped()
    assert script.watched == cmd.Watch(0, spec=False)
    assert not script.etcd.entries
    assert not script.etcd.leases
    assert (script.state(), script.election.deadline()) == (State.IDLE, None)


def test_a_waiter_that_stops_leaves_the_queue() -> None:
    script = held()
    other = behind(script, "other")
    other.feed(ev.Stop())
    other.settle()
    assert other.stopped()
    assert [e.record.identity for e in script.etcd.order] == ["me"]


def test_a_stop_during_a_drain_waits_for_the_work() -> None:
    """Stopping during a handovers drain waits for the work and does not come back."""
    script = held(drain=30.0)
    script.feed(ev.HandOver())
    script.wait(10.0)
    script.asked.clear()
    script.feed(ev.Stop())
    assert not script.stopped()
    script.feed(ev.WorkStopped())
    script.answer(cmd.Resign)
    assert script.stopped()


@pytest.mark.parametrize("drain", [0.0, 3.0])
def test_a_stop_may_wait_for_the_work_alone(drain: float) -> None:
    """The key stands, and the lease is kept alive, until the work has stopped; other handovers keep their drain."""
    script = held(drain=drain)
    other = behind(script, "other")
    script.feed(ev.Stop(awaits_work=True))
    assert (script.state(), script.cause) == (State.YIELDING, Cause.SHUTDOWN)
    for _ in range(5):
        script.beat()
    script.feed(ev.Stop())
    assert not script.stopped()
    assert script.own in script.etcd.order
    script.feed(ev.WorkStopped())
    converge(script, other)
    assert script.stopped()
    assert other.holding()


def test_a_waiter_has_no_work_to_await() -> None:
    other = behind(held(), "other")
    other.feed(ev.Stop(awaits_work=True))
    other.settle()
    assert other.stopped()


def test_it_stops_in_time_if_etcd_does_not_answer() -> None:
    """The kubelet will not wait for ever; the lease expires by itself."""
    script = held()
    lease = script.own.lease
    script.feed(ev.Stop())
    ends = script.now + STOP_TIMEOUT_SECONDS
    while not script.stopped():
        while script.asked:
            script.fail(type(script.asked[0]))
        script.doze()
    assert script.now == ends
    assert script.revoked() == [lease]
    assert "left-to-expire" in script.notes()
    assert not script.asked


def test_the_stop_timeout_begins_after_the_drain() -> None:
    """The patience begins when the drain has ended."""
    script = held(drain=60.0)
    script.feed(ev.Stop())
    script.wait(60.0)
    script.asked.clear()
    script.wait(STOP_TIMEOUT_SECONDS - 0.1)
    assert not script.stopped()
    script.wait(0.2)
    assert script.stopped()


def test_a_stop_during_a_handover_has_its_timeout() -> None:
    """Stopping while a handover is without an answer has its patience too."""
    script = held()
    script.feed(ev.HandOver())
    script.wait(5.0)
    script.feed(ev.Stop())
    script.asked.clear()
    script.wait(STOP_TIMEOUT_SECONDS)
    assert script.stopped()


# --- pause and health ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("away", "back", "cause"),
    [
        (ev.Pause(), ev.Resume(), Cause.PAUSE),
        (ev.Health(healthy=False), ev.Health(healthy=True), Cause.UNHEALTHY),
    ],
    ids=["pause", "health"],
)
def test_a_paused_or_unhealthy_pod_leaves_the_queue(away: ev.Event, back: ev.Event, cause: Cause) -> None:
    """A paused or unhealthy one leaves the queue until it is back."""
    script = held()
    other = behind(script, "other")
    script.feed(away)
    assert script.cause == cause
    converge(script, other)
    assert (script.state(), other.state()) == (State.IDLE, State.HOLDING)
    assert script.watched == cmd.Watch(0, spec=False)
    assert script.election.deadline() is None
    other.feed(away)
    other.settle()
    assert not script.etcd.entries
    script.feed(back)
    script.settle()
    assert script.holding()


def test_a_pod_back_too_soon_joins_again_at_the_end() -> None:
    """One that is back before its key is gone joins again at the end."""
    script = held()
    token = script.token
    script.feed(ev.Pause())
    script.feed(ev.Resume())
    script.rejoin()
    assert script.holding()
    assert script.token > token
