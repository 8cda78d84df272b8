"""Into the queue with a fresh candidate: what is asked, in which order, and what becomes of what goes wrong."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import State
from leasehold.lock.keys import Keys
from leasehold.lock.spec import Spec
from tests.unit.election_script import FACTOR, LOCK, ME, Queue, Script, record, settings


def questions(script: Script) -> list[type]:
    """The kinds of all questions so far."""
    return [type(command) for command in script.said if "op" in command.__slots__]


def test_on_an_empty_lock_it_holds_after_three_round_trips() -> None:
    """Spec, lease, key: the joining transaction reads the queue, too."""
    script = Script().start()
    assert questions(script) == [cmd.ReadSpec, cmd.Grant, cmd.Join]
    assert script.holding()
    assert script.election.snapshot.leader == "me"
    assert script.election.snapshot.position == 0
    assert script.own.record == ME


def test_its_deadline_counts_from_when_the_grant_was_sent() -> None:
    """However long the key then took to be put."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.now += 3.0
    script.answer(cmd.Join)
    assert script.election.snapshot.deadline == 1000.0 + 15 * FACTOR


def test_behind_another_it_waits_and_watches_that_one_itself_and_the_spec() -> None:
    queue = Queue()
    ahead = queue.join(record("first"))
    script = Script(queue).start()
    assert script.state() is State.WAITING
    assert script.election.snapshot.leader == "first"
    assert script.election.snapshot.position == 1
    assert script.watched == cmd.Watch(queue.revision + 1, frozenset({ahead.key, script.own.key}), spec=True)


def test_far_back_it_watches_just_the_one_ahead_and_itself() -> None:
    """A deletion wakes one waiter and not all of them."""
    queue = Queue()
    *_, last = [queue.join(record(name)) for name in ("first", "second", "third")]
    script = Script(queue).start()
    assert script.election.snapshot.position == 3
    assert script.watched is not None
    assert script.watched.keys == {last.key, script.own.key}
    assert not script.watched.queue


@pytest.mark.parametrize(("mine", "locks", "asked"), [(None, None, 15), (None, 40, 40), (20, 40, 20), (20, None, 20)])
def test_the_ttl_is_the_sidecars_else_the_locks_else_fifteen_seconds(
    mine: int | None, locks: int | None, asked: int
) -> None:
    script = Script(ttl=mine)
    script.etcd.declare(Spec(ttl=locks))
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec)
    assert script.take(cmd.Grant).ttl == asked
    assert script.election.ttl == asked


def test_a_changed_ttl_applies_from_the_next_joining_on() -> None:
    script = Script().start()
    script.declare(Spec(ttl=40))
    script.settle()
    assert (script.holding(), script.election.ttl) == (True, 15)
    script.feed(ev.HandOver())
    script.settle()
    assert (script.holding(), script.election.ttl) == (True, 40)


def test_a_lock_that_moves_between_the_read_and_the_put_is_read_again_and_the_lease_not_reused() -> None:
    """The candidate may just have been given another capacity, another TTL, or been suspended."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.etcd.declare(Spec(capacity=2))
    script.answer(cmd.Join)
    assert script.state() is State.JOINING
    first = script.revoked()
    script.settle()
    assert script.holding()
    assert len(first) == 1
    assert script.own.lease not in first


def test_it_goes_to_the_root_it_was_given() -> None:
    changed = settings(root="/elsewhere")
    assert isinstance(changed, ElectionConfig)
    assert Script(root="/elsewhere").election.keys == Keys(LOCK, "/elsewhere")


# --- a transaction without an answer ---------------------------------------------------------------------------------


def joined_in_the_dark(*, arrived: bool) -> Script:
    """The joining transaction had no answer; whether it arrived is not known to the election."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    command = script.asked[0]
    if arrived:
        script.etcd.answer(command, script.now)
    script.fail(cmd.Join)
    assert script.state() is State.JOINING
    assert not script.holding()
    script.feed(ev.Tick())
    return script


def test_an_unknown_outcome_leads_to_a_read_and_a_key_found_is_used() -> None:
    script = joined_in_the_dark(arrived=True)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert not script.revoked()
    assert script.election.snapshot.deadline == 1000.0 + 15 * FACTOR


def test_a_key_not_found_may_still_come_so_its_lease_is_given_back_first() -> None:
    """The put cannot survive that; and the next key is another lease's."""
    script = joined_in_the_dark(arrived=False)
    put = next(command for command in script.said if isinstance(command, cmd.Join))
    script.answer(cmd.ReadQueue)
    assert script.revoked() == [put.lease]
    assert isinstance(script.etcd.answer(put, script.now), ev.Failed), "a put that comes late finds no lease"
    script.wait(2.0)
    script.settle()
    assert script.holding()
    assert script.own.lease != put.lease


def test_the_read_after_an_unknown_outcome_is_repeated_until_answered() -> None:
    script = joined_in_the_dark(arrived=True)
    for _ in range(3):
        script.fail(cmd.ReadQueue)
        script.wait(2.0)
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_if_the_lease_ran_out_meanwhile_it_is_not_held_under() -> None:
    script = joined_in_the_dark(arrived=True)
    script.now += 15.0
    script.answer(cmd.ReadQueue)
    assert script.state() is State.UNSURE
    assert not script.holding()


def test_a_put_that_was_refused_is_no_riddle() -> None:
    """Nothing was done: no read is needed, and a fresh candidate is made."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.fail(cmd.Join, refused=True, lease_gone=True)
    assert len(script.revoked()) == 1
    script.settle()
    assert script.holding()
    assert cmd.ReadQueue not in questions(script)


# --- when etcd is away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"refused": True}])
def test_while_etcd_is_away_it_asks_a_handful_of_times_a_second_and_goes_on_for_ever(how: dict[str, bool]) -> None:
    script = Script()
    script.feed(ev.Start())
    asked = 0
    while script.now < 1060.0:
        if script.asked:
            asked += 1
            script.fail(type(script.asked[0]), **how)
        else:
            deadline = script.election.deadline()
            assert deadline is not None
            assert deadline <= script.now + 2.0
            script.wait(max(0.0, deadline - script.now))
    assert 30 <= asked <= 120
    script.settle()
    assert script.holding()


def test_the_first_failure_is_retried_at_once() -> None:
    """Most are over by the time the next endpoint is asked."""
    script = Script()
    script.feed(ev.Start())
    script.fail(cmd.ReadSpec)
    assert script.election.deadline() == script.now


def test_sidecars_that_failed_together_do_not_retry_together() -> None:
    delays = set()
    for seed in range(5):
        script = Script()
        script.rng.seed(seed)
        script.feed(ev.Start())
        for _ in range(4):
            script.fail(cmd.ReadSpec)
            script.doze()
        delays.add(script.now)
    assert len(delays) == 5


# --- a lock that must be declared ------------------------------------------------------------------------------------


def test_an_undeclared_lock_is_waited_for_by_watch_and_not_joined() -> None:
    script = Script(require_lock=True).start()
    assert script.state() is State.JOINING
    assert script.watched == cmd.Watch(script.etcd.revision + 1)
    assert "is not declared" in (script.election.snapshot.last_error or "")
    assert not script.etcd.leases
    script.declare(Spec())
    script.settle()
    assert script.holding()
    assert script.election.snapshot.last_error is None


def test_a_lost_watch_on_an_undeclared_lock_is_read_and_watched_again() -> None:
    script = Script(require_lock=True).start()
    script.feed(ev.WatchLost("cancelled"))
    script.etcd.declare(Spec())
    script.settle()
    assert script.holding()


def test_a_lock_whose_spec_cannot_be_read_is_declared_all_the_same() -> None:
    queue = Queue()
    queue.declare(None, broken="the lock's spec key does not hold a JSON object")
    script = Script(queue, require_lock=True).start()
    assert script.holding()
    assert script.notes() == ["spec-broken"]


def test_a_lock_whose_declaration_goes_is_left_by_holders_and_waiters() -> None:
    queue = Queue()
    queue.declare(Spec())
    holder = Script(queue, require_lock=True).start()
    waiter = Script(queue, require_lock=True, record=record("other")).start()
    assert (holder.state(), waiter.state()) == (State.HOLDING, State.WAITING)
    queue.declare(None)
    for script in (holder, waiter):
        script.hear()
        script.settle()
        assert script.state() is State.JOINING
    assert not queue.entries
    queue.declare(Spec())
    for script in (holder, waiter):
        script.hear()
        script.settle()
    assert (holder.state(), waiter.state()) == (State.HOLDING, State.WAITING)


# --- not wanted (yet) ------------------------------------------------------------------------------------------------


def test_an_app_whose_health_is_not_known_yet_is_not_joined_for() -> None:
    """A new revision whose image is missing must never lead."""
    script = Script(starts_healthy=False).start()
    assert (script.state(), script.said, script.election.deadline()) == (State.IDLE, [], None)
    script.feed(ev.Health(healthy=True))
    script.settle()
    assert script.holding()


def test_a_sidecar_paused_before_it_starts_joins_when_resumed() -> None:
    script = Script()
    script.feed(ev.Pause())
    script.start()
    assert script.state() is State.IDLE
    script.feed(ev.Resume())
    script.settle()
    assert script.holding()


@pytest.mark.parametrize("first", [ev.Resume(), ev.Health(healthy=True)])
def test_it_joins_only_when_both_healthy_and_not_paused(first: ev.Event) -> None:
    script = Script().start()
    script.feed(ev.Pause())
    script.feed(ev.Health(healthy=False))
    script.settle()
    script.feed(first)
    script.settle()
    assert script.state() is State.IDLE
    script.feed(ev.Health(healthy=True) if isinstance(first, ev.Resume) else ev.Resume())
    script.settle()
    assert script.holding()


@pytest.mark.parametrize("answered", [(), (cmd.ReadSpec,), (cmd.ReadSpec, cmd.Grant)], ids=["spec", "grant", "join"])
@pytest.mark.parametrize("why", [ev.Stop(), ev.Pause(), ev.Health(healthy=False)], ids=lambda e: type(e).__name__)
def test_whoever_is_not_wanted_any_more_while_joining_leaves_nothing_behind(
    why: ev.Event, answered: tuple[type, ...]
) -> None:
    """Even if what is under way is done after that: its lease is given back, at once or when it comes."""
    script = Script()
    script.feed(ev.Start())
    script.answer(*answered)
    script.feed(why)
    assert script.state() is State.IDLE
    assert script.stopped() == isinstance(why, ev.Stop)
    late = script.asked.pop()
    script.feed(script.etcd.answer(late, script.now))
    assert not script.etcd.entries
    assert not script.etcd.leases
    assert not script.asked
    assert script.election.deadline() is None


def test_a_second_stop_asks_for_nothing_more() -> None:
    script = Script().start()
    script.feed(ev.Stop())
    script.settle()
    assert script.stopped()
    assert all(isinstance(c, cmd.Stopped) for c in script.feed(ev.Stop()))
    assert script.election.deadline() is None


def test_a_sidecar_told_to_stop_before_it_started_has_stopped() -> None:
    assert Script().feed(ev.Stop()) == [cmd.Stopped()]
