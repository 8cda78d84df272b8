"""Stalled is there while Ready is False for a reason that only somebody's action ends, and never longer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from leasehold.operator.plan.conditions import PENDING_MESSAGES, STALLED_REASONS
from leasehold.operator.plan.model import EtcdState, ReconcilePlan
from leasehold.operator.plan.plan import plan
from tests.unit.operator.planned import check_status, declared, lock, situation

MISTAKE = "spec.capacity is 0: use a whole number from 1 to 1000"


def conditions(decided: ReconcilePlan) -> dict[str, dict[str, Any]]:
    assert decided.status is not None
    check_status(decided.status)
    return {one["type"]: one for one in decided.status["conditions"]}


def test_what_needs_somebody_is_stalled() -> None:
    """With the reason and the sentence of Ready, which tools print."""
    invalid = plan(situation(replace(lock(), mistakes=(MISTAKE,)), declared()))
    collision = plan(situation(lock(), declared(cluster="another")))
    for decided, reason in ((invalid, "InvalidSpec"), (collision, "KeyCollision")):
        found = conditions(decided)
        assert (found["Stalled"]["status"], found["Stalled"]["reason"]) == ("True", reason)
        assert found["Stalled"]["message"] == found["Ready"]["message"]
        assert found["Stalled"]["observedGeneration"] == 1
    assert not set(STALLED_REASONS) & PENDING_MESSAGES.keys()


def test_it_ends_with_its_reason() -> None:
    """Also when etcd goes away meanwhile: whether the collision lasts is not known then."""
    collision = plan(situation(lock(), declared(cluster="another")))
    told = lock(dict(collision.status or {}))
    away = plan(situation(told, declared(cluster="another"), etcd=EtcdState(False, 1000, 0.0, ""), now=100.0))
    assert conditions(away)["Ready"]["reason"] == "EtcdUnreachable"
    assert "Stalled" not in conditions(away)
    assert "Stalled" not in conditions(plan(situation(told, declared())))


def test_a_stalled_lock_is_left_alone() -> None:
    """An idle operator writes nothing."""
    collision = plan(situation(lock(), declared(cluster="another")))
    told = lock(dict(collision.status or {}))
    assert plan(situation(told, declared(cluster="another"), memory=collision.memory)).status is None
