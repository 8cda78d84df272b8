"""Who leaves a token limit out of a Lock takes nothing back: the limits in force only grow, whatever is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.operator.plan.model import EtcdState, Evict, Limits, Memory, ReconcilePlan, Situation
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import Lock
from tests.unit.operator.planned import CLUSTER, candidate, declared, is_idle, lock, settled, situation
from tests.unit.operator.test_plan_declaration import put

HOLDER = candidate(10)


def evicted(decided: ReconcilePlan) -> list[int]:
    return [write.entry.create_revision for write in decided.writes if isinstance(write, Evict)]


def asked(limit: int = 10) -> tuple[Lock, Memory]:
    """A Lock whose holder has been asked to hand over and has not reacted yet."""
    return settled(lock(handover_up_to_token=limit), declared(handover_up_to_token=limit), HOLDER)


@pytest.mark.parametrize("limit", [None, 0, 3])
def test_a_handover_stays_asked(limit: int | None) -> None:
    """After `kubectl replace` removed the field, and also when a lower limit is set afterwards."""
    resource, memory = asked()
    later = replace(resource, spec=replace(resource.spec, handover_up_to_token=limit))
    for known in (memory, Memory()):
        decided = plan(situation(later, declared(handover_up_to_token=10), HOLDER, memory=known))
        assert decided.writes == (), "neither by the memory nor, after a start, by the spec key"
        assert decided.memory.limits == Limits(handover=10)


def test_a_higher_limit_counts() -> None:
    resource, memory = asked()
    later = replace(resource, spec=replace(resource.spec, handover_up_to_token=11))
    assert (
        put(plan(situation(later, declared(handover_up_to_token=10), HOLDER, memory=memory))).handover_up_to_token == 11
    )


def test_a_hand_edited_key_is_repaired() -> None:
    """Of a running operator the memory counts, and never what somebody wrote into the spec key."""
    resource, memory = settled(lock(), declared(), HOLDER)
    edited = situation(resource, declared(handover_up_to_token=10), HOLDER, memory=memory)
    assert put(plan(edited)).handover_up_to_token == 0


@pytest.mark.parametrize(("uid", "cluster"), [("u0", CLUSTER), ("", "")])
def test_the_key_of_another_resource_does_not_count(uid: str, cluster: str) -> None:
    """A Lock that is created again begins without limits."""
    key = declared(handover_up_to_token=10, uid=uid, cluster=cluster)
    assert put(plan(situation(lock(), key, HOLDER))).handover_up_to_token == 0


@pytest.mark.parametrize("active", [True, False])
def test_a_revocation_stays_asked(active: bool) -> None:
    """It was seen while etcd was away, or by a replica that was not active, and carried out when the field was gone."""
    resource = lock(revoke_up_to_token=10)
    away = EtcdState(active is False, 1000, 0.0, "")
    seen = plan(situation(resource, declared(), HOLDER, etcd=away, active=active, now=1.0))
    assert seen.writes == ()
    replaced = replace(resource, spec=replace(resource.spec, revoke_up_to_token=None))
    assert evicted(plan(situation(replaced, declared(), HOLDER, memory=seen.memory))) == [10]


def _wiped(resource: Lock, memory: Memory) -> Situation:
    return situation(resource, None, candidate(4), etcd=EtcdState(True, 5, 0.0, ""), memory=memory)


def test_limits_of_lost_data_are_forgotten() -> None:
    """They would hit the candidates of today; once lowered or left out, they are gone."""
    resource, memory = asked()
    decided = plan(_wiped(resource, memory))
    assert put(decided).handover_up_to_token == 0
    without = replace(resource, spec=replace(resource.spec, handover_up_to_token=None), status=decided.status or {})
    later = situation(without, declared(), candidate(40), etcd=EtcdState(True, 50, 0.0, ""), memory=decided.memory)
    assert plan(later).memory.limits == Limits()


def test_a_limit_ahead_does_not_lift_the_one_before() -> None:
    """A typing mistake is ignored, and so is its correction: who was asked stays asked."""
    resource, memory = asked()
    for limit in (10**17, 3):
        changed = replace(resource, spec=replace(resource.spec, handover_up_to_token=limit))
        decided = plan(situation(changed, declared(handover_up_to_token=10), HOLDER, memory=memory))
        assert decided.writes == ()
        memory = decided.memory


def test_an_untouched_lock_stays_idle() -> None:
    resource, memory = asked()
    assert is_idle(plan(situation(resource, declared(handover_up_to_token=10), HOLDER, memory=memory)))
