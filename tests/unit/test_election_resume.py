"""Taking up the candidate of an earlier process of this pod: its own term, or nothing of it."""

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
from tests.unit.election_script import FACTOR, ME, Queue, Script, record

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


def test_it_says_so_in_the_record_and_holds_after_a_confirmed_keep_alive_and_a_read() -> None:
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


def test_no_failover_and_no_new_lease_come_of_it() -> None:
    script, entry = resuming()
    script.settle()
    assert script.holding()
    assert list(script.etcd.leases) == [entry.lease]
    assert script.etcd.order == (script.own,)


def test_no_deadline_is_believed_before_the_keep_alive_is_confirmed() -> None:
    script, _ = resuming()
    script.answer(cmd.ReadOwn, cmd.Write, cmd.ReadOwn, cmd.KeepAlive)
    assert script.election.snapshot.deadline is None
    script.etcd.term += 1
    script.answer(cmd.ReadOwn)
    assert script.election.snapshot.deadline is None
    script.settle()
    assert script.holding()


def test_one_who_was_a_waiter_waits() -> None:
    queue = Queue()
    first = queue.join(record("first"))
    entry, resumable = left(queue)
    script = Script(queue).start(resumable)
    assert (script.state(), script.token) == (State.WAITING, entry.create_revision)
    assert script.watched is not None
    assert script.watched.keys == {first.key, entry.key}
    script.drop(first)
    assert script.holding()


@pytest.mark.parametrize(("mine", "leases", "believed"), [(60, 15, 15), (15, 60, 15), (None, 15, 15)])
def test_of_the_ttl_set_now_and_the_ttl_that_the_lease_has_the_smaller_counts(
    mine: int | None, leases: int, believed: int
) -> None:
    queue = Queue()
    _, resumable = left(queue, ttl=leases)
    script = Script(queue, ttl=mine).start(resumable)
    assert script.election.snapshot.deadline == script.now + believed * FACTOR


def test_a_record_rewritten_without_an_answer_is_read_again_and_found_to_be_its_own() -> None:
    script, _ = resuming()
    script.answer(cmd.ReadOwn)
    script.etcd.answer(script.asked[0], script.now)
    script.fail(cmd.Write)
    script.doze()
    script.settle()
    assert script.holding()
    assert len([command for command in script.said if isinstance(command, cmd.Write)]) == 1


def test_a_record_that_was_rewritten_in_between_is_read_again() -> None:
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


def test_a_cluster_never_learned_is_no_reason_not_to_resume() -> None:
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue).start(replace(resumable, cluster=0))
    assert script.token == entry.create_revision


def test_a_resumed_term_that_may_have_work_under_way_is_handed_over_with_its_drain() -> None:
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
def test_what_is_not_certainly_its_own_key_is_left_alone_and_a_fresh_candidate_joins(why: str) -> None:
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


def test_a_lease_that_runs_out_on_the_way_leads_to_a_fresh_candidate() -> None:
    script, entry = resuming()
    script.answer(cmd.ReadOwn, cmd.Write, cmd.ReadOwn)
    script.etcd.revoke(entry.lease)
    script.settle()
    assert script.token > entry.create_revision
    assert script.holding()


def test_two_processes_that_resume_one_key_end_with_one_that_has_it() -> None:
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
def test_whoever_is_not_wanted_while_resuming_gives_the_lease_back(why: ev.Event, answered: tuple[type, ...]) -> None:
    script, entry = resuming()
    script.answer(*answered)
    script.feed(why)
    assert script.revoked() == [entry.lease]
    assert script.state() is State.IDLE
    assert script.stopped() == isinstance(why, ev.Stop)


@pytest.mark.parametrize("drain", [30.0, math.inf])
def test_where_the_earlier_processs_work_may_still_run_the_lease_is_left_to_expire(drain: float) -> None:
    script, entry = resuming(drain=drain)
    script.feed(ev.Stop())
    assert script.revoked() == []
    assert script.notes() == ["left-to-expire"]
    assert entry.key in script.etcd.entries


def test_what_was_left_is_kept_until_the_apps_health_is_known() -> None:
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue, starts_healthy=False).start(resumable)
    assert script.said == []
    script.feed(ev.Health(healthy=False))
    assert script.said == []
    script.feed(ev.Health(healthy=True))
    script.settle()
    assert (script.holding(), script.token) == (True, entry.create_revision)


def test_stopping_before_the_apps_health_is_known_gives_back_what_was_left() -> None:
    queue = Queue()
    entry, resumable = left(queue)
    script = Script(queue, starts_healthy=False).start(resumable)
    script.feed(ev.Stop())
    assert script.revoked() == [entry.lease]
    assert script.stopped()


def test_a_resumed_candidate_of_a_suspended_lock_does_not_hold() -> None:
    queue = Queue()
    queue.declare(Spec(suspend=True))
    entry, resumable = left(queue)
    script = Script(queue).start(resumable)
    assert not script.holding()
    script.declare(Spec())
    script.settle()
    assert (script.holding(), script.token) == (True, entry.create_revision)
