"""What a Lock declares in etcd: the spec key, its capacity, and the token limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.names import LockName
from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredSpec
from leasehold.operator.plan.model import EtcdState, Evict, Memory, PutSpec, ReconcilePlan
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import FINALIZER
from tests.unit.operator.planned import CLUSTER, candidate, declared, is_idle, lock, names, reason, settled, situation


def put(decided: ReconcilePlan) -> Spec:
    """The spec that the plan writes."""
    written = [write for write in decided.writes if isinstance(write, PutSpec)]
    assert len(written) == 1, decided.writes
    return Spec.decode(written[0].value)


def test_a_new_lock_is_declared() -> None:
    """The finalizer is added with the first write. The key has the desired spec and names its owner."""
    fresh = replace(lock(lease_duration=30, capacity=3, preferred_holder="a", suspend=True), finalizers=("other/one",))
    decided = plan(situation(fresh, preferred_group="g2"))
    assert decided.finalizers == ("other/one", FINALIZER)
    assert decided.writes[0] == PutSpec(put(decided).encode(), 0)
    assert put(decided) == Spec(30, 3, True, False, "a", "g2", 0, "u1", 1, CLUSTER)
    assert reason(decided, "Ready") == ("False", "Declaring")


def test_a_declared_lock_needs_no_write() -> None:
    """The next reconcile finds everything done, and the one after that has nothing to do."""
    resource, memory = settled(lock(), declared())
    again = plan(situation(resource, declared(), memory=memory))
    assert again == ReconcilePlan(memory=memory)


@pytest.mark.parametrize(
    "stored",
    [
        declared(generation=9),
        declared(uid="", cluster="", generation=0),
        declared(uid="another"),
        declared(deleting=True, suspend=True),
        StoredSpec(b"rubbish", 5, None),
        StoredSpec(declared().value + b" ", 5, declared().spec),
        None,
    ],
)
def test_drift_is_repaired(stored: StoredSpec | None) -> None:
    """Any other value of the spec key, or a missing one, is replaced at the version that was seen."""
    decided = plan(situation(lock(), stored))
    assert decided.writes == (PutSpec(declared().value, 5 if stored else 0),)


def test_an_invalid_spec_changes_nothing() -> None:
    """Nothing is written to etcd, the reason says what is wrong, and one event reports it, once."""
    wrong = replace(lock(), mistakes=("spec.capacity is '0': use 1",))
    decided = plan(situation(wrong, declared(capacity=4)))
    assert decided.writes == ()
    assert reason(decided, "Ready") == ("False", "InvalidSpec")
    assert names(decided) == ["InvalidSpec"]
    assert names(plan(situation(wrong, declared(capacity=4), memory=decided.memory))) == []
    assert names(plan(situation(replace(wrong, status=decided.status or {}), declared(capacity=4)))) == []


@pytest.mark.parametrize(
    ("name", "stored"), [(LockName("leasehold-system", "leasehold-operator"), None), (None, declared(cluster="else"))]
)
def test_a_key_of_another_owner_is_refused(name: LockName | None, stored: StoredSpec | None) -> None:
    """The operator's own lock, or a key of another cluster: no write, no finalizer, a reason, one event."""
    resource = replace(lock(), name=name or lock().name, finalizers=())
    decided = plan(situation(resource, stored, labelled=frozenset({("team", "a", "x")})))
    assert decided.writes == ()
    assert decided.finalizers is None
    assert reason(decided, "Ready") == ("False", "KeyCollision")
    assert names(decided) == ["KeyCollision"]
    assert [label.on for label in decided.labels] == [False]
    assert is_idle(plan(situation(replace(resource, status=decided.status or {}), stored, memory=decided.memory)))


def test_a_refused_lock_is_deleted_at_once() -> None:
    """Its deletion waits for nothing: the keys in etcd are not its own."""
    decided = plan(situation(lock(deleting=True), declared(cluster="else")))
    assert (decided.writes, decided.finalizers) == ((), ())


# --- capacity --------------------------------------------------------------------------------------------------------


def test_a_lowered_capacity_rises_late() -> None:
    """One lease duration after it was seen to fall. Other changes are declared meanwhile."""
    _, memory = settled(lock(capacity=3), declared(capacity=3))
    fell = plan(situation(lock(capacity=1), declared(capacity=1), memory=memory, now=200.0)).memory
    early = plan(situation(lock(capacity=3, preferred_holder="a"), declared(), memory=fell, now=210.0))
    assert (put(early).capacity, put(early).preferred_holder) == (1, "a")
    assert early.again_in == 5.0
    waiting = plan(situation(lock(capacity=3), declared(), memory=fell, now=210.0))
    assert (waiting.writes, waiting.again_in) == ((), 5.0)
    assert reason(waiting, "Ready") == ("False", "CapacityHeldBack")
    late = plan(situation(lock(capacity=3), declared(), memory=waiting.memory, now=215.0))
    assert put(late).capacity == 3


def test_the_wait_is_the_longest_lease() -> None:
    """A candidate keeps the lease that it joined with, even if a shorter one is declared now."""
    _, memory = settled(lock(lease_duration=60, capacity=3), declared(ttl=60, capacity=3), candidate(10))
    short = plan(situation(lock(capacity=3), declared(capacity=3), candidate(10), memory=memory, now=150.0)).memory
    fell = plan(situation(lock(), declared(), candidate(10), memory=short, now=200.0)).memory
    decided = plan(situation(lock(capacity=3), declared(), candidate(10), memory=fell, now=216.0))
    assert (decided.writes, decided.again_in) == ((), 44.0)


@pytest.mark.parametrize("memory", [Memory(), Memory(uid="u1", capacity=1), Memory(uid="gone", tokens=(), capacity=1)])
def test_a_new_replica_raises_no_capacity(memory: Memory) -> None:
    """Nobody knows when it was last lowered: another replica may have done that a moment ago."""
    decided = plan(situation(lock(capacity=2), declared(), memory=memory))
    assert (decided.writes, decided.again_in) == ((), 15.0)
    assert put(plan(situation(lock(capacity=2), declared(), memory=decided.memory, now=115.0))).capacity == 2


def test_a_lost_spec_key_lowers_the_capacity() -> None:
    """An undeclared lock has capacity 1. It is declared again at once with that, and later with its own."""
    resource, memory = settled(lock(capacity=3), declared(capacity=3))
    lost = plan(situation(resource, None, memory=memory, now=200.0))
    assert (put(lost).capacity, lost.again_in) == (1, 15.0)
    assert put(plan(situation(resource, None))).capacity == 1, "nor after a start, as the status tells of a declaration"


def test_a_steady_capacity_rises_at_once() -> None:
    """A lock that has been known for a lease duration does not wait."""
    _, memory = settled(lock(), declared())
    assert put(plan(situation(lock(capacity=3), declared(), memory=memory, now=115.0))).capacity == 3


# --- handoverUpToToken and revokeUpToToken ---------------------------------------------------------------------------


def test_a_limit_ahead_is_ignored() -> None:
    """A typing mistake would hit every future candidate. It is checked once more: the mirror may be behind."""
    resource = lock(handover_up_to_token=10**17, revoke_up_to_token=10**18)
    decided = plan(situation(resource, declared(), candidate(10)))
    assert (decided.writes, decided.again_in) == ((), 2.0)
    assert reason(decided, "Degraded") == ("True", "TokenAhead")
    assert names(decided) == ["LockAcquired", "TokenAhead"]
    again = plan(
        situation(replace(resource, status=decided.status or {}), declared(), candidate(10), memory=decided.memory)
    )
    assert is_idle(again)
    outgrown = situation(
        resource, declared(), candidate(10), etcd=EtcdState(True, 10**18, 0.0, ""), memory=again.memory
    )
    assert put(plan(outgrown)).handover_up_to_token == 10**17


def test_a_limit_is_obeyed_once_reached() -> None:
    """The limit that is in force is not delayed by the other one."""
    resource = lock(handover_up_to_token=900, revoke_up_to_token=1001)
    decided = plan(situation(resource, declared(handover_up_to_token=900), candidate(10)))
    assert decided.writes == ()
    after = situation(
        resource,
        declared(handover_up_to_token=900),
        candidate(10),
        memory=decided.memory,
        etcd=EtcdState(True, 1002, 0, ""),
    )
    assert [write.entry.create_revision for write in plan(after).writes if isinstance(write, Evict)] == [10]


@pytest.mark.parametrize("revision", [50, 5000])
def test_limits_are_ignored_after_a_rollback(revision: int) -> None:
    """Also if the revision has grown past the record again and only a holder's token shows the rollback."""
    resource, _ = settled(lock(), declared(), candidate(600))
    resource = replace(resource, spec=replace(resource.spec, handover_up_to_token=600, revoke_up_to_token=600))
    store = EtcdState(True, revision, 0.0, "")
    decided = plan(situation(resource, declared(), candidate(40), etcd=store))
    assert decided.writes == ()
    assert reason(decided, "Degraded") == ("True", "StoreRolledBack")
    assert names(decided) == ["LockAcquired", "StoreRolledBack"]
    told = replace(resource, status=decided.status or {})
    for memory in (decided.memory, Memory()):
        later = plan(situation(told, declared(), candidate(40), etcd=EtcdState(True, 5000, 0, ""), memory=memory))
        assert later.writes == (), "neither by the memory nor, after a start, by the status"
        assert later.status is None
    lowered = replace(told, spec=replace(told.spec, handover_up_to_token=39, revoke_up_to_token=39))
    healed = plan(situation(lowered, declared(), candidate(40), etcd=store, memory=decided.memory))
    assert reason(healed, "Degraded") == ("False", "NotReady"), "it is being declared"
    assert put(healed).handover_up_to_token == 39


def test_an_old_holder_after_a_bumped_restore() -> None:
    """The revision is far above the record, but a candidate of the snapshot holds again: the event says so, once."""
    resource, _ = settled(lock(), declared(), candidate(8))
    restored = EtcdState(True, 1_000_000_008, 0.0, "")
    decided = plan(situation(resource, declared(), candidate(4), etcd=restored))
    assert reason(decided, "Degraded") == ("True", "StoreRolledBack")
    assert names(decided) == ["LockAcquired", "StoreRolledBack"]
    told = replace(resource, status=decided.status or {})
    later = plan(situation(told, declared(), candidate(4), etcd=restored, memory=decided.memory))
    assert names(later) == []


def test_a_rollback_is_reported_until_outgrown() -> None:
    """With an empty queue and no limit it ends once the revision has grown past the record."""
    resource, _ = settled(lock({"fencingToken": 600}), declared())
    low = plan(situation(resource, declared(), etcd=EtcdState(True, 50, 0.0, "")))
    assert reason(low, "Degraded") == ("True", "StoreRolledBack")
    high = plan(situation(replace(resource, status=low.status or {}), declared(), memory=low.memory))
    assert reason(high, "Degraded") == ("False", "NobodyQueued")


def test_an_edited_token_is_no_rollback() -> None:
    """While the operator runs, its memory is the record."""
    resource, memory = settled(lock(), declared(), candidate(600))
    edited = replace(resource, status={**resource.status, "fencingToken": 10**18})
    decided = plan(situation(edited, declared(), candidate(600), memory=memory))
    assert decided.status == resource.status
