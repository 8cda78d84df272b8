"""The last terms of a lock: who, when, why each ended, who asked for it, and in which order things are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from leasehold.lock.record import Entry
from leasehold.operator.plan.model import AbsentPod, EndedCandidate, Memory, ReconcilePlan
from leasehold.operator.plan.plan import plan
from leasehold.operator.plan.resource import Lock, parse
from leasehold.operator.watch.transform import trim
from tests.unit.operator.planned import NOON, candidate, check_status, declared, lock, names, settled, situation

MANAGERS = {"suspend": "kubectl-edit", "revokeUpToToken": "leasehold-kubectl", "preferredHolder": "argocd"}


def ends(resource: Lock, memory: Memory, old: Entry, *queue: Entry, **changes: Any) -> ReconcilePlan:
    """The plan once `old` is gone, a minute after it began, and this is the queue."""
    given = {"ended": (EndedCandidate(old, True),), "wall": NOON + timedelta(seconds=60), "memory": memory, **changes}
    spec = given.pop("spec", declared())
    return plan(situation(resource, spec, *queue, **given))


def terms(decided: ReconcilePlan) -> list[dict[str, Any]]:
    assert decided.status is not None
    check_status(decided.status)
    found: list[dict[str, Any]] = decided.status["recentTerms"]
    return found


def test_a_term_is_kept() -> None:
    """From the first sight of it to its end, and with the gap to the one before."""
    resource, memory = settled(lock(), declared(), candidate(10))
    vacant = ends(resource, memory, candidate(10))
    (first,) = terms(vacant)
    assert first == {
        "fencingToken": 10,
        "identity": "pod-10",
        "podUID": "uid-pod-10",
        "from": "2026-01-01T12:00:00Z",
        "until": "2026-01-01T12:01:00Z",
        "reason": "Released",
        "message": "pod-10 (fencing token 10) released the lock",
    }
    resource = replace(resource, status=vacant.status or {})
    later = situation(
        resource, declared(), candidate(20), memory=vacant.memory, wall=NOON + timedelta(seconds=67), now=167.0
    )
    held = plan(later)
    assert names(held) == ["LockAcquired"]
    resource = replace(resource, status=held.status or {})
    over = ends(resource, held.memory, candidate(20), candidate(30), wall=NOON + timedelta(seconds=90))
    assert [(one["fencingToken"], one.get("gapSeconds")) for one in terms(over)] == [(10, None), (20, 7)]


def test_who_asked_for_it() -> None:
    """The field manager that last set the field which ended the term."""
    asked = replace(lock(), managers=MANAGERS)
    resource, memory = settled(asked, declared(), candidate(10), candidate(20, "b"))
    suspended = replace(resource, spec=replace(resource.spec, suspend=True))
    (term,) = terms(ends(suspended, memory, candidate(10), candidate(20, "b"), spec=declared(suspend=True)))
    assert (term["reason"], term["requestedBy"]) == ("Released", "kubectl-edit")
    assert "as spec.suspend asks" in term["message"]
    preferring = declared(preferred_holder="b")
    resource = replace(resource, spec=replace(resource.spec, preferred_holder="b"))
    (term,) = terms(ends(resource, memory, candidate(10), candidate(20, "b"), spec=preferring))
    assert (term["reason"], term["requestedBy"]) == ("HandedOver", "argocd")


def test_a_revoked_term() -> None:
    """By the field, or because its pod has ended: then nobody asked."""
    resource, memory = settled(replace(lock(), managers=MANAGERS), declared(), candidate(10))
    memory = replace(memory, evicted=frozenset({10}))
    (term,) = terms(ends(resource, memory, candidate(10)))
    assert (term["reason"], "requestedBy" in term) == ("Revoked", False)
    asked = replace(resource, spec=replace(resource.spec, revoke_up_to_token=10))
    (term,) = terms(ends(asked, memory, candidate(10)))
    assert (term["reason"], term["requestedBy"]) == ("Revoked", "leasehold-kubectl")


def test_the_pod_says_why_afterwards() -> None:
    """etcd shows only that a key was deleted; the sidecar that did not come back knows more."""
    resource, memory = settled(lock(), declared(), candidate(10))
    away = AbsentPod("pod-10", "uid-pod-10", "unknown", "its sidecar runs, and has not been asked yet")
    first = ends(resource, memory, candidate(10), absent=(away,))
    assert "podReason" not in terms(first)[0]
    told = replace(away, code="app-unhealthy", message="the app is unhealthy: no connection")
    resource = replace(resource, status=first.status or {})
    second = plan(
        situation(resource, declared(), absent=(told,), memory=first.memory, wall=NOON + timedelta(seconds=65))
    )
    assert terms(second)[0]["podReason"] == "the app is unhealthy: no connection"


def test_ten_terms_and_a_restart() -> None:
    """More are forgotten. The next operator goes on with what the status says, and believes no edit of it."""
    resource, memory = settled(lock(), declared(), candidate(10))
    for token in range(11, 30):
        decided = ends(resource, memory, candidate(token - 1), candidate(token))
        resource, memory = replace(resource, status=decided.status or {}), decided.memory
    kept = [one["fencingToken"] for one in resource.status["recentTerms"]]
    assert kept == list(range(19, 29))
    edited = [*resource.status["recentTerms"], {"fencingToken": "x"}, 7, {"identity": 3}]
    resource = replace(resource, status={**resource.status, "recentTerms": edited})
    after = plan(situation(resource, declared(), candidate(29)))
    assert [one["fencingToken"] for one in terms(after)] == kept


def test_a_term_that_nobody_saw_end() -> None:
    """No operator was at work then: the status still said who held."""
    resource, _ = settled(lock(), declared(), candidate(10))
    after = plan(situation(resource, declared(), candidate(20), wall=NOON + timedelta(seconds=60)))
    (term,) = terms(after)
    assert (term["identity"], term["fencingToken"], term["reason"]) == ("pod-10", 10, "Unseen")
    resource = replace(resource, status=after.status or {})
    assert plan(situation(resource, declared(), candidate(20), memory=after.memory)).status is None


def test_events_tell_things_in_order() -> None:
    """By their names, too: the API server lists by name, and its times are whole seconds. No name is used twice."""
    resource, memory = settled(lock(), declared(), candidate(10))
    decided = ends(resource, memory, candidate(10), candidate(20))
    assert names(decided) == ["LockReleased", "LockAcquired"]
    keys = [event.key for event in decided.events]
    assert keys == sorted(keys)
    again = ends(resource, replace(memory, tokens=None), candidate(10), candidate(20))
    assert [event.key for event in again.events] == keys, "after a takeover it is the same event"


def test_managers_of_a_resource() -> None:
    """The newest one of each field; nothing of the status, and whatever is malformed is left out."""
    entry = {"manager": "kubectl-edit", "time": "2026-01-01T12:00:00Z", "fieldsV1": {"f:spec": {"f:suspend": {}}}}
    newer = {"manager": "b\u202e", "time": "2026-01-01T13:00:00Z", "fieldsV1": {"f:spec": {".": {}, "f:suspend": {}}}}
    status = {"manager": "operator", "subresource": "status", "fieldsV1": {"f:status": {}}}
    metadata = {
        "namespace": "team",
        "name": "db",
        "uid": "u",
        "managedFields": [newer, status, entry, {"manager": "x"}],
    }
    assert parse(trim("Lock", {"metadata": metadata})).managers["suspend"] == "b\ufffd"
    assert parse({"metadata": {**metadata, "managedFields": [3, {"fieldsV1": 4}]}}).managers == {}
