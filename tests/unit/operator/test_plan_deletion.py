"""How a lock is deleted: released, orphaned, swept as an orphan, or by force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredSpec
from leasehold.operator.plan.model import DeleteSpec, EtcdState, Evict, Memory, PutSpec
from leasehold.operator.plan.plan import plan
from tests.unit.operator.planned import candidate, declared, is_idle, lock, reason, settled, situation

GOING = declared(6, suspend=True, deleting=True)
"""The spec key of a lock that is being released."""


def test_a_release_has_three_steps() -> None:
    """Suspend, wait for the holder, delete the key. The resource goes last."""
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
def test_a_release_waits_for_one_lease(foreign: bool) -> None:
    """A foreign holder would never obey, so it is not waited for."""
    holder = candidate(2, foreign=foreign)
    resource, memory = settled(lock(), declared(), holder)
    waiting = plan(situation(replace(resource, deleting=True), GOING, holder, memory=memory))
    assert waiting.writes == ((DeleteSpec(6),) if foreign else ())
    late = situation(replace(resource, deleting=True), GOING, holder, memory=waiting.memory, now=115.0)
    assert plan(late).writes == (DeleteSpec(6),)


def test_a_restart_starts_the_wait_again() -> None:
    """It waits for the holders in the status; nobody knows when the release began."""
    resource, _ = settled(lock(), declared(), candidate(2), candidate(3))
    decided = plan(situation(replace(resource, deleting=True), GOING, candidate(2), candidate(3)))
    assert (decided.writes, decided.again_in) == ((), 15.0)
    free = plan(situation(replace(resource, deleting=True), GOING, candidate(3)))
    assert free.writes == (DeleteSpec(6),)


def test_a_holder_in_release_can_be_evicted() -> None:
    """By revocation, if somebody does not want to wait for a long lease, or because its pod has ended."""
    resource, memory = settled(lock(), declared(), candidate(2))
    going = replace(resource, deleting=True, spec=replace(resource.spec, revoke_up_to_token=2))
    assert [type(one) for one in plan(situation(going, GOING, candidate(2), memory=memory)).writes] == [Evict]
    left = replace(going, spec=replace(going.spec, deletion_policy="Orphan"))
    assert [type(one) for one in plan(situation(left, declared(), candidate(2), memory=memory)).writes] == [PutSpec]


@pytest.mark.parametrize("stored", [declared(preferred_group="g"), declared(suspend=True, deleting=True)])
def test_orphaning_keeps_the_spec(stored: StoredSpec) -> None:
    """It belongs to nobody, so no sweep takes it. A release in progress is undone."""
    decided = plan(situation(lock(deleting=True, deletion_policy="Orphan"), stored, candidate(2)))
    assert decided.finalizers == ()
    (write,) = decided.writes
    assert isinstance(write, PutSpec)
    left = Spec.decode(write.value)
    assert left == Spec(ttl=15)
    kept = situation(lock(deleting=True, deletion_policy="Orphan"), StoredSpec(write.value, 9, left), candidate(2))
    assert (plan(kept).writes, plan(kept).finalizers) == ((), ())
    assert is_idle(plan(replace(kept, lock=None)))


@pytest.mark.parametrize("policy", ["Release", "Orphan"])
def test_an_undeclared_lock_goes_at_once(policy: str) -> None:
    """There is nothing to release and nothing to leave behind."""
    decided = plan(situation(lock(deleting=True, deletion_policy=policy), None, candidate(2)))
    assert (decided.writes, decided.finalizers) == ((), ())


def test_nothing_is_done_without_our_finalizer() -> None:
    """Others may still keep the resource. Once it is gone, its keys are an orphan's."""
    going = replace(lock(deleting=True, revoke_up_to_token=9), finalizers=("other/one",))
    assert is_idle(plan(situation(going, declared(), candidate(2))))


# --- orphans ---------------------------------------------------------------------------------------------------------


def test_an_orphan_is_released_and_deleted() -> None:
    """As its resource would have been."""
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
def test_a_foreign_key_is_no_orphan(stored: StoredSpec | None) -> None:
    """A key that no operator of this cluster wrote stays. Labels are removed nevertheless."""
    decided = plan(situation(None, stored, candidate(2), labelled=frozenset({("team", "a", "x")})))
    assert decided.writes == ()
    assert [label.on for label in decided.labels] == [False]


@pytest.mark.parametrize("change", [{"active": False}, {"etcd": EtcdState(False, 1000, 0.0, "away")}])
def test_an_orphan_waits_for_an_active_replica(change: dict[str, object]) -> None:
    """It waits for etcd, too. Nothing is written and nothing forgotten."""
    memory = Memory(releasing=frozenset({2}), releasing_since=50.0)
    decided = plan(replace(situation(None, GOING, candidate(2), memory=memory), **change))  # type: ignore[arg-type]  # values of several types
    assert decided.writes == ()
    assert decided.memory == memory


# --- by force --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reachable", [True, False])
@pytest.mark.parametrize("active", [True, False])
def test_force_delete_removes_the_finalizer(reachable: bool, active: bool) -> None:
    """Any replica does it, whatever the state of etcd. Other finalizers stay and etcd is not written."""
    forced = replace(lock(deleting=True), force_delete=True)
    forced = replace(forced, finalizers=("other/one", *forced.finalizers))
    store = EtcdState(reachable, 1000, 0.0, "")
    decided = plan(situation(forced, declared(), candidate(2), etcd=store, active=active))
    assert (decided.writes, decided.finalizers) == ((), ("other/one",))
    assert plan(situation(replace(forced, deleting=False), declared(), etcd=store)).finalizers is None
