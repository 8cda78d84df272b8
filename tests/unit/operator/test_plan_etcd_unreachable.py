"""What a Lock's status says while etcd is away, and that replicas do not argue about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from leasehold.operator.plan.model import EtcdState, Memory, ReconcilePlan, Situation
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import Lock
from tests.unit.operator.planned import (
    candidate,
    check_status,
    declared,
    is_idle,
    lock,
    names,
    reason,
    settled,
    situation,
)

AWAY = EtcdState(False, 1000, 100.0, "no answer")


def away(resource: Lock, memory: Memory, **changes: Any) -> Situation:
    """Eleven seconds into an outage."""
    return situation(resource, declared(), candidate(10), memory=memory, **{"etcd": AWAY, "now": 111.0, **changes})


def shown(resource: Lock, decided: ReconcilePlan) -> Lock:
    """The resource after the status was written."""
    return replace(resource, status=decided.status or resource.status, resource_version=resource.resource_version + "1")


def test_an_outage_is_reported_after_a_while() -> None:
    """Before that nothing happens. Then the conditions say so, the rest stays, and one event is emitted."""
    resource, memory = settled(lock(), declared(), candidate(10))
    early = plan(away(resource, memory, now=103.0))
    assert (early.again_in, early.status, early.events) == (7.0, None, ())
    decided = plan(away(resource, memory))
    assert decided.status is not None
    check_status(decided.status)
    assert decided.writes == ()
    assert reason(decided, "Ready") == ("False", "EtcdUnreachable")
    assert reason(decided, "Held") == ("Unknown", "EtcdUnreachable")
    assert reason(decided, "Degraded") == ("False", "NotReady")
    assert decided.status["conditions"][1]["message"].endswith("is the last known, from 2026-01-01T11:59:49Z")
    assert decided.status["holders"] == resource.status["holders"]
    assert names(decided) == ["EtcdUnavailable"]
    assert is_idle(plan(away(shown(resource, decided), decided.memory)))


def test_a_lost_report_is_repeated() -> None:
    """If writing the status failed or was overtaken, it is desired again, but the event is not."""
    resource, memory = settled(lock(), declared(), candidate(10))
    first = plan(away(resource, memory))
    again = plan(away(replace(resource, resource_version="8", generation=2), first.memory))
    assert again.status is not None
    assert again.events == ()


def test_replicas_do_not_argue() -> None:
    """A replica that alone has lost etcd says so once. The active one corrects the status."""
    resource, memory = settled(lock(), declared(), candidate(10))
    cut_off = plan(away(resource, replace(memory, tokens=None), active=False))
    said = shown(resource, cut_off)
    seen = plan(away(said, cut_off.memory, active=False))
    assert is_idle(seen)
    righted = plan(situation(said, declared(), candidate(10), memory=memory))
    assert reason(righted, "Held") == ("True", "Held")
    assert is_idle(plan(away(shown(said, righted), seen.memory, active=False)))
    later = away(shown(said, righted), seen.memory, active=False, etcd=replace(AWAY, since=200.0), now=211.0)
    assert plan(later).status is not None, "another outage is news"


def test_the_other_replica_adds_no_event() -> None:
    """It sees the status and emits nothing."""
    resource, memory = settled(lock(), declared(), candidate(10))
    said = shown(resource, plan(away(resource, memory)))
    assert is_idle(plan(away(said, Memory())))


def test_a_new_lock_reports_the_outage() -> None:
    """So does one that is being deleted, and it says how to force that."""
    fresh = plan(away(lock(), Memory()))
    assert fresh.status is not None
    check_status(fresh.status)
    resource, memory = settled(lock(), declared(), candidate(10))
    told = plan(away(resource, memory))
    going = replace(shown(resource, told), deleting=True)
    decided = plan(away(going, told.memory))
    assert decided.status is not None
    assert decided.finalizers is None
    assert "leasehold.dev/force-delete=true" in decided.status["conditions"][0]["message"]
    assert is_idle(plan(away(shown(going, decided), decided.memory)))


def test_an_outage_passes() -> None:
    """All is as before, without an event. The next outage has its own event."""
    resource, memory = settled(lock(), declared(), candidate(10))
    decided = plan(away(resource, memory))
    seen = plan(away(shown(resource, decided), decided.memory))
    back = plan(situation(shown(resource, decided), declared(), candidate(10), memory=seen.memory))
    assert back.status == resource.status
    assert back.events == ()
    next_one = away(resource, back.memory, etcd=replace(AWAY, since=900.0), now=911.0)
    assert names(plan(next_one)) == ["EtcdUnavailable"]
    standby = plan(situation(resource, declared(), candidate(10), memory=seen.memory, active=False))
    assert names(plan(replace(next_one, memory=standby.memory))) == ["EtcdUnavailable"]


def test_an_invalid_status_is_no_obstacle() -> None:
    """Whatever the schema would refuse today is ignored."""
    for junk in (
        {"conditions": "none"},
        {"conditions": [7, {"type": 3}]},
        {"holders": {"a": 1}},
        {"fencingToken": True},
    ):
        assert plan(away(lock(junk), Memory())).status is not None
        decided = plan(situation(lock(junk), declared()))
        assert decided.status is not None
        check_status(decided.status)
