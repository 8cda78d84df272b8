"""Who holds, by a Lock's status, its events and its pods' labels; and whom the operator evicts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leasehold.lock.record import Entry
from leasehold.operator.plan.observed import Departed
from leasehold.operator.plan.orders import Evict
from leasehold.operator.plan.plan import LabelPod, Memory, plan
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
    """All that can be said of the holders, the counts, and the token; it passes the schema, and stays as it is."""
    queue = (candidate(10, "a", node="n1", group="g1"), candidate(11, "b"), candidate(12, "c"))
    wanted = plan(situation(lock(capacity=2), declared(capacity=2), *queue))
    assert wanted.status is not None
    check_status(wanted.status)
    assert wanted.status["key"] == "/leasehold/locks/team/db/queue"
    assert (wanted.status["holderCount"], wanted.status["waiterCount"], wanted.status["transitionCount"]) == (2, 1, 1)
    assert (wanted.status["holderIdentity"], wanted.status["fencingToken"]) == ("a", 10)
    assert wanted.status["holders"][0] == {
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
    assert reason(wanted, "Held") == ("True", "Held")
    again = situation(lock(wanted.status, capacity=2), declared(capacity=2), *queue, now=900.0, memory=wanted.memory)
    assert is_idle(plan(again))


def test_a_vacant_lock_keeps_its_last_token() -> None:
    """The record outlives the holder; its identity and its time do not."""
    resource, memory = settled(lock(), declared(), candidate(10))
    wanted = plan(situation(resource, declared(), memory=memory))
    assert wanted.status is not None
    check_status(wanted.status)
    assert (wanted.status["fencingToken"], wanted.status["transitionCount"]) == (10, 1)
    assert not {"holderIdentity", "acquireTime"} & wanted.status.keys()
    assert reason(wanted, "Held") == ("False", "Vacant")


def test_under_suspension_nobody_becomes_a_holder() -> None:
    """Whoever held does until its key goes; whoever is not of Leasehold knows nothing of it."""
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


def test_two_keys_of_one_lease_are_one_holder_in_the_list() -> None:
    """The list is a map by lease, and would be refused as a whole; what counts are the keys."""
    queue = [candidate(10, name, key=f"/k/{name}", lease=7, foreign=True) for name in ("", "x", "y")]
    wanted = plan(situation(lock(capacity=2), declared(capacity=2), *queue))
    assert wanted.status is not None
    check_status(wanted.status)
    assert [one["identity"] for one in wanted.status["holders"]] == [""]
    assert (wanted.status["holderCount"], wanted.status["waiterCount"]) == (2, 1)


def test_more_holders_than_the_list_takes() -> None:
    """The first 32 are listed, all are counted; a start of the operator announces none of the others as new."""
    queue = [candidate(10 + i) for i in range(40)]
    wanted = plan(situation(lock(capacity=40), declared(capacity=40), *queue))
    assert wanted.status is not None
    check_status(wanted.status)
    assert (len(wanted.status["holders"]), wanted.status["holderCount"]) == (32, 40)
    restarted = plan(situation(lock(wanted.status, capacity=40), declared(capacity=40), *queue))
    assert (restarted.events, restarted.status) == ((), None)


# --- what only the status, or the memory, knows ----------------------------------------------------------------------


@pytest.mark.parametrize("memory", [None, Memory()])
def test_a_transition_counts_once(memory: Memory | None) -> None:
    """Also when the operator starts anew in between, or the status of its count never came to be written."""
    first, known = settled(lock(), declared(), candidate(10))
    wanted = plan(situation(first, declared(), candidate(20), memory=known if memory is None else memory))
    assert wanted.status is not None
    assert wanted.status["transitionCount"] == 2
    unwritten = plan(situation(first, declared(), candidate(20), memory=replace(wanted.memory, tokens=None)))
    assert unwritten.status == wanted.status, "a takeover whose status was never written"
    assert names(unwritten) == [], "of which the event has told"


def test_an_old_memory_gives_way_to_the_status() -> None:
    """A replica that becomes active again goes on from what the other one wrote."""
    old, memory = settled(lock(), declared(), candidate(10))
    status = {**old.status, "transitionCount": 7, "fencingToken": 50, "holderIdentity": "pod-50"}
    wanted = plan(situation(lock(status), declared(), candidate(50), memory=replace(memory, tokens=None)))
    assert wanted.status is not None
    assert (wanted.status["transitionCount"], wanted.status["fencingToken"]) == (7, 50)
    assert reason(wanted, "Degraded") == ("False", "AsExpected")


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
def test_a_status_edited_by_hand_is_restored(edit: dict[str, object]) -> None:
    """To what it was, without an event; all of it but the times of conditions that were removed."""
    resource, memory = settled(lock(), declared(), candidate(10))
    edited = replace(resource, status={**resource.status, **edit})
    wanted = plan(situation(edited, declared(), candidate(10), memory=memory, now=900.0))
    assert wanted.status == resource.status
    assert wanted.events == ()


def test_another_resource_of_the_name_begins_anew() -> None:
    """A lock that was deleted and made again while nobody looked counts from nothing, and tells who holds it."""
    _, memory = settled(lock(), declared(), candidate(10))
    wanted = plan(situation(lock(uid="u2"), declared(uid="u2"), candidate(10), memory=memory))
    assert wanted.status is not None
    assert wanted.status["transitionCount"] == 1
    assert names(wanted) == ["LockAcquired"]


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
def test_a_holder_that_went_is_told_of_once(entry: Entry, released: bool | None, event: str) -> None:
    """With how it went, as far as that is known; of a waiter that went nobody hears."""
    resource, memory = settled(lock(), declared(), entry, candidate(11))
    gone = (Departed(entry, released), Departed(candidate(11), released))
    wanted = plan(situation(resource, declared(), candidate(12), departed=gone, memory=memory))
    assert names(wanted) == [event, "LockAcquired"]
    assert names(plan(situation(resource, declared(), candidate(12), memory=wanted.memory))) == []


@pytest.mark.parametrize("away", [True, False])
def test_who_went_while_this_replica_could_not_tell_is_told_of_later(away: bool) -> None:
    """During an outage of etcd, or while it was not the active one: once, if the status still has the holder."""
    resource, memory = settled(lock(), declared(), candidate(10))
    base = situation(resource, declared(), memory=memory)
    blind = replace(base, active=False, departed=(Departed(candidate(10), True),))
    if away:
        blind = replace(blind, store=replace(base.store, reachable=False, since=99.0))
    quiet = plan(blind)
    assert (quiet.writes, quiet.events, quiet.memory.tokens) == ((), (), None)
    assert names(plan(replace(base, memory=quiet.memory))) == ["LockReleased"]
    told = replace(resource, status={**resource.status, "holders": [], "holderCount": 0})
    assert names(plan(replace(base, lock=told, memory=quiet.memory))) == []


# --- evictions -------------------------------------------------------------------------------------------------------


def test_only_revocation_evicts_whoever_stands_below_it() -> None:
    """Holders and waiters, ours and others', the last first; nobody above. Who held is told of as revoked."""
    queue = (candidate(10), candidate(11, "x", foreign=True), candidate(12))
    resource, memory = settled(lock(), declared(), *queue)
    revoking = replace(resource, spec=replace(resource.spec, revoke_up_to_token=11))
    wanted = plan(situation(revoking, declared(), *queue, memory=memory))
    assert [write.entry for write in wanted.writes if isinstance(write, Evict)] == [queue[1], queue[0]]
    gone = tuple(Departed(one, True) for one in queue[:2])
    after = plan(situation(revoking, declared(), queue[2], departed=gone, memory=wanted.memory))
    assert names(after) == ["HolderRevoked", "LockAcquired"]


@pytest.mark.parametrize(("release", "evicted"), [(True, [10]), (False, [])])
def test_a_pod_that_has_ended_is_evicted(release: bool, evicted: list[int]) -> None:
    """If the Lock has it so; never one that is not of Leasehold, whatever it says of itself."""
    queue = (candidate(10), candidate(11, foreign=True, pod_uid="uid-pod-10"), candidate(12))
    ended = frozenset({"uid-pod-10"})
    wanted = plan(situation(lock(release_when_pod_ends=release), declared(), *queue, ended_pods=ended))
    assert [write.entry.create_revision for write in wanted.writes if isinstance(write, Evict)] == evicted


# --- labels ----------------------------------------------------------------------------------------------------------


def test_holders_of_the_locks_namespace_are_labelled() -> None:
    """Neither another namespace's pod, nor one whose name can be no pod's, nor one that is not ours."""
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
    wanted = plan(situation(lock(capacity=5, pod_label=True), spec, *queue, labelled=labelled))
    assert wanted.labels == (LabelPod("team", "old", "uid-old", False), LabelPod("team", "a", "uid-a", True))
    without = plan(situation(lock(capacity=5), spec, *queue, labelled=labelled))
    assert [label.on for label in without.labels] == [False]
