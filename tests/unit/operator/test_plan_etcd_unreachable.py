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


def shown(resource: Lock, wanted: ReconcilePlan) -> Lock:
    """The resource after the status was written."""
    return replace(resource, status=wanted.status or resource.status, resource_version=resource.resource_version + "1")


def test_an_outage_is_told_after_a_moment() -> None:
    """At first nothing but a date; then the conditions say so, the rest stays, and one event is emitted."""
    resource, memory = settled(lock(), declared(), candidate(10))
    early = plan(away(resource, memory, now=103.0))
    assert (early.again_in, early.status, early.events) == (7.0, None, ())
    wanted = plan(away(resource, memory))
    assert wanted.status is not None
    check_status(wanted.status)
    assert wanted.writes == ()
    assert reason(wanted, "Ready") == ("False", "EtcdUnreachable")
    assert reason(wanted, "Held") == ("Unknown", "EtcdUnreachable")
    assert reason(wanted, "Degraded") == ("False", "AsExpected")
    assert wanted.status["holders"] == resource.status["holders"]
    assert names(wanted) == ["EtcdUnavailable"]
    assert is_idle(plan(away(shown(resource, wanted), wanted.memory)))


def test_it_is_told_until_the_status_says_so() -> None:
    """A write that failed, or was overtaken by another, is wanted again; the event is not."""
    resource, memory = settled(lock(), declared(), candidate(10))
    first = plan(away(resource, memory))
    again = plan(away(replace(resource, resource_version="8", generation=2), first.memory))
    assert again.status is not None
    assert again.events == ()


def test_what_another_replica_says_after_that_is_left_alone() -> None:
    """The one that alone has lost etcd says it once; the active one, which knows better, puts it right."""
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


def test_one_replica_has_said_it_for_the_other() -> None:
    """The second sees the status and emits nothing of its own."""
    resource, memory = settled(lock(), declared(), candidate(10))
    said = shown(resource, plan(away(resource, memory)))
    assert is_idle(plan(away(said, Memory())))


def test_a_resource_of_an_outage_is_told_of_it() -> None:
    """Also one that is made meanwhile, and one that is to be deleted, which learns the way out."""
    fresh = plan(away(lock(), Memory()))
    assert fresh.status is not None
    check_status(fresh.status)
    resource, memory = settled(lock(), declared(), candidate(10))
    told = plan(away(resource, memory))
    going = replace(shown(resource, told), deleting=True)
    wanted = plan(away(going, told.memory))
    assert wanted.status is not None
    assert wanted.finalizers is None
    assert "leasehold.dev/force-delete=true" in wanted.status["conditions"][0]["message"]
    assert is_idle(plan(away(shown(going, wanted), wanted.memory)))


def test_an_outage_passes() -> None:
    """All is as it was, without an event; the next outage has its event again."""
    resource, memory = settled(lock(), declared(), candidate(10))
    wanted = plan(away(resource, memory))
    seen = plan(away(shown(resource, wanted), wanted.memory))
    back = plan(situation(shown(resource, wanted), declared(), candidate(10), memory=seen.memory))
    assert back.status == resource.status
    assert back.events == ()
    next_one = away(resource, back.memory, etcd=replace(AWAY, since=900.0), now=911.0)
    assert names(plan(next_one)) == ["EtcdUnavailable"]
    standby = plan(situation(resource, declared(), candidate(10), memory=seen.memory, active=False))
    assert names(plan(replace(next_one, memory=standby.memory))) == ["EtcdUnavailable"]


def test_a_status_that_the_schema_would_refuse_today_is_no_obstacle() -> None:
    """What stands there is passed over, whatever it is."""
    for junk in (
        {"conditions": "none"},
        {"conditions": [7, {"type": 3}]},
        {"holders": {"a": 1}},
        {"fencingToken": True},
    ):
        assert plan(away(lock(junk), Memory())).status is not None
        wanted = plan(situation(lock(junk), declared()))
        assert wanted.status is not None
        check_status(wanted.status)
