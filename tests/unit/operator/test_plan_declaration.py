"""What is declared in etcd for a Lock: the spec key, its capacity, and the tokens that a resource names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.names import LockName
from leasehold.lock.spec import Spec
from leasehold.operator.plan.observed import EtcdState, StoredSpec
from leasehold.operator.plan.orders import Evict, PutSpec
from leasehold.operator.plan.plan import Memory, ReconcilePlan, plan
from leasehold.operator.plan.resource import FINALIZER
from tests.unit.operator.planned import CLUSTER, candidate, declared, is_idle, lock, names, reason, settled, situation


def put(wanted: ReconcilePlan) -> Spec:
    """The spec that is to be written."""
    written = [write for write in wanted.writes if isinstance(write, PutSpec)]
    assert len(written) == 1, wanted.writes
    return Spec.decode(written[0].value)


def test_a_new_lock_gets_its_finalizer_and_is_declared() -> None:
    """The finalizer comes along with the first write; what the resource wants stands in the key, and whose it is."""
    fresh = replace(lock(lease_duration=30, capacity=3, preferred_holder="a", suspend=True), finalizers=("other/one",))
    wanted = plan(situation(fresh, preferred_group="g2"))
    assert wanted.finalizers == ("other/one", FINALIZER)
    assert wanted.writes[0] == PutSpec(put(wanted).encode(), 0)
    assert put(wanted) == Spec(30, 3, True, False, "a", "g2", 0, "u1", 1, CLUSTER)
    assert reason(wanted, "Ready") == ("False", "Declaring")


def test_what_is_declared_is_not_written_again() -> None:
    """The next look finds everything done, and the one after that has nothing at all to do."""
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
    """Whatever else stands in the spec key, or nothing, is replaced, at the very version that was seen."""
    wanted = plan(situation(lock(), stored))
    assert wanted.writes == (PutSpec(declared().value, 5 if stored else 0),)


def test_a_spec_that_cannot_be_used_leaves_the_lock_as_it_is() -> None:
    """Nothing is written for it, the reason says what is wrong, and one event tells of it, once."""
    wrong = replace(lock(), mistakes=("spec.capacity is '0': use 1",))
    wanted = plan(situation(wrong, declared(capacity=4)))
    assert wanted.writes == ()
    assert reason(wanted, "Ready") == ("False", "InvalidSpec")
    assert names(wanted) == ["InvalidSpec"]
    assert names(plan(situation(wrong, declared(capacity=4), memory=wanted.memory))) == []
    assert names(plan(situation(replace(wrong, status=wanted.status or {}), declared(capacity=4)))) == []


@pytest.mark.parametrize(
    ("name", "stored"), [(LockName("leasehold-system", "leasehold-operator"), None), (None, declared(cluster="else"))]
)
def test_a_name_or_key_of_somebody_else_is_refused(name: LockName | None, stored: StoredSpec | None) -> None:
    """The operator's own lock, and a key that another cluster declares: no write, no finalizer, a reason, one event."""
    resource = replace(lock(), name=name or lock().name, finalizers=())
    wanted = plan(situation(resource, stored, labelled=frozenset({("team", "a", "x")})))
    assert wanted.writes == ()
    assert wanted.finalizers is None
    assert reason(wanted, "Ready") == ("False", "KeyCollision")
    assert names(wanted) == ["KeyCollision"]
    assert [label.on for label in wanted.labels] == [False]
    assert is_idle(plan(situation(replace(resource, status=wanted.status or {}), stored, memory=wanted.memory)))


def test_a_refused_lock_may_go_at_once() -> None:
    """Its deletion waits for nothing: what is in etcd is not its own."""
    wanted = plan(situation(lock(deleting=True), declared(cluster="else")))
    assert (wanted.writes, wanted.finalizers) == ((), ())


# --- capacity --------------------------------------------------------------------------------------------------------


def test_a_lowered_capacity_rises_only_a_lease_duration_later() -> None:
    """From the look that saw it fall; what else has changed is declared meanwhile."""
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


def test_the_wait_is_as_long_as_the_longest_lease() -> None:
    """A candidate keeps the lease that it joined with, though a shorter one is declared by now."""
    _, memory = settled(lock(lease_duration=60, capacity=3), declared(ttl=60, capacity=3), candidate(10))
    short = plan(situation(lock(capacity=3), declared(capacity=3), candidate(10), memory=memory, now=150.0)).memory
    fell = plan(situation(lock(), declared(), candidate(10), memory=short, now=200.0)).memory
    wanted = plan(situation(lock(capacity=3), declared(), candidate(10), memory=fell, now=216.0))
    assert (wanted.writes, wanted.again_in) == ((), 44.0)


@pytest.mark.parametrize("memory", [Memory(), Memory(uid="u1", capacity=1), Memory(uid="gone", tokens=(), capacity=1)])
def test_after_a_start_or_a_takeover_a_capacity_waits_before_it_rises(memory: Memory) -> None:
    """Nobody knows when it last fell: another replica may have lowered it a moment ago."""
    wanted = plan(situation(lock(capacity=2), declared(), memory=memory))
    assert (wanted.writes, wanted.again_in) == ((), 15.0)
    assert put(plan(situation(lock(capacity=2), declared(), memory=wanted.memory, now=115.0))).capacity == 2


def test_a_lost_spec_key_is_a_fall_to_one() -> None:
    """An undeclared lock has a capacity of 1: it is declared again at once, with that, and with its own later."""
    resource, memory = settled(lock(capacity=3), declared(capacity=3))
    lost = plan(situation(resource, None, memory=memory, now=200.0))
    assert (put(lost).capacity, lost.again_in) == (1, 15.0)
    assert put(plan(situation(resource, None))).capacity == 1, "nor after a start, as the status tells of a declaration"


def test_a_capacity_that_was_never_lowered_rises_at_once() -> None:
    """Nobody waits for nothing: a lock that has been known for a lease duration is changed as it is asked."""
    _, memory = settled(lock(), declared())
    assert put(plan(situation(lock(capacity=3), declared(), memory=memory, now=115.0))).capacity == 3


# --- handoverUpToToken and revokeUpToToken ---------------------------------------------------------------------------


def test_a_token_that_etcd_has_not_given_out_is_ignored() -> None:
    """A slip of the finger would hit everyone to come. One more look is taken: the mirror may have been behind."""
    resource = lock(handover_up_to_token=10**17, revoke_up_to_token=10**18)
    wanted = plan(situation(resource, declared(), candidate(10)))
    assert (wanted.writes, wanted.again_in) == ((), 2.0)
    assert reason(wanted, "Degraded") == ("True", "TokenAhead")
    assert names(wanted) == ["LockAcquired", "TokenAhead"]
    again = plan(
        situation(replace(resource, status=wanted.status or {}), declared(), candidate(10), memory=wanted.memory)
    )
    assert is_idle(again)
    outgrown = situation(
        resource, declared(), candidate(10), store=EtcdState(True, 10**18, 0.0, ""), memory=again.memory
    )
    assert put(plan(outgrown)).handover_up_to_token == 10**17


def test_a_token_ahead_of_a_lagging_mirror_is_heeded_with_the_next_look() -> None:
    """The one that is in force is not held up by the other."""
    resource = lock(handover_up_to_token=900, revoke_up_to_token=1001)
    wanted = plan(situation(resource, declared(handover_up_to_token=900), candidate(10)))
    assert wanted.writes == ()
    after = situation(
        resource,
        declared(handover_up_to_token=900),
        candidate(10),
        memory=wanted.memory,
        store=EtcdState(True, 1002, 0, ""),
    )
    assert [write.entry.create_revision for write in plan(after).writes if isinstance(write, Evict)] == [10]


@pytest.mark.parametrize("revision", [50, 5000])
def test_after_a_rollback_the_tokens_of_before_are_ignored(revision: int) -> None:
    """Whether the revision is still below the record, or has outgrown it already and only a holder's token tells."""
    resource, _ = settled(lock(), declared(), candidate(600))
    resource = replace(resource, spec=replace(resource.spec, handover_up_to_token=600, revoke_up_to_token=600))
    store = EtcdState(True, revision, 0.0, "")
    wanted = plan(situation(resource, declared(), candidate(40), store=store))
    assert wanted.writes == ()
    assert reason(wanted, "Degraded") == ("True", "StoreRolledBack")
    assert names(wanted) == ["LockAcquired", "StoreRolledBack"]
    told = replace(resource, status=wanted.status or {})
    for memory in (wanted.memory, Memory()):
        later = plan(situation(told, declared(), candidate(40), store=EtcdState(True, 5000, 0, ""), memory=memory))
        assert later.writes == (), "neither by the memory nor, after a start, by the status"
        assert later.status is None
    lowered = replace(told, spec=replace(told.spec, handover_up_to_token=39, revoke_up_to_token=39))
    healed = plan(situation(lowered, declared(), candidate(40), store=store, memory=wanted.memory))
    assert reason(healed, "Degraded") == ("False", "AsExpected")
    assert put(healed).handover_up_to_token == 39


def test_a_rollback_is_told_until_the_revision_has_grown_past_the_record() -> None:
    """With nobody in the queue, and no token asked for, it passes by itself."""
    resource, _ = settled(lock({"fencingToken": 600}), declared())
    low = plan(situation(resource, declared(), store=EtcdState(True, 50, 0.0, "")))
    assert reason(low, "Degraded") == ("True", "StoreRolledBack")
    high = plan(situation(replace(resource, status=low.status or {}), declared(), memory=low.memory))
    assert reason(high, "Degraded") == ("False", "AsExpected")


def test_a_token_on_record_that_somebody_edited_is_no_rollback() -> None:
    """While the operator runs, its memory is the record."""
    resource, memory = settled(lock(), declared(), candidate(600))
    edited = replace(resource, status={**resource.status, "fencingToken": 10**18})
    wanted = plan(situation(edited, declared(), candidate(600), memory=memory))
    assert wanted.status == resource.status
