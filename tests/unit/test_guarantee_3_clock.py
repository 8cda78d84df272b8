"""Guarantee 3: the deadline is compared with the clock, whatever was told before; past it the candidate is unsure."""

from __future__ import annotations

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import Script, deadline, held, record


def doubted() -> Script:
    """A holder whose deadline has passed; etcd still has its key and its lease."""
    script = held()
    script.doze()
    script.fail(cmd.KeepAlive)
    script.now = 1000.0 + 15.0
    script.feed(ev.Tick())
    assert script.state() is State.UNSURE
    script.asked = [command for command in script.asked if isinstance(command, cmd.KeepAlive)]
    return script


def test_past_its_deadline_it_does_not_hold() -> None:
    """A process that was frozen answers 503 first."""
    script = held()
    script.now = deadline(script)
    assert not script.holding()
    assert script.election.snapshot.state is State.HOLDING


@pytest.mark.parametrize(
    "event",
    [ev.Tick(), ev.WatchLost("x"), ev.WorkStopped(), ev.EntryPut(Queue().join(record("x")))],
    ids=lambda e: type(e).__name__,
)
def test_any_event_past_its_deadline_makes_it_unsure(event: ev.Event) -> None:
    """The first event past its deadline makes it unsure."""
    script = held()
    script.now = deadline(script)
    script.feed(event)
    assert script.state() is State.UNSURE
    assert script.notes() == ["unsure"]


def test_it_wants_to_be_called_at_its_deadline() -> None:
    """So that hooks and streams hear of it on time."""
    script = held()
    script.doze()
    assert script.election.deadline() == deadline(script)


def test_an_unsure_holder_holds_again_once_confirmed() -> None:
    """A doubted holder holds again after a confirmed keep alive and a read and under its own token."""
    script = doubted()
    token, since = script.token, script.election.snapshot.term_since
    script.answer(cmd.KeepAlive)
    assert not script.holding()
    script.answer(cmd.ReadOwn)
    assert not script.holding()
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert (script.token, script.election.snapshot.term_since) == (token, since)


def test_a_read_of_the_queue_confirms_nothing() -> None:
    """The key may be there for as long as etcd has not noticed that its lease has run out."""
    script = doubted()
    script.feed(ev.WatchLost("cancelled"))
    script.feed(ev.Tick())
    script.answer(cmd.ReadQueue)
    assert script.state() is State.UNSURE


def test_an_unconfirmed_keep_alive_leaves_it_unsure() -> None:
    """An unconfirmed keep alive ends no doubt."""
    script = doubted()
    script.answer(cmd.KeepAlive)
    script.etcd.term += 1
    script.answer(cmd.ReadOwn)
    assert script.state() is State.UNSURE
    assert cmd.ReadQueue not in [type(command) for command in script.asked]


def test_an_unsure_waiter_waits_again() -> None:
    """A doubted waiter waits again."""
    queue = Queue()
    first = queue.join(record("first"))
    script = Script(queue).start()
    script.now += 15.0
    script.feed(ev.Tick())
    assert script.state() is State.UNSURE
    script.settle()
    assert script.state() is State.WAITING
    script.drop(first)
    assert script.holding()


def test_an_unsure_waiter_holds_if_its_turn_came() -> None:
    """A doubted waiter whose turn came meanwhile holds after confirming."""
    queue = Queue()
    first = queue.join(record("first"))
    script = Script(queue).start()
    script.now += 15.0
    script.drop(first)
    assert script.state() is State.UNSURE
    script.settle()
    assert script.holding()


def test_an_unsure_holder_waits_after_capacity_fell() -> None:
    """A doubted holder that has lost its place to a lowered capacity waits."""
    queue = Queue()
    queue.declare(Spec(capacity=2))
    queue.join(record("first"))
    script = Script(queue).start()
    assert script.holding()
    script.now += 15.0
    script.feed(ev.Tick())
    queue.declare(Spec(capacity=1))
    script.settle()
    assert not script.holding()
