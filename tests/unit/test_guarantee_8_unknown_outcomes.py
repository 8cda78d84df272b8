"""Guarantee 8: a joining transaction without an answer is neither done nor undone; a read of the queue decides."""

from __future__ import annotations

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.snapshot import State
from tests.unit.election_script import FACTOR, Script


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


def test_a_key_found_by_the_read_is_used() -> None:
    """An unknown outcome leads to a read and a key found is used."""
    script = joined_in_the_dark(arrived=True)
    script.answer(cmd.ReadQueue)
    assert script.holding()
    assert not script.revoked()
    assert script.election.snapshot.deadline == 1000.0 + 15 * FACTOR


def test_a_lease_whose_put_may_still_come_is_revoked() -> None:
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


def test_the_read_is_repeated_until_answered() -> None:
    """The read after an unknown outcome is repeated until answered."""
    script = joined_in_the_dark(arrived=True)
    for _ in range(3):
        script.fail(cmd.ReadQueue)
        script.wait(2.0)
    script.answer(cmd.ReadQueue)
    assert script.holding()


def test_a_lease_that_ran_out_meanwhile_does_not_hold() -> None:
    """If the lease ran out meanwhile it is not held under."""
    script = joined_in_the_dark(arrived=True)
    script.now += 15.0
    script.answer(cmd.ReadQueue)
    assert script.state() is State.UNSURE
    assert not script.holding()


def test_a_refused_put_needs_no_read() -> None:
    """Nothing was done: no read is needed, and a fresh candidate is made."""
    script = Script()
    script.feed(ev.Start())
    script.answer(cmd.ReadSpec, cmd.Grant)
    script.fail(cmd.Join, refused=True, lease_gone=True)
    assert len(script.revoked()) == 1
    script.settle()
    assert script.holding()
    assert cmd.ReadQueue not in {type(command) for command in script.said}
