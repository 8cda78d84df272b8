"""When a waiter's turn comes: at once where that is proved, after a read everywhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from tests.unit.election_script import Queue, Script, record


def behind(*names: str, spec: Spec | None = None, **changed: Any) -> tuple[Script, list[Entry]]:
    """A sidecar that waits behind these, and their entries."""
    queue = Queue()
    if spec is not None:
        queue.declare(spec)
    ahead = [queue.join(record(name)) for name in names]
    script = Script(queue, **changed).start()
    assert script.state() is State.WAITING
    assert not script.asked
    return script, ahead


# --- the one hop -----------------------------------------------------------------------------------------------------


def test_the_only_ones_deletion_makes_it_holder_with_no_read_in_between() -> None:
    script, (first,) = behind("first")
    script.drop(first)
    assert script.holding()
    assert script.election.snapshot.leader == "me"
    assert script.election.snapshot.term_since == script.now


def test_it_reads_then_and_watches_the_queue_for_preferred_ones() -> None:
    script, (first,) = behind("first")
    script.drop(first)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert script.watched == cmd.Watch(script.etcd.revision + 1, queue=True)


def test_a_deletion_after_its_deadline_makes_it_no_holder() -> None:
    script, (first,) = behind("first")
    script.now += 15.0
    script.drop(first)
    assert script.state() is State.UNSURE
    assert not script.holding()


def test_an_event_told_twice_is_as_good_as_once() -> None:
    script, (first,) = behind("first")
    script.drop(first)
    script.feed(ev.EntryGone(first.key, script.etcd.revision))
    script.settle()
    assert script.holding()


# --- reads first -----------------------------------------------------------------------------------------------------


def test_one_of_two_ahead_is_not_the_way_clear() -> None:
    script, (_, second) = behind("first", "second")
    script.drop(second)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.state() is State.WAITING
    assert script.election.snapshot.position == 1


def test_when_the_far_one_was_seen_to_have_gone_the_near_ones_deletion_is_enough() -> None:
    """The confirming read names the first of the queue."""
    script, (first, second) = behind("first", "second")
    script.etcd.delete(first)
    script.doze()
    script.answer(cmd.KeepAlive)
    script.beat()  # those further back confirm every other one
    assert script.election.snapshot.leader == "second"
    assert not script.asked
    script.drop(second)
    assert script.holding()


def test_one_that_was_seen_to_change_is_read_behind_first() -> None:
    script, (first,) = behind("first")
    first = script.rewrite(first, yield_to="best")
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_one_that_had_changed_before_it_came_is_read_behind_first() -> None:
    queue = Queue()
    first = queue.put(record("first", yield_to="best"), queue.join(record("first")).lease)
    script = Script(queue).start()
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_one_that_a_confirming_read_showed_changed_is_read_behind_first() -> None:
    """Also when the watch is late to say so."""
    script, (first,) = behind("first")
    changed = script.etcd.put(replace(first.record, yield_to="best"), first.lease)
    script.beat()
    script.settle()
    script.drop(changed)
    assert script.state() is State.WAITING


def test_one_passed_by_does_not_hold_for_an_instant() -> None:
    """The holder has deleted its own key and ours in one transaction; ours is told of last."""
    script, (first,) = behind("first")
    best = script.etcd.join(record("best"))
    first = script.rewrite(first, yield_to="best")
    token, mine = script.token, script.own
    revision = script.etcd.delete(first, mine)
    script.feed(ev.EntryGone(first.key, revision))
    assert not script.holding()
    script.feed(ev.EntryGone(mine.key, revision))
    assert script.state() is State.JOINING
    script.settle()
    assert script.state() is State.WAITING
    assert script.token > best.create_revision > token


def test_a_read_that_shows_its_own_key_gone_ends_the_candidate() -> None:
    script, (first,) = behind("first")
    first = script.rewrite(first, yield_to="best")
    mine = script.own
    script.feed(ev.EntryGone(first.key, script.etcd.delete(first, mine)))
    script.answer(cmd.ReadQueue)
    assert script.state() is State.JOINING
    assert script.revoked() == [mine.lease]


def test_a_read_older_than_what_the_watch_told_is_asked_for_again() -> None:
    script, (first,) = behind("first")
    first = script.rewrite(first)
    script.feed(ev.WatchLost("cancelled"))
    script.feed(ev.Tick())
    old = script.etcd.answer(script.take(cmd.ReadQueue), script.now)
    script.drop(first)
    script.feed(old)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_one_who_knows_of_a_better_waiter_behind_gives_up_its_turn_unheld() -> None:
    """It does not hold first and yield then."""
    queue = Queue()
    queue.declare(Spec(preferred_holder="best"))
    first = queue.join(record("first"))
    script = Script(queue)
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant, cmd.Join)
    best = queue.join(record("best"))
    script.feed(ev.WatchLost("cancelled"))
    script.settle()
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.state() is State.YIELDING
    script.settle()
    script.wait(2.0)
    script.settle()
    assert queue.order[0] == best
    assert script.state() is State.WAITING
    assert script.token > best.create_revision


# --- watches that break, or are silent -------------------------------------------------------------------------------


def test_after_a_lost_watch_it_reads_and_watches_from_there() -> None:
    script, (first,) = behind("first")
    script.etcd.delete(first)
    script.feed(ev.WatchLost("the connection broke"))
    assert script.election.deadline() == script.now
    script.wait(0.0)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert script.watched == cmd.Watch(script.etcd.revision + 1, queue=True)


def test_watches_that_break_again_and_again_are_not_asked_for_at_once_for_ever() -> None:
    script, _ = behind("first")
    reads = 0
    while script.now < 1010.0:
        script.feed(ev.WatchLost("cancelled"))
        script.doze()
        reads += len(script.asked)
        while script.asked:
            if isinstance(script.asked[0], cmd.ReadOwn):  # a confirmed keep-alive would count as success
                script.fail(cmd.ReadOwn)
            else:
                script.answer(type(script.asked[0]))
    assert reads <= 60


def test_a_deletion_that_a_silent_watch_hides_is_found_by_the_confirming_read() -> None:
    """The member that keeps its watch silent passes keep-alives on to a leader that lives."""
    script, (first,) = behind("first")
    script.etcd.delete(first)
    script.beat()
    script.answer(cmd.ReadQueue)
    assert script.holding()


@pytest.mark.parametrize("position", [2, 4])
def test_those_further_back_confirm_every_other_keep_alive(position: int) -> None:
    """Or a silent watch would be found out only when the turn has come and gone."""
    script, _ = behind(*(f"c{number}" for number in range(position)))
    confirmed = []
    for _ in range(4):
        script.doze()
        script.answer(cmd.KeepAlive)
        confirmed.append(bool(script.asked))
        script.settle()
    assert confirmed.count(True) == 2
    assert script.state() is State.WAITING


def test_the_next_in_line_confirms_every_keep_alive() -> None:
    script, _ = behind("first")
    for _ in range(3):
        script.beat()


def test_a_waiter_far_back_is_not_woken_by_what_cannot_concern_it() -> None:
    """No thundering herd: neither another holder, nor a change of the spec that leaves capacity alone."""
    script, (first, _) = behind("first", "second")
    script.etcd.delete(first)
    script.hear()
    script.declare(Spec(preferred_holder="best", ttl=30))
    assert not script.asked
