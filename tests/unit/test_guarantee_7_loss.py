"""Guarantees 7 and 9: a candidate ends because its lease or key is gone or taken over, or etcd's data is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import Cause, State
from leasehold.lock.record import Record
from leasehold.lock.spec import Spec
from tests.unit.election_queue import Queue
from tests.unit.election_script import ME, Script, held, record, waiting_behind


def sees_its_key(script: Script, how: str) -> None:
    """The candidate learns what etcd has under its key, by its watch, a confirming read, or a read of the queue."""
    if how == "watch":
        script.hear()
    elif how == "confirming read":
        script.beat()
    else:
        script.feed(ev.WatchLost("cancelled"))
        script.wait(0.0)
        script.answer(cmd.ReadQueue)


# --- lost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["keep-alive", "confirming read", "watch", "queue read", "refused"])
def test_a_lost_lease_or_key_ends_the_candidate(how: str) -> None:
    """A lease or key that is gone ends the candidate and a fresh one joins."""
    script = held()
    mine = script.own
    if how == "watch":
        script.etcd.delete(mine)
        script.hear()
    elif how == "queue read":
        script.etcd.delete(mine)
        script.feed(ev.WatchLost("cancelled"))
        script.wait(0.0)
        script.answer(cmd.ReadQueue)
    else:
        script.doze()
        if how == "keep-alive":
            script.etcd.revoke(mine.lease)
            script.answer(cmd.KeepAlive)
        elif how == "refused":
            script.fail(cmd.KeepAlive, refused=True, lease_gone=True)
        else:
            script.answer(cmd.KeepAlive)
            script.etcd.delete(mine)
            script.answer(cmd.ReadOwn)
    assert not script.holding()
    assert script.state() is State.JOINING
    assert "lost" in script.notes()
    assert script.revoked() == [mine.lease]
    script.wait(2.0)
    script.settle()
    assert script.holding()
    assert script.token > mine.create_revision
    assert script.own.lease != mine.lease


@pytest.mark.parametrize("other", [replace(ME, incarnation="another-process"), Record("junk", foreign=True)])
@pytest.mark.parametrize("how", ["watch", "confirming read", "queue read"])
def test_a_key_taken_over_is_left_to_the_other_process(other: Record, how: str) -> None:
    """A foreign incarnation in its own record ends it at once and the key is left to the other."""
    script = held()
    mine = script.own
    script.etcd.put(other, mine.lease)
    sees_its_key(script, how)
    assert not script.holding()
    assert "usurped" in script.notes()
    assert script.revoked() == []
    script.wait(2.0)
    script.settle()
    assert script.state() is State.WAITING
    assert script.etcd.order[0].record == other


@pytest.mark.parametrize("lease", [0, 4711], ids=["no lease", "another lease"])
@pytest.mark.parametrize("how", ["watch", "confirming read", "queue read"])
@pytest.mark.parametrize("place", ["holder", "waiter"])
def test_a_key_taken_off_its_lease_does_not_stay(place: str, how: str, lease: int) -> None:
    """It would outlive its candidate, and everybody behind it would wait for ever. So it is deleted, and a fresh one
    joins.
    """
    script = held() if place == "holder" else waiting_behind("other")[0]
    mine = script.own
    script.etcd.put(mine.record, mine.lease, attached=lease)
    sees_its_key(script, how)
    assert not script.holding()
    assert script.cause is Cause.DETACHED
    assert "detached" in script.notes()
    script.settle()
    script.wait(2.0)
    script.settle()
    assert mine.create_revision not in [entry.create_revision for entry in script.etcd.order]
    assert script.own.lease not in (0, 4711, mine.lease)


def test_a_key_that_keeps_going_is_put_back_slowly() -> None:
    """Someone deletes by hand, in a loop; each time costs a lease, a key and an answer of etcd."""
    script = held()
    joins = 0
    while script.now < 1020.0:
        if script.election.snapshot.token is not None:
            joins += 1
            script.etcd.delete(script.own)
            script.hear()
        script.wait(0.1)
        script.settle()
    assert 10 <= joins <= 60


# --- an etcd that lost data ------------------------------------------------------------------------------------------


def forget(script: Script, **changed: Any) -> None:
    """etcd is wiped, or restored from an old backup."""
    script.etcd.entries.clear()
    script.etcd.leases.clear()
    script.etcd.history.clear()
    script.etcd.revision = 3
    for name, value in changed.items():
        setattr(script.etcd, name, value)


@pytest.mark.parametrize("changed", [{}, {"cluster": 2}, {"cluster": 2, "revision": 10_000}])
def test_lost_data_is_noted_once_and_ends_the_candidate(
    changed: dict[str, int],
) -> None:
    """A revision that fell or another cluster is said loudly once and all begins again."""
    script = held()
    forget(script, **changed)
    script.feed(ev.WatchLost("the connection broke"))
    script.wait(0.0)
    script.answer(cmd.ReadQueue)
    assert not script.holding()
    assert script.notes().count("rolled-back") == 1
    script.wait(2.0)
    script.settle()
    assert script.holding()
    for _ in range(3):
        script.beat()
    assert script.notes().count("rolled-back") == 1


def test_an_answer_asked_for_earlier_may_be_older() -> None:
    """Only what was known when the question was asked has to be in the answer."""
    script = held()
    script.feed(ev.WatchLost("cancelled"))
    script.wait(0.0)
    old = script.etcd.answer(script.take(cmd.ReadQueue), script.now)
    script.etcd.join(record("other"))
    script.wait(5.0)
    script.answer(cmd.KeepAlive)
    script.feed(old)
    assert "rolled-back" not in script.notes()


def test_a_keep_alive_of_a_lagging_member_is_no_rollback() -> None:
    """Its revision is the member's own; that of a linearizable read is not."""
    script = held()
    script.doze()
    keep_alive = script.take(cmd.KeepAlive)
    lagging = replace(script.etcd.origin, revision=50)
    script.feed(ev.KeptAlive(keep_alive.op, lagging, 15, script.now))
    script.answer(cmd.ReadOwn)
    assert script.holding()
    assert script.notes() == []


def test_old_candidates_that_are_back_are_noted() -> None:
    """After a restore that bumped the revision the queue has a key again that was gone. It is said once."""
    queue = Queue()
    old = queue.join(record("old"))
    script = Script(queue).start()
    script.drop(old)
    script.settle()
    assert script.holding()
    queue.entries = {old.key: old, script.own.key: script.own}
    queue.revision += 1_000_000
    for _ in range(2):
        script.feed(ev.WatchLost("compacted"))
        script.wait(2.0)
        script.settle()
    assert not script.holding()
    assert script.notes().count("rolled-back") == 1


def test_a_late_read_is_no_restore() -> None:
    """A read that was answered before another, and arrives after it, may show a key that has gone since."""
    queue = Queue()
    old = queue.join(record("old"))
    script = Script(queue).start()
    script.feed(ev.WatchLost("cancelled"))
    script.wait(2.0)
    late = queue.answer(script.take(cmd.ReadQueue), script.now)
    script.drop(old)
    script.feed(late)
    script.settle()
    assert script.holding()
    assert script.notes() == []


def test_a_rollback_while_joining_gives_the_lease_back() -> None:
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    forget(script)
    script.feed(ev.Joined(script.take(cmd.Join).op, script.etcd.origin, created=True, queue=()))
    assert script.notes() == ["rolled-back"]
    assert len(script.revoked()) == 1
    script.wait(2.0)
    script.settle()
    assert script.holding()


def test_a_spec_read_after_a_rollback_counts() -> None:
    """A spec read after a rollback counts though its revision is lower."""
    queue = Queue()
    queue.declare(Spec())
    script = Script(queue).start()
    forget(script)
    queue.declare(Spec(suspend=True))
    script.feed(ev.WatchLost("the connection broke"))
    script.settle()
    script.wait(2.0)
    script.settle()
    assert script.state() is State.WAITING
