"""Guarantee 4: taking up the candidate of an earlier process of this pod: its own term, or nothing of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import FACTOR, ME, Script, record

BEFORE = replace(ME, incarnation="the-process-before")


def left(queue: Queue, who: Record = BEFORE, ttl: int = 15) -> tuple[Entry, ev.Resumable]:
    """What an earlier process left: its key in the queue, and its note of it on the disk."""
    entry = queue.join(who, ttl)
    return entry, ev.Resumable(entry.lease, entry.create_revision, queue.cluster)


def resuming(**changed: Any) -> tuple[Script, Entry]:
    """A sidecar that has begun to take up the key at the head of the queue."""
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue, **changed)
    script.feed(ev.Start(resumable))
    return script, entry


# --- taken up --------------------------------------------------------------------------------------------------------


def test_a_resumed_term_holds_once_confirmed() -> None:
    """It says so in the record and holds after a confirmed keep alive and a read."""
    script, entry = resuming()
    script.answer(cmd.ReadOwn)
    assert script.asked == [cmd.Write(2, entry.lease, ME, entry.create_revision, entry.mod_revision)]
    script.answer(cmd.Write, cmd.ReadOwn)
    for kind in (cmd.KeepAlive, cmd.ReadOwn, cmd.ReadQueue):
        assert (script.state(), script.holding()) == (State.UNSURE, False)
        assert script.election.snapshot.deadline in (None, script.now + 15 * FACTOR)
        script.answer(kind)
    assert script.holding()
    assert script.token == entry.create_revision
    assert script.own.record == ME
    assert script.notes() == ["resumed"]


def test_resuming_is_no_failover_and_needs_no_new_lease() -> None:
    """No failover and no new lease come of it."""
    script, entry = resuming()
    script.settle()
    assert script.holding()
    assert list(script.etcd.leases) == [entry.lease]
    assert script.etcd.order == (script.own,)


def test_resuming_brings_no_deadline_of_its_own() -> None:
    """No deadline is believed before the keep alive is confirmed."""
    script, _ = resuming()
    script.answer(cmd.ReadOwn, cmd.Write, cmd.ReadOwn, cmd.KeepAlive)
    assert script.election.snapshot.deadline is None
    script.etcd.term += 1
    script.answer(cmd.ReadOwn)
    assert script.election.snapshot.deadline is None
    script.settle()
    assert script.holding()


def test_an_earlier_process_may_have_left_work() -> None:
    """Its key was not taken up yet: nobody knows whether its work runs, so the lease is left to expire."""
    script, entry = resuming()
    script.feed(ev.Stop(awaits_work=True))
    assert script.stopped()
    assert entry.lease not in script.revoked()
    assert "left-to-expire" in script.notes()


def test_a_resumed_waiter_waits() -> None:
    """One who was a waiter waits."""
    queue = Queue()
    first = queue.join(record("first"))
    entry, resumable = left(queue)
    script = Script(queue).start(resumable)
    assert (script.state(), script.token) == (State.WAITING, entry.create_revision)
    assert script.watched is not None
    assert script.watched.queue
    script.drop(first)
    assert script.holding()


@pytest.mark.parametrize(("mine", "leases", "believed"), [(60, 15, 15), (15, 60, 15), (None, 15, 15)])
def test_the_smaller_ttl_counts(mine: int | None, leases: int, believed: int) -> None:
    """Of the ttl set now and the ttl that the lease has the smaller counts."""
    queue = Queue()
    _, resumable = left(queue, ttl=leases)
    script = Script(queue, ttl=mine).start(resumable)
    assert script.election.snapshot.deadline == script.now + believed * FACTOR


def test_an_unanswered_rewrite_is_read_again() -> None:
    """A record rewritten without an answer is read again and found to be its own."""
    script, _ = resuming()
    script.answer(cmd.ReadOwn)
    script.etcd.answer(script.asked[0], script.now)
    script.fail(cmd.Write)
    script.doze()
    script.settle()
    assert script.holding()
    assert len([command for command in script.said if isinstance(command, cmd.Write)]) == 1


def test_a_record_rewritten_in_between_is_read_again() -> None:
    """The earlier process had said whom it would hand over to."""
    script, entry = resuming()
    script.answer(cmd.ReadOwn)
    script.etcd.put(replace(BEFORE, yield_to="best"), entry.lease)
    script.settle()
    assert script.holding()
    assert script.own.record == ME


def test_while_etcd_is_away_it_goes_on_trying() -> None:
    script, entry = resuming()
    asked = 0
    while script.now < 1010.0:
        if script.asked:
            asked += 1
            script.fail(cmd.ReadOwn)
        else:
            script.doze()
    assert asked <= 60
    script.settle()
    assert script.token == entry.create_revision


def test_an_unknown_cluster_does_not_prevent_resuming() -> None:
    """A cluster never learned is no reason not to resume."""
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue).start(replace(resumable, cluster=0))
    assert script.token == entry.create_revision


def test_a_resumed_term_drains_before_its_handover() -> None:
    """Before it is confirmed, too: the app beside it may never have stopped."""
    script, entry = resuming(drain=30.0)
    script.answer(cmd.ReadOwn, cmd.Write, cmd.ReadOwn)
    assert script.state() is State.UNSURE
    script.feed(ev.Stop())
    assert (script.state(), script.cause) == (State.YIELDING, Cause.SHUTDOWN)
    script.answer(cmd.KeepAlive, cmd.ReadOwn)
    assert entry.key in script.etcd.entries
    script.feed(ev.WorkStopped())
    script.settle()
    assert script.stopped()
    assert not script.etcd.entries


# --- not taken up ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["gone", "another token", "foreign", "another cluster"])
def test_a_key_that_may_not_be_ours_is_left_alone(why: str) -> None:
    """What is not certainly its own key is left alone and a fresh candidate joins."""
    queue = Queue()
    entry, resumable = left(queue)
    if why == "gone":
        queue.revoke(entry.lease)
    elif why == "another token":
        resumable = replace(resumable, token=resumable.token - 1)
    elif why == "foreign":
        queue.put(Record("by hand", foreign=True), entry.lease)
    else:
        resumable = replace(resumable, cluster=queue.cluster + 1)
    script = Script(queue).start(resumable)
    assert script.notes() == ["not-resumed"]
    assert script.token != entry.create_revision
    assert script.state() is (State.HOLDING if why == "gone" else State.WAITING)
    assert not [c for c in script.said if isinstance(c, (cmd.Write, cmd.Revoke, cmd.Resign))]


def test_a_lease_that_runs_out_is_not_resumed() -> None:
    """A lease that runs out on the way leads to a fresh candidate."""
    script, entry = resuming()
    script.answer(cmd.ReadOwn, cmd.Write, cmd.ReadOwn)
    script.etcd.revoke(entry.lease)
    script.settle()
    assert script.token > entry.create_revision
    assert script.holding()


def test_of_two_resuming_processes_one_has_the_key() -> None:
    """Only a copied state directory leads here. The one that wrote last has the key; the other joins anew."""
    queue = Queue()
    entry, resumable = left(queue)
    first = Script(queue).start(resumable)
    second = Script(queue, record=replace(ME, incarnation="second-process")).start(resumable)
    assert second.holding()
    first.hear()
    assert not first.holding()
    assert "usurped" in first.notes()
    first.wait(2.0)
    first.settle()
    assert (first.state(), second.token) == (State.WAITING, entry.create_revision)


# --- not wanted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [(), (cmd.ReadOwn,)], ids=["read", "write"])
@pytest.mark.parametrize("why", [ev.Stop(), ev.Pause(), ev.Health(healthy=False)], ids=lambda e: type(e).__name__)
def test_leaving_while_resuming_gives_the_lease_back(why: ev.Event, answered: tuple[type, ...]) -> None:
    """Whoever is not wanted while resuming gives the lease back."""
    script, entry = resuming()
    script.answer(*answered)
    script.feed(why)
    assert script.revoked() == [entry.lease]
    assert script.state() is State.IDLE
    assert script.stopped() == isinstance(why, ev.Stop)


@pytest.mark.parametrize("drain", [30.0, math.inf])
def test_the_lease_expires_if_old_work_may_still_run(drain: float) -> None:
    """Where the earlier process's work may still run the lease is left to expire."""
    script, entry = resuming(drain=drain)
    script.feed(ev.Stop())
    assert script.revoked() == []
    assert script.notes() == ["left-to-expire"]
    assert entry.key in script.etcd.entries


def test_the_old_key_is_kept_until_health_is_known() -> None:
    """What was left is kept until the apps health is known."""
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue, starts_healthy=False).start(resumable)
    assert script.said == []
    script.feed(ev.Health(healthy=False))
    assert script.said == []
    script.feed(ev.Health(healthy=True))
    script.settle()
    assert (script.holding(), script.token) == (True, entry.create_revision)


def test_a_stop_before_health_is_known_gives_it_back() -> None:
    """Stopping before the apps health is known gives back what was left."""
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue, starts_healthy=False).start(resumable)
    script.feed(ev.Stop())
    assert script.revoked() == [entry.lease]
    assert script.stopped()


def test_a_resumed_candidate_obeys_suspension() -> None:
    """A resumed candidate of a suspended lock does not hold."""
    queue = Queue()
    queue.declare(Spec(suspend=True))
    entry, resumable = left(queue)
    script = Script(queue).start(resumable)
    assert not script.holding()
    script.declare(Spec())
    script.settle()
    assert (script.holding(), script.token) == (True, entry.create_revision)
