"""How a lock goes: released, left, swept as an orphan, or let go by force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.spec import Spec
from leasehold.operator.plan.observed import EtcdState, StoredSpec
from leasehold.operator.plan.orders import DeleteSpec, Evict, PutSpec
from leasehold.operator.plan.plan import Memory, plan
from tests.unit.operator.planned import candidate, declared, is_idle, lock, reason, settled, situation

GOING = declared(6, suspend=True, deleting=True)
"""The spec key of a lock that is being released."""


def test_a_held_lock_is_suspended_then_awaited_then_deleted() -> None:
    """The holder has its time; the resource goes last, when the key has gone."""
    resource, memory = settled(lock(), declared(), candidate(2), candidate(3))
    going = replace(resource, deleting=True)
    first = plan(situation(going, declared(), candidate(2), candidate(3), memory=memory))
    assert first.writes == (PutSpec(GOING.value, 5),)
    assert first.finalizers is None
    assert reason(first, "Ready") == ("False", "Deleting")
    second = plan(situation(going, GOING, candidate(2), candidate(3), memory=first.memory))
    assert (second.writes, second.finalizers, second.again_in) == ((), None, 15.0)
    third = plan(situation(going, GOING, candidate(3), memory=second.memory, now=103.0))
    assert (third.writes, third.finalizers) == ((DeleteSpec(6),), ())
    assert plan(situation(going, None, candidate(3), memory=third.memory)).finalizers == ()


@pytest.mark.parametrize("foreign", [False, True])
def test_a_holder_that_stays_is_awaited_for_a_lease_duration(foreign: bool) -> None:
    """One that is not of Leasehold would never obey: it is not awaited at all."""
    holder = candidate(2, foreign=foreign)
    resource, memory = settled(lock(), declared(), holder)
    waiting = plan(situation(replace(resource, deleting=True), GOING, holder, memory=memory))
    assert waiting.writes == ((DeleteSpec(6),) if foreign else ())
    late = situation(replace(resource, deleting=True), GOING, holder, memory=waiting.memory, now=115.0)
    assert plan(late).writes == (DeleteSpec(6),)


def test_after_a_start_the_wait_begins_anew() -> None:
    """By who held as the status has it; nobody knows when the release began."""
    resource, _ = settled(lock(), declared(), candidate(2), candidate(3))
    wanted = plan(situation(replace(resource, deleting=True), GOING, candidate(2), candidate(3)))
    assert (wanted.writes, wanted.again_in) == ((), 15.0)
    free = plan(situation(replace(resource, deleting=True), GOING, candidate(3)))
    assert free.writes == (DeleteSpec(6),)


def test_a_holder_that_is_awaited_can_be_evicted() -> None:
    """A person who does not want to wait for a long lease may revoke; a pod that has ended is no reason to wait."""
    resource, memory = settled(lock(), declared(), candidate(2))
    going = replace(resource, deleting=True, spec=replace(resource.spec, revoke_up_to_token=2))
    assert [type(one) for one in plan(situation(going, GOING, candidate(2), memory=memory)).writes] == [Evict]
    left = replace(going, spec=replace(going.spec, deletion_policy="Orphan"))
    assert [type(one) for one in plan(situation(left, declared(), candidate(2), memory=memory)).writes] == [PutSpec]


@pytest.mark.parametrize("stored", [declared(preferred_group="g"), declared(suspend=True, deleting=True)])
def test_an_orphan_keeps_its_spec_as_if_written_by_hand(stored: StoredSpec) -> None:
    """Nobody's any more, so that no sweep takes it; and not released, though a release had begun."""
    wanted = plan(situation(lock(deleting=True, deletion_policy="Orphan"), stored, candidate(2)))
    assert wanted.finalizers == ()
    (write,) = wanted.writes
    assert isinstance(write, PutSpec)
    left = Spec.decode(write.value)
    assert left == Spec(ttl=15)
    kept = situation(lock(deleting=True, deletion_policy="Orphan"), StoredSpec(write.value, 9, left), candidate(2))
    assert (plan(kept).writes, plan(kept).finalizers) == ((), ())
    assert is_idle(plan(replace(kept, lock=None)))


@pytest.mark.parametrize("policy", ["Release", "Orphan"])
def test_a_lock_that_was_never_declared_goes_at_once(policy: str) -> None:
    """There is nothing to release, and nothing to leave."""
    wanted = plan(situation(lock(deleting=True, deletion_policy=policy), None, candidate(2)))
    assert (wanted.writes, wanted.finalizers) == ((), ())


def test_without_our_finalizer_there_is_nothing_to_do() -> None:
    """Others may keep the resource still; its keys are an orphan's as soon as it has gone."""
    going = replace(lock(deleting=True, revoke_up_to_token=9), finalizers=("other/one",))
    assert is_idle(plan(situation(going, declared(), candidate(2))))


# --- orphans ---------------------------------------------------------------------------------------------------------


def test_an_orphan_is_released_and_deleted() -> None:
    """As its resource would have been, had it not gone without us."""
    first = plan(situation(None, declared(), candidate(2)))
    assert first.writes == (PutSpec(GOING.value, 5),)
    second = plan(situation(None, GOING, candidate(2), memory=first.memory))
    assert (second.writes, second.again_in) == ((), 15.0)
    assert plan(situation(None, GOING, memory=second.memory)).writes == (DeleteSpec(6),)
    assert plan(situation(None, GOING, candidate(2), memory=second.memory, now=115.0)).writes == (DeleteSpec(6),)


@pytest.mark.parametrize(
    "stored",
    [declared(uid="", cluster=""), declared(cluster="else"), declared(cluster=""), StoredSpec(b"x", 5, None), None],
)
def test_what_no_operator_of_this_cluster_wrote_is_no_orphan(stored: StoredSpec | None) -> None:
    """It is left as it is; labels of a lock that is gone come off all the same."""
    wanted = plan(situation(None, stored, candidate(2), labelled=frozenset({("team", "a", "x")})))
    assert wanted.writes == ()
    assert [label.on for label in wanted.labels] == [False]


@pytest.mark.parametrize("change", [{"active": False}, {"store": EtcdState(False, 1000, 0.0, "away")}])
def test_an_orphan_waits_for_the_active_replica_and_for_etcd(change: dict[str, object]) -> None:
    """Nothing is written, and nothing forgotten."""
    memory = Memory(releasing=frozenset({2}), releasing_since=50.0)
    wanted = plan(replace(situation(None, GOING, candidate(2), memory=memory), **change))  # type: ignore[arg-type]
    assert wanted.writes == ()
    assert wanted.memory == memory


# --- by force --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_a_resource_is_let_go_by_force(reachable: bool, active: bool) -> None:
    """By any replica, whatever the state of etcd, where nothing is written; other finalizers stay."""
    forced = replace(lock(deleting=True), force_delete=True)
    forced = replace(forced, finalizers=("other/one", *forced.finalizers))
    store = EtcdState(reachable, 1000, 0.0, "")
    wanted = plan(situation(forced, declared(), candidate(2), store=store, active=active))
    assert (wanted.writes, wanted.finalizers) == ((), ("other/one",))
    assert plan(situation(replace(forced, deleting=False), declared(), store=store)).finalizers is None
