"""What the lock's declaration asks for, good or broken: capacity, suspension; and strangers in the queue."""

from __future__ import annotations

from leasehold.election import commands as cmd
from leasehold.election.snapshot import State
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec
from tests.unit.election_queue import KEYS, Queue
from tests.unit.election_script import Script, record, waiting_behind

# --- capacity --------------------------------------------------------------------------------------------------------


def test_with_capacity_two_the_first_two_hold() -> None:
    queue = Queue()
    queue.declare(Spec(capacity=2))
    scripts = [Script(queue, record=record(f"c{number}")).start() for number in range(3)]
    assert [script.holding() for script in scripts] == [True, True, False]
    assert [script.election.snapshot.leader for script in scripts] == ["c0", "c0", "c0"]


def test_with_capacity_two_a_waiter_reads_before_it_holds() -> None:
    """With capacity two a waiter watches the queue and reads before it holds."""
    script, (first, _) = waiting_behind("first", "second", spec=Spec(capacity=2))
    assert script.watched is not None
    assert script.watched.queue
    script.drop(first)
    assert script.state() is State.WAITING
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_a_raised_capacity_lets_only_the_next_hold() -> None:
    """A raised capacity lets the next in line hold and not those behind."""
    queue = Queue()
    scripts = [Script(queue, record=record(f"c{number}")).start() for number in range(4)]
    queue.declare(Spec(capacity=3))
    for script in scripts:
        script.hear()
        script.settle()
    assert [script.holding() for script in scripts] == [True, True, True, False]


def test_a_lowered_capacity_ends_the_youngest_holders() -> None:
    """A lowered capacity ends the youngest holders and they queue again."""
    queue = Queue()
    queue.declare(Spec(capacity=3))
    scripts = [Script(queue, record=record(f"c{number}")).start() for number in range(3)]
    queue.declare(Spec(capacity=1))
    for script in scripts:
        script.hear()
    assert [script.holding() for script in scripts] == [True, False, False]
    assert scripts[1].cause == "capacity"
    for script in scripts[1:]:
        script.rejoin()
    assert [script.state() for script in scripts] == [State.HOLDING, State.WAITING, State.WAITING]


# --- suspended -------------------------------------------------------------------------------------------------------


def test_waiters_of_a_suspended_lock_keep_their_places() -> None:
    """In a suspended lock nobody holds and waiters keep their places."""
    script, (first,) = waiting_behind("first", spec=Spec(suspend=True))
    token = script.token
    assert script.election.snapshot.leader is None
    script.drop(first)
    script.settle()
    assert (script.state(), script.token, script.election.snapshot.position) == (State.WAITING, token, 0)
    script.declare(Spec())
    script.settle()
    assert (script.holding(), script.token) == (True, token)


def test_a_holder_of_a_suspended_lock_waits() -> None:
    """A holder of a lock that is suspended gives up and waits."""
    script = Script().start()
    script.declare(Spec(suspend=True))
    assert not script.holding()
    assert script.cause == "suspended"
    script.rejoin()
    assert (script.state(), script.election.snapshot.position) == (State.WAITING, 0)


# --- a spec that is broken, or newer ---------------------------------------------------------------------------------


def test_the_last_good_spec_stays_in_force() -> None:
    """A spec that breaks is noted once and the last good one stays in force."""
    script, (first,) = waiting_behind("first", spec=Spec(capacity=1, preferred_holder="me"))
    script.declare(None, broken="the lock's spec key does not hold a JSON object")
    script.settle()
    script.drop(first)
    script.settle()
    script.come(record("other", priority=5))
    assert script.holding()
    assert script.notes() == ["spec-broken"]


def test_a_deleted_spec_leaves_an_undeclared_lock() -> None:
    """A spec that is deleted leaves an undeclared lock."""
    queue = Queue()
    queue.declare(Spec(suspend=True))
    script = Script(queue).start()
    assert script.state() is State.WAITING
    script.declare(None)
    script.settle()
    assert script.holding()


def test_unknown_fields_are_noted() -> None:
    """Unknown fields are noted and the known ones obeyed."""
    script = Script().start()
    script.declare(Spec(suspend=True, unknown=("colour", "weight")))
    assert script.notes() == ["spec-unknown", "yielding"]
    assert not script.holding()


def test_only_a_new_problem_of_a_spec_is_noted() -> None:
    """An operator writes the spec whenever the resource changes: its field that we do not know is no news then."""
    script = Script().start()
    for generation in (1, 2):
        script.declare(Spec(generation=generation, unknown=("colour",)))
    for _ in range(2):
        script.declare(None, broken="the lock's spec key does not hold a JSON object")
    script.declare(Spec(unknown=("weight",)))
    assert script.notes() == ["spec-unknown", "spec-broken", "spec-unknown"]


def test_an_older_spec_is_not_adopted() -> None:
    """Watches may tell late, and twice."""
    script = Script().start()
    old = script.etcd.declare(Spec(suspend=True))
    new = script.etcd.declare(Spec())
    script.feed(new)
    script.feed(old)
    assert script.holding()


# --- strangers in the queue ------------------------------------------------------------------------------------------


def test_a_foreign_candidate_ahead_is_waited_for() -> None:
    """A foreign candidate ahead is waited for like any other."""
    queue = Queue()
    foreign = queue.put(Record("etcdctl", foreign=True), queue.grant(60))
    script = Script(queue).start()
    assert script.election.snapshot.leader == "etcdctl"
    script.drop(foreign)
    assert script.holding()


def test_a_key_without_a_lease_is_a_candidate() -> None:
    """A key under the queue without a lease is a candidate like any other."""
    queue = Queue()
    stray = Entry(KEYS.queue + "by-hand", 0, 50, 50, Record("by hand", foreign=True))
    queue.entries[stray.key] = stray
    script = Script(queue).start()
    assert (script.state(), script.election.snapshot.leader) == (State.WAITING, "by hand")
    script.drop(stray)
    assert script.holding()
