"""Guarantee 1: when a waiter's turn comes: at once where that is proved, after a read everywhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import Script, record, waiting_behind

# --- the one hop -----------------------------------------------------------------------------------------------------


def test_the_only_key_ahead_gone_it_holds_without_a_read() -> None:
    """The only ones deletion makes it holder with no read in between."""
    script, (first,) = waiting_behind("first")
    script.drop(first)
    assert script.holding()
    assert script.election.snapshot.leader == "me"
    assert script.election.snapshot.term_since == script.now


def test_then_it_reads_and_watches_the_queue() -> None:
    """It reads then and watches the queue for preferred ones, as it did before if the queue is short."""
    script, (first,) = waiting_behind("first", watch_all_up_to=1)
    script.drop(first)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert script.watched == cmd.Watch(script.etcd.revision + 1, queue=True)
    short, (first,) = waiting_behind("first")
    watched = short.watched
    short.drop(first)
    short.answer(cmd.ReadQueue)
    assert short.watched is watched


def test_a_deletion_past_its_deadline_makes_no_holder() -> None:
    """A deletion after its deadline makes it no holder."""
    script, (first,) = waiting_behind("first")
    script.now += 15.0
    script.drop(first)
    assert script.state() is State.UNSURE
    assert not script.holding()


def test_a_repeated_event_changes_nothing() -> None:
    """An event told twice is as good as once."""
    script, (first,) = waiting_behind("first")
    script.drop(first)
    script.feed(ev.EntryGone(first.key, script.etcd.revision))
    script.settle()
    assert script.holding()


# --- reads first -----------------------------------------------------------------------------------------------------


def test_one_of_two_keys_ahead_is_not_enough() -> None:
    """One of two ahead is not the way clear. In a short queue, which it knows as a whole, it need not even read."""
    script, (_, second) = waiting_behind("first", "second", watch_all_up_to=1)
    script.drop(second)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.state() is State.WAITING
    assert script.election.snapshot.position == 1
    short, (_, second) = waiting_behind("first", "second")
    short.drop(second)
    assert not short.asked
    assert (short.state(), short.election.snapshot.position) == (State.WAITING, 1)


@pytest.mark.parametrize("limit", [1, 32], ids=["long", "short"])
def test_a_far_key_known_gone_leaves_only_the_near_one(limit: int) -> None:
    """A waiter names the next leader when the watch tells that the first has gone, reads nothing, and holds next."""
    script, (first, second) = waiting_behind("first", "second", watch_all_up_to=limit)
    script.drop(first)
    assert script.election.snapshot.leader == "second"
    assert (script.state(), script.asked) == (State.WAITING, [])
    script.drop(second)
    assert script.holding()


def test_two_deleted_in_one_transaction_lead_to_a_read() -> None:
    """The owner of the first may have deleted our key with the second's: its record said that it would skip some."""
    script, (first, second) = waiting_behind("first", "second")
    first = script.rewrite(first, yield_to="best")
    revision = script.etcd.delete(first, second, script.own)
    script.feed(ev.EntryGone(first.key, revision))
    script.feed(ev.EntryGone(second.key, revision))
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.state() is State.JOINING


def test_in_a_long_queue_the_next_read_names_the_leader() -> None:
    """What is known of those in between may be old: so the next keep-alive is confirmed by a read, in any case."""
    script, (first, second, third, _) = waiting_behind("first", "second", "third", "fourth", watch_all_up_to=1)
    assert script.watched is not None
    assert first.key in script.watched.keys
    assert second.key not in script.watched.keys
    script.etcd.delete(second)
    script.drop(first)
    assert script.election.snapshot.leader == "second"
    script.doze()
    script.answer(cmd.KeepAlive, cmd.ReadOwn)
    assert script.election.snapshot.leader == "third"
    assert not script.asked
    assert third.key in script.watched.keys
    script.drop(third)
    assert script.election.snapshot.leader == "fourth"


def test_a_queue_grown_long_is_watched_as_one() -> None:
    """And as a short one again, once a read has shown that it is short."""
    script, (first,) = waiting_behind("first", watch_all_up_to=4)
    others = [script.come(record(f"c{number}")) for number in range(4)]
    script.beat()
    script.answer(cmd.ReadQueue)
    assert script.watched is not None
    assert script.watched.keys == {first.key, script.own.key}
    script.etcd.delete(*others)
    for _ in range(3):
        script.beat()
    script.settle()
    assert script.watched.queue


def test_a_changed_key_ahead_leads_to_a_read() -> None:
    """One that was seen to change is read behind first."""
    script, (first,) = waiting_behind("first")
    first = script.rewrite(first, yield_to="best")
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_a_key_changed_before_we_came_leads_to_a_read() -> None:
    """One that had changed before it came is read behind first."""
    queue = Queue()
    first = queue.put(record("first", yield_to="best"), queue.join(record("first")).lease)
    script = Script(queue).start()
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_a_change_seen_by_a_confirming_read_counts() -> None:
    """Also when the watch is late to say so."""
    script, (first,) = waiting_behind("first")
    changed = script.etcd.put(replace(first.record, yield_to="best"), first.lease)
    script.beat()
    script.settle()
    script.drop(changed)
    assert script.state() is State.WAITING


def test_a_skipped_waiter_never_holds() -> None:
    """The holder has deleted its own key and ours in one transaction; ours is told of last."""
    script, (first,) = waiting_behind("first")
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


def test_a_read_without_its_own_key_ends_the_candidate() -> None:
    """A read that shows its own key gone ends the candidate."""
    script, (first,) = waiting_behind("first")
    first = script.rewrite(first, yield_to="best")
    mine = script.own
    script.feed(ev.EntryGone(first.key, script.etcd.delete(first, mine)))
    script.answer(cmd.ReadQueue)
    assert script.state() is State.JOINING
    assert script.revoked() == [mine.lease]


def test_a_read_older_than_the_watch_is_repeated() -> None:
    """A read older than what the watch told is asked for again."""
    script, (first,) = waiting_behind("first")
    first = script.rewrite(first)
    script.feed(ev.WatchLost("cancelled"))
    script.feed(ev.Tick())
    old = script.etcd.answer(script.take(cmd.ReadQueue), script.now)
    script.drop(first)
    script.feed(old)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_a_better_waiter_behind_gets_the_turn() -> None:
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


def test_a_lost_watch_leads_to_a_read_and_a_new_watch() -> None:
    """After a lost watch it reads and watches from there."""
    script, (first,) = waiting_behind("first")
    script.etcd.delete(first)
    script.feed(ev.WatchLost("the connection broke"))
    assert script.election.deadline() == script.now
    script.wait(0.0)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert script.watched == cmd.Watch(script.etcd.revision + 1, queue=True)


def test_watches_that_keep_breaking_are_opened_slowly() -> None:
    """Watches that break again and again are not asked for at once."""
    script, _ = waiting_behind("first")
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


def test_the_confirming_read_finds_a_silent_watch() -> None:
    """The member that keeps its watch silent passes keep-alives on to a leader that lives."""
    script, (first,) = waiting_behind("first")
    script.etcd.delete(first)
    script.beat()
    script.answer(cmd.ReadQueue)
    assert script.holding()


@pytest.mark.parametrize("position", [1, 2, 4])
def test_waiters_confirm_every_other_keep_alive(position: int) -> None:
    """Or a silent watch would be found out only when the turn has come and gone."""
    script, _ = waiting_behind(*(f"c{number}" for number in range(position)))
    confirmed = []
    for _ in range(4):
        script.doze()
        script.answer(cmd.KeepAlive)
        confirmed.append(bool(script.asked))
        script.settle()
    assert confirmed.count(True) == 2
    assert script.state() is State.WAITING


def test_a_waiter_far_back_is_not_woken_in_vain() -> None:
    """No thundering herd: neither another holder, nor a change of the spec that leaves capacity alone."""
    script, (first, _) = waiting_behind("first", "second")
    script.etcd.delete(first)
    script.hear()
    script.declare(Spec(preferred_holder="best", ttl=30))
    assert not script.asked
