"""The schema of a Lock's status on the real API server, and how server-side apply merges what several managers own."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster import ApiError
from tests.cluster.rest import path_of
from tests.operator.crd_locks import HANDOVER_GROWS, MAX_TOKEN, PENDING, ROLLED_BACK, Locks, condition, holder


def test_users_cannot_write_the_condition(crd_locks: Locks) -> None:
    """A user cannot lower a token by writing, in the same request, the condition that allows it."""
    crd_locks.create(spec={"handoverUpToToken": 7})
    with pytest.raises(ApiError) as refused:
        crd_locks.patch(spec={"handoverUpToToken": 6}, status={"conditions": [condition(**ROLLED_BACK)]})
    assert HANDOVER_GROWS in refused.value.message


def test_spec_and_status_stay_apart(crd_locks: Locks) -> None:
    """Neither request touches the other's part, and a status is no new generation."""
    created = crd_locks.create(spec={"capacity": 2}, status={"holderCount": 5})
    assert created["status"] == {"conditions": [PENDING]}
    assert created["metadata"]["generation"] == 1
    written = crd_locks.patch("status", spec={"capacity": 9}, status={"holderCount": 1, "fencingToken": MAX_TOKEN})
    assert written["spec"]["capacity"] == 2
    assert written["status"] == {"conditions": [PENDING], "holderCount": 1, "fencingToken": MAX_TOKEN}
    assert written["metadata"]["generation"] == 1
    changed = crd_locks.patch(spec={"capacity": 3}, status={"holderCount": 7})
    assert changed["status"]["holderCount"] == 1
    assert changed["metadata"]["generation"] == 2


STATUSES: list[tuple[str, dict[str, Any], str]] = [
    (
        "33 holders",
        {"holders": [holder(number) for number in range(33)]},
        "status.holders: Too many: 33: must have at most 32 items",
    ),
    ("one lease twice", {"holders": [holder(1), holder(1)]}, 'status.holders[1]: Duplicate value: {"leaseID":"1"}'),
    ("no lease", {"holders": [{"identity": "a", "fencingToken": 1}]}, "status.holders[0].leaseID: Required value"),
    (
        "lease as a number",
        {"holders": [{**holder(1), "leaseID": 1}]},
        "holders[0].leaseID in body must be of type string",
    ),
    (
        "one type twice",
        {"conditions": [condition(), condition()]},
        'status.conditions[1]: Duplicate value: {"type":"Ready"}',
    ),
    ("no reason", {"conditions": [condition(reason="")]}, "conditions[0].reason in body should be at least 1"),
    ("maybe", {"conditions": [condition(status="Maybe")]}, 'supported values: "True", "False", "Unknown"'),
    ("no time", {"acquireTime": "yesterday"}, 'status.acquireTime: Invalid value: "yesterday"'),
]


@pytest.mark.parametrize(("status", "says"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES])
def test_impossible_status_is_refused(crd_locks: Locks, status: dict[str, Any], says: str) -> None:
    """The schema bounds what the operator itself may write."""
    crd_locks.create()
    with pytest.raises(ApiError) as refused:
        crd_locks.patch("status", status=status)
    assert says in refused.value.message


def test_the_largest_status_is_kept(crd_locks: Locks) -> None:
    crd_locks.create()
    full = {"holders": [{**holder(n), "identity": "x" * 253} for n in range(32)], "conditions": [condition()]}
    assert crd_locks.patch("status", status=full)["status"] == full


def test_server_side_apply_by_two_managers(crd_locks: Locks) -> None:
    """Each owns the fields that it applied; taking the other's is a conflict that names the field and the owner."""
    apply = _applier(crd_locks, "")
    apply("team", spec={"capacity": 2})
    apply("autoscaler", spec={"suspend": True})
    assert apply("team", spec={"capacity": 3})["spec"]["suspend"] is True
    with pytest.raises(ApiError) as conflict:
        apply("team", spec={"capacity": 3, "suspend": False})
    assert conflict.value.status == 409
    assert 'conflict with "autoscaler"' in conflict.value.message
    assert ".spec.suspend" in conflict.value.message
    given_up = apply("autoscaler")
    assert given_up["spec"] == {**given_up["spec"], "capacity": 3, "suspend": False}


def test_lists_are_merged_by_their_keys(crd_locks: Locks) -> None:
    """Of holders and conditions, server-side apply replaces one entry and leaves the others."""
    crd_locks.create()
    apply = _applier(crd_locks, "status")
    apply("one", status={"holders": [holder(1)], "conditions": [condition()]})
    status = apply("two", status={"holders": [holder(2)], "conditions": [condition(type="Held")]})["status"]
    assert status == {"holders": [holder(1), holder(2)], "conditions": [condition(), condition(type="Held")]}
    status = apply("one", status={"holders": [], "conditions": [condition(reason="Other")]})["status"]
    assert status == {"holders": [holder(2)], "conditions": [condition(reason="Other"), condition(type="Held")]}


def _applier(locks: Locks, subresource: str) -> Callable[..., dict[str, Any]]:
    def apply(manager: str, **fields: Any) -> dict[str, Any]:
        body = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "lock"}, **fields}
        path = path_of("locks", "lock", locks.namespace, subresource=subresource, fieldManager=manager)
        return dict(locks.rest.call("PATCH", path, body, content_type="application/apply-patch+yaml"))

    return apply
