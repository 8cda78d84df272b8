"""Into the queue with a fresh candidate: what is asked, in which order, and what becomes of what goes wrong."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import State
from leasehold.lock.keys import Keys
from leasehold.lock.spec import Spec
from tests.unit.election_queue import LOCK, Queue
from tests.unit.election_script import FACTOR, ME, Script, record, settings


def questions(script: Script) -> list[type]:
    """The kinds of all questions so far."""
    return [type(command) for command in script.said if "op" in command.__slots__]


def test_an_empty_lock_is_held_after_three_round_trips() -> None:
    """Spec, lease, key: the joining transaction reads the queue, too."""
    script = Script().start()
    assert questions(script) == [cmd.ReadSpec, cmd.Grant, cmd.Join]
    assert script.holding()
    assert script.election.snapshot.leader == "me"
    assert script.election.snapshot.position == 0
    assert script.own.record == ME


def test_the_deadline_counts_from_the_grant_being_sent() -> None:
    """However long the key then took to be put."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.now += 3.0
    script.answer(cmd.Join)
    assert script.election.snapshot.deadline == 1000.0 + 15 * FACTOR


def test_a_waiter_watches_a_short_queue() -> None:
    """Behind another it waits and watches the queue, to name its leader, and the spec."""
    queue = Queue()
    queue.join(record("first"))
    script = Script(queue).start()
    assert script.state() is State.WAITING
    assert script.election.snapshot.leader == "first"
    assert script.election.snapshot.position == 1
    assert script.watched == cmd.Watch(queue.revision + 1, queue=True, spec=True)


def test_in_a_long_queue_it_watches_three_keys() -> None:
    """The first says who leads, and the one ahead when its turn comes; nobody is woken by the others."""
    queue = Queue()
    first, _, last = [queue.join(record(name)) for name in ("first", "second", "third")]
    script = Script(queue, watch_all_up_to=3).start()
    assert script.election.snapshot.position == 3
    assert script.watched is not None
    assert script.watched.keys == {first.key, last.key, script.own.key}
    assert not script.watched.queue


@pytest.mark.parametrize(("mine", "locks", "asked"), [(None, None, 15), (None, 40, 40), (20, 40, 20), (20, None, 20)])
def test_the_sidecars_ttl_comes_before_the_locks(mine: int | None, locks: int | None, asked: int) -> None:
    """The ttl is the sidecar's, else the lock's else fifteen seconds."""
    script = Script(ttl=mine)
    script.etcd.declare(Spec(ttl=locks))
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec)
    assert script.take(cmd.Grant).ttl == asked
    assert script.election.ttl == asked


def test_a_changed_ttl_applies_to_the_next_candidate() -> None:
    """A changed ttl applies from the next joining on."""
    script = Script().start()
    script.declare(Spec(ttl=40))
    script.settle()
    assert (script.holding(), script.election.ttl) == (True, 15)
    script.feed(ev.HandOver())
    script.rejoin()
    assert (script.holding(), script.election.ttl) == (True, 40)


def test_a_spec_that_moved_before_the_put_is_read_again() -> None:
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


# --- when etcd is away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"refused": True}])
def test_it_retries_at_a_low_rate_while_etcd_is_away(how: dict[str, bool]) -> None:
    """While etcd is away it asks a handful of times a second and goes on."""
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


def test_sidecars_do_not_retry_together() -> None:
    """Sidecars that failed together do not retry together."""
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


def test_an_undeclared_lock_is_watched_and_not_joined() -> None:
    """An undeclared lock is waited for by watch and not joined."""
    script = Script(require_lock=True).start()
    assert script.state() is State.JOINING
    assert script.watched == cmd.Watch(script.etcd.revision + 1)
    assert "is not declared" in (script.election.snapshot.last_error or "")
    assert not script.etcd.leases
    script.declare(Spec())
    script.settle()
    assert script.holding()
    assert script.election.snapshot.last_error is None


def test_an_undeclared_lock_is_read_after_a_lost_watch() -> None:
    """A lost watch on an undeclared lock is read and watched again."""
    script = Script(require_lock=True).start()
    script.feed(ev.WatchLost("cancelled"))
    script.etcd.declare(Spec())
    script.settle()
    assert script.holding()


def test_a_lock_with_an_unreadable_spec_is_declared() -> None:
    """A lock whose spec cannot be read is declared."""
    queue = Queue()
    queue.declare(None, broken="the lock's spec key does not hold a JSON object")
    script = Script(queue, require_lock=True).start()
    assert script.holding()
    assert script.notes() == ["spec-broken"]


def test_everybody_leaves_a_lock_that_is_deleted() -> None:
    """A lock whose declaration goes is left by holders and waiters."""
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


def test_unknown_health_keeps_it_from_joining() -> None:
    """A new revision whose image is missing must never lead."""
    script = Script(starts_healthy=False).start()
    assert (script.state(), script.said, script.election.deadline()) == (State.IDLE, [], None)
    script.feed(ev.Health(healthy=True))
    script.settle()
    assert script.holding()


def test_a_sidecar_paused_at_start_joins_on_resume() -> None:
    """A sidecar paused before it starts joins when resumed."""
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
def test_leaving_while_joining_leaves_nothing_behind(why: ev.Event, answered: tuple[type, ...]) -> None:
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


def test_a_stop_before_the_start_has_stopped() -> None:
    """A sidecar told to stop before it started has stopped."""
    assert Script().feed(ev.Stop()) == [cmd.Stopped()]
