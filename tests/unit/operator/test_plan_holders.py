"""Holders in a Lock's status, events and pods' labels, and the operator's evictions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.record import Entry
from leasehold.operator.plan.model import EndedCandidate, Evict, LabelPod, Memory
from leasehold.operator.plan.plan import plan
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


def test_the_status_of_a_held_lock() -> None:
    """It has all that is known of the holders, the counts and the token, passes the schema, and is stable."""
    queue = (candidate(10, "a", node="n1", group="g1"), candidate(11, "b"), candidate(12, "c"))
    decided = plan(situation(lock(capacity=2), declared(capacity=2), *queue))
    assert decided.status is not None
    check_status(decided.status)
    assert decided.status["key"] == "/leasehold/locks/team/db/queue"
    assert (decided.status["holderCount"], decided.status["waiterCount"], decided.status["transitionCount"]) == (
        2,
        1,
        1,
    )
    assert (decided.status["holderIdentity"], decided.status["fencingToken"]) == ("a", 10)
    assert decided.status["holders"][0] == {
        "leaseID": "a",
        "identity": "a",
        "fencingToken": 10,
        "acquireTime": "2026-01-01T12:00:00Z",
        "podName": "a",
        "podNamespace": "team",
        "podUID": "uid-a",
        "nodeName": "n1",
        "group": "g1",
    }
    assert reason(decided, "Held") == ("True", "Held")
    again = situation(lock(decided.status, capacity=2), declared(capacity=2), *queue, now=900.0, memory=decided.memory)
    assert is_idle(plan(again))


def test_a_vacant_lock_keeps_its_last_token() -> None:
    """The holder's identity and time are removed."""
    resource, memory = settled(lock(), declared(), candidate(10))
    decided = plan(situation(resource, declared(), memory=memory))
    assert decided.status is not None
    check_status(decided.status)
    assert (decided.status["fencingToken"], decided.status["transitionCount"]) == (10, 1)
    assert not {"holderIdentity", "acquireTime"} & decided.status.keys()
    assert reason(decided, "Held") == ("False", "Vacant")


def test_under_suspension_nobody_becomes_a_holder() -> None:
    """A previous holder holds until its key is gone. A foreign candidate knows nothing of suspension."""
    stored = declared(suspend=True)
    resource, memory = settled(lock(), declared(), candidate(10))
    suspended = replace(resource, spec=replace(resource.spec, suspend=True))
    held = plan(situation(suspended, stored, candidate(10), candidate(11), memory=memory))
    assert reason(held, "Held") == ("True", "Held")
    free = plan(situation(suspended, stored, candidate(11), memory=held.memory))
    assert reason(free, "Held") == ("False", "Suspended")
    assert names(free) == []
    foreign = plan(situation(suspended, stored, candidate(12, "x", foreign=True), memory=free.memory))
    assert reason(foreign, "Held") == ("True", "Held")
    assert reason(foreign, "Degraded") == ("True", "ForeignHolder")


def test_two_keys_of_a_lease_are_listed_once() -> None:
    """The list is a map by lease; the API server would refuse all of it. The counts are of keys."""
    queue = [candidate(10, name, key=f"/k/{name}", lease=7, foreign=True) for name in ("", "x", "y")]
    decided = plan(situation(lock(capacity=2), declared(capacity=2), *queue))
    assert decided.status is not None
    check_status(decided.status)
    assert [one["identity"] for one in decided.status["holders"]] == [""]
    assert (decided.status["holderCount"], decided.status["waiterCount"]) == (2, 1)


def test_at_most_32_holders_are_listed() -> None:
    """All are counted. After a restart, the operator announces none of the others as new."""
    queue = [candidate(10 + i) for i in range(40)]
    decided = plan(situation(lock(capacity=40), declared(capacity=40), *queue))
    assert decided.status is not None
    check_status(decided.status)
    assert (len(decided.status["holders"]), decided.status["holderCount"]) == (32, 40)
    restarted = plan(situation(lock(decided.status, capacity=40), declared(capacity=40), *queue))
    assert (restarted.events, restarted.status) == ((), None)


# --- memory and status -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [None, Memory()])
def test_a_transition_counts_once(memory: Memory | None) -> None:
    """Also if the operator restarts in between, or if the status with the count was never written."""
    first, known = settled(lock(), declared(), candidate(10))
    decided = plan(situation(first, declared(), candidate(20), memory=known if memory is None else memory))
    assert decided.status is not None
    assert decided.status["transitionCount"] == 2
    unwritten = plan(situation(first, declared(), candidate(20), memory=replace(decided.memory, tokens=None)))
    assert unwritten.status == decided.status, "a takeover whose status was never written"
    assert names(unwritten) == [], "the event has been emitted"


def test_the_status_beats_an_old_memory() -> None:
    """A replica that becomes active again goes on from what the other one wrote."""
    old, memory = settled(lock(), declared(), candidate(10))
    status = {**old.status, "transitionCount": 7, "fencingToken": 50, "holderIdentity": "pod-50"}
    decided = plan(situation(lock(status), declared(), candidate(50), memory=replace(memory, tokens=None)))
    assert decided.status is not None
    assert (decided.status["transitionCount"], decided.status["fencingToken"]) == (7, 50)
    assert reason(decided, "Degraded") == ("False", "AsExpected")


@pytest.mark.parametrize(
    "edit",
    [
        {"transitionCount": 99},
        {"fencingToken": 1},
        {"holders": []},
        {"acquireTime": "2020-01-01T00:00:00Z"},
        {"conditions": []},
        {"holderIdentity": "me"},
        {"key": None, "waiterCount": 4},
    ],
)
def test_an_edited_status_is_restored(edit: dict[str, object]) -> None:
    """Without an event, and except for the times of removed conditions."""
    resource, memory = settled(lock(), declared(), candidate(10))
    edited = replace(resource, status={**resource.status, **edit})
    decided = plan(situation(edited, declared(), candidate(10), memory=memory, now=900.0))
    assert decided.status == resource.status
    assert decided.events == ()


def test_a_recreated_lock_starts_over() -> None:
    """It counts from zero and reports its holder."""
    _, memory = settled(lock(), declared(), candidate(10))
    decided = plan(situation(lock(uid="u2"), declared(uid="u2"), candidate(10), memory=memory))
    assert decided.status is not None
    assert decided.status["transitionCount"] == 1
    assert names(decided) == ["LockAcquired"]


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "released", "event"),
    [
        (candidate(10), True, "LockReleased"),
        (candidate(10), None, "LockReleased"),
        (candidate(10), False, "LockExpired"),
        (candidate(10, yield_to="b"), True, "HandedOver"),
        (candidate(10, yield_to="b"), False, "LockExpired"),
    ],
)
def test_an_ended_holder_is_reported_once(entry: Entry, released: bool | None, event: str) -> None:
    """The event says how it ended, as far as that is known. Waiters that end are not reported."""
    resource, memory = settled(lock(), declared(), entry, candidate(11))
    gone = (EndedCandidate(entry, released), EndedCandidate(candidate(11), released))
    decided = plan(situation(resource, declared(), candidate(12), ended=gone, memory=memory))
    assert names(decided) == [event, "LockAcquired"]
    assert names(plan(situation(resource, declared(), candidate(12), memory=decided.memory))) == []


@pytest.mark.parametrize("away", [True, False])
def test_an_unreported_end_is_reported_later(away: bool) -> None:
    """It happened in an outage of etcd or on a standby: reported once, if the status still has the holder."""
    resource, memory = settled(lock(), declared(), candidate(10))
    base = situation(resource, declared(), memory=memory)
    blind = replace(base, active=False, ended=(EndedCandidate(candidate(10), True),))
    if away:
        blind = replace(blind, etcd=replace(base.etcd, reachable=False, since=99.0))
    quiet = plan(blind)
    assert (quiet.writes, quiet.events, quiet.memory.tokens) == ((), (), None)
    assert names(plan(replace(base, memory=quiet.memory))) == ["LockReleased"]
    told = replace(resource, status={**resource.status, "holders": [], "holderCount": 0})
    assert names(plan(replace(base, lock=told, memory=quiet.memory))) == []


# --- evictions -------------------------------------------------------------------------------------------------------


def test_revocation_evicts_all_up_to_the_limit() -> None:
    """Holders and waiters, also foreign ones, the last first. Holders are reported as revoked."""
    queue = (candidate(10), candidate(11, "x", foreign=True), candidate(12))
    resource, memory = settled(lock(), declared(), *queue)
    revoking = replace(resource, spec=replace(resource.spec, revoke_up_to_token=11))
    decided = plan(situation(revoking, declared(), *queue, memory=memory))
    assert [write.entry for write in decided.writes if isinstance(write, Evict)] == [queue[1], queue[0]]
    gone = tuple(EndedCandidate(one, True) for one in queue[:2])
    after = plan(situation(revoking, declared(), queue[2], ended=gone, memory=decided.memory))
    assert names(after) == ["HolderRevoked", "LockAcquired"]


@pytest.mark.parametrize(("release", "evicted"), [(True, [10]), (False, [])])
def test_an_ended_pod_is_evicted(release: bool, evicted: list[int]) -> None:
    """If the Lock wants that, and never a foreign candidate."""
    queue = (candidate(10), candidate(11, foreign=True, pod_uid="uid-pod-10"), candidate(12))
    ended = frozenset({"uid-pod-10"})
    decided = plan(situation(lock(release_when_pod_ends=release), declared(), *queue, ended_pods=ended))
    assert [write.entry.create_revision for write in decided.writes if isinstance(write, Evict)] == evicted


# --- labels ----------------------------------------------------------------------------------------------------------


def test_holders_are_labelled() -> None:
    """Not pods of other namespaces, names that no pod can have, or foreign candidates."""
    queue = (
        candidate(10, "a"),
        candidate(11, "b", pod_namespace="other"),
        candidate(12, "c", pod="../../secrets/x"),
        candidate(13, "d", pod_uid=""),
        candidate(14, "e", foreign=True, pod="e", pod_namespace="team", pod_uid="uid-e"),
        candidate(15, "f"),
    )
    labelled = frozenset({("team", "old", "uid-old")})
    spec = declared(capacity=5)
    decided = plan(situation(lock(capacity=5, pod_label=True), spec, *queue, labelled=labelled))
    assert decided.labels == (LabelPod("team", "old", "uid-old", False), LabelPod("team", "a", "uid-a", True))
    without = plan(situation(lock(capacity=5), spec, *queue, labelled=labelled))
    assert [label.on for label in without.labels] == [False]
