"""The schema of Lock on the real API server: what it refuses, and the sentence that it says; what it fills in.

Each bound and rule of manifests/crd.yaml is broken here at least once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.cluster import ApiError, ControlPlane
from tests.cluster.rest import path_of

MAX_TOKEN = 2**63 - 1
ROLLED_BACK = {"type": "Degraded", "status": "True", "reason": "StoreRolledBack"}
HANDOVER_GROWS = (
    "spec.handoverUpToToken only grows: leave it at its present value or set a higher one (it may be lowered only while"
    " the condition Degraded has the reason StoreRolledBack or TokenAhead)"
)
REVOKE_GROWS = HANDOVER_GROWS.replace("handoverUpToToken", "revokeUpToToken")
NOT_PRINTABLE = (
    "spec.preferredHolder can never be the identity of a candidate: remove the characters that are not printable, such"
    " as line breaks, control characters and invisible ones"
)
NAME_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"


def condition(**fields: str) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Declared",
        "message": "",
        **fields,
    }


def holder(number: int) -> dict[str, Any]:
    return {"leaseID": f"{number:x}", "identity": f"pod-{number}", "fencingToken": number}


class Locks:
    """The Locks of one namespace, by plain calls."""

    def __init__(self, api: ControlPlane, namespace: str) -> None:
        self.rest = api.rest
        self.namespace = namespace

    def create(self, name: str = "lock", *, keep: bool = True, **fields: Any) -> dict[str, Any]:
        """Create one with these fields beside its name, or only ask whether it could be."""
        body = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, **fields}
        query = {"fieldValidation": "Strict"} | ({} if keep else {"dryRun": "All"})
        path = path_of("locks", namespace=self.namespace, **query)
        return dict(self.rest.call("POST", path, body))

    def patch(self, subresource: str = "", name: str = "lock", **fields: Any) -> dict[str, Any]:
        """Merge these fields into it."""
        path = path_of("locks", name, self.namespace, subresource=subresource, fieldValidation="Strict")
        return dict(self.rest.call("PATCH", path, fields, content_type="application/merge-patch+json"))


@pytest.fixture
def locks(api: ControlPlane, namespace: str) -> Locks:
    return Locks(api, namespace)


@pytest.fixture(scope="module")
def unchanged(api: ControlPlane) -> Locks:
    """Where nothing is kept: for all the Locks that are refused or only tried."""
    return Locks(api, "default")


class Refused(NamedTuple):
    """What is wrong with a Lock, the fields that make it so, and what the API server answers."""

    what: str
    fields: dict[str, Any]
    says: str
    status: int = 422


def wrong(what: str, says: str, **spec: Any) -> Refused:
    return Refused(what, {"spec": spec}, says)


def named(what: str, name: str, says: str) -> Refused:
    return Refused(what, {"name": name}, says)


def must_be(field: str, bound: str) -> str:
    return f"spec.{field} in body should be {bound}"


def type_of(field: str, wanted: str, found: str) -> str:
    return f'spec.{field} in body must be of type {wanted}: "{found}"'


ON_CREATION = [
    wrong("TTL too short", must_be("leaseDurationSeconds", "greater than or equal to 3"), leaseDurationSeconds=2),
    wrong("TTL too long", must_be("leaseDurationSeconds", "less than or equal to 3600"), leaseDurationSeconds=3601),
    wrong("TTL in parts", type_of("leaseDurationSeconds", "integer", "number"), leaseDurationSeconds=7.5),
    wrong("TTL as text", type_of("leaseDurationSeconds", "integer", "string"), leaseDurationSeconds="15s"),
    wrong("no capacity", must_be("capacity", "greater than or equal to 1"), capacity=0),
    wrong("too much capacity", must_be("capacity", "less than or equal to 1000"), capacity=1001),
    wrong("suspend as text", type_of("suspend", "boolean", "string"), suspend="yes"),
    wrong(
        "identity too long", "spec.preferredHolder: Too long: may not be more than 253 bytes", preferredHolder="x" * 254
    ),
    wrong("identity as a number", type_of("preferredHolder", "string", "integer"), preferredHolder=5),
    wrong("line break", NOT_PRINTABLE, preferredHolder="pod-1\npod-2"),
    wrong("line break at the end", NOT_PRINTABLE, preferredHolder="pod-1\n"),
    wrong("escape", NOT_PRINTABLE, preferredHolder="\x1b[31mpod-1"),
    wrong("invisible space", NOT_PRINTABLE, preferredHolder="pod-\u200b1"),
    wrong("text reversed", NOT_PRINTABLE, preferredHolder="pod-\u202e1"),
    wrong("handover below 0", must_be("handoverUpToToken", "greater than or equal to 0"), handoverUpToToken=-1),
    wrong("handover too wide", type_of("handoverUpToToken", "int64", "float64"), handoverUpToToken=MAX_TOKEN + 1),
    wrong("revoke below 0", must_be("revokeUpToToken", "greater than or equal to 0"), revokeUpToToken=-1),
    wrong("revoke too wide", type_of("revokeUpToToken", "int64", "float64"), revokeUpToToken=MAX_TOKEN + 1),
    wrong("release as text", type_of("releaseWhenPodEnds", "boolean", "string"), releaseWhenPodEnds="true"),
    wrong("label as a number", type_of("podLabel", "boolean", "integer"), podLabel=1),
    wrong(
        "unknown policy",
        'spec.deletionPolicy: Unsupported value: "Delete": supported values: "Release", "Orphan"',
        deletionPolicy="Delete",
    ),
    Refused("spec as text", {"spec": "15"}, 'spec in body must be of type object: "string"'),
    named("name in capitals", "Lock", f'metadata.name: Invalid value: "Lock": {NAME_RULE}'),
    named("name with a slash", "a/b", "metadata.name: Invalid value"),
    named("name too long", "x" * 254, "must be no more than 253 characters"),
    Refused("typing error", {"spec": {"capactiy": 2}}, 'strict decoding error: unknown field "spec.capactiy"', 400),
]


@pytest.mark.parametrize("case", ON_CREATION, ids=lambda case: case.what)
def test_wrong_lock_is_refused(unchanged: Locks, case: Refused) -> None:
    """The refusal names the field, and what would be right."""
    with pytest.raises(ApiError) as refused:
        unchanged.create(**{"name": "lock", **case.fields}, keep=False)
    assert refused.value.status == case.status
    assert case.says in refused.value.message


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("shortest", {"leaseDurationSeconds": 3, "capacity": 1}),
    ("longest", {"leaseDurationSeconds": 3600, "capacity": 1000}),
    ("longest identity", {"preferredHolder": "x" * 253}),
    ("identity in any script", {"preferredHolder": "größer als 指导者"}),
    ("highest tokens", {"handoverUpToToken": MAX_TOKEN, "revokeUpToToken": MAX_TOKEN}),
    ("every switch", {"suspend": True, "releaseWhenPodEnds": False, "podLabel": True, "deletionPolicy": "Orphan"}),
]


@pytest.mark.parametrize(("spec"), [spec for _, spec in ACCEPTED], ids=[what for what, _ in ACCEPTED])
def test_values_within_the_bounds_are_kept(unchanged: Locks, spec: dict[str, Any]) -> None:
    """Values within the bounds are stored as they were written."""
    created = unchanged.create(spec=spec, keep=False)
    assert {name: created["spec"][name] for name in spec} == spec


@pytest.mark.parametrize("fields", [{}, {"spec": {}}, {"spec": None}], ids=["no spec", "empty spec", "null spec"])
def test_defaults_are_filled_in(unchanged: Locks, fields: dict[str, Any]) -> None:
    assert unchanged.create(keep=False, **fields)["spec"] == {
        "leaseDurationSeconds": 15,
        "capacity": 1,
        "suspend": False,
        "preferredHolder": "",
        "handoverUpToToken": 0,
        "revokeUpToToken": 0,
        "releaseWhenPodEnds": True,
        "podLabel": False,
        "deletionPolicy": "Release",
    }


def test_a_name_may_have_253_characters(unchanged: Locks) -> None:
    name = ".".join(["x" * 63] * 3 + ["y" * 61])
    assert unchanged.create(name, keep=False)["metadata"]["name"] == name


TOKENS = [("handoverUpToToken", HANDOVER_GROWS), ("revokeUpToToken", REVOKE_GROWS)]


@pytest.mark.parametrize(("field", "says"), TOKENS)
def test_tokens_only_grow(locks: Locks, field: str, says: str) -> None:
    """Also when the field is removed, which would make it 0. Whatever else changes, an unchanged token is no harm."""
    locks.create(spec={field: 7})
    for smaller in (6, 0, None):
        with pytest.raises(ApiError) as refused:
            locks.patch(spec={field: smaller})
        assert refused.value.message == (f'Lock.leasehold.dev "lock" is invalid: spec.{field}: Invalid value: {says}')
    assert locks.patch(spec={field: 7, "capacity": 2})["spec"][field] == 7
    assert locks.patch(spec={field: MAX_TOKEN})["spec"][field] == MAX_TOKEN


@pytest.mark.parametrize(("field", "says"), TOKENS)
def test_when_tokens_may_be_lowered(locks: Locks, field: str, says: str) -> None:
    """Either etcd has lost data, or they are above any that it ever gave out."""
    locks.create(spec={field: 7})
    for other in ({"status": "False"}, {"status": "Unknown"}, {"reason": "EtcdUnreachable"}, {"type": "Ready"}):
        locks.patch("status", status={"conditions": [condition(**ROLLED_BACK | other)]})
        with pytest.raises(ApiError) as refused:
            locks.patch(spec={field: 0})
        assert says in refused.value.message
    locks.patch("status", status={"conditions": [condition(), condition(**ROLLED_BACK)]})
    assert locks.patch(spec={field: 3})["spec"][field] == 3
    locks.patch("status", status={"conditions": [condition(**ROLLED_BACK | {"reason": "TokenAhead"})]})
    assert locks.patch(spec={field: 2})["spec"][field] == 2
    locks.patch("status", status={"conditions": [condition()]})
    with pytest.raises(ApiError):
        locks.patch(spec={field: 1})


def test_users_cannot_write_the_condition(locks: Locks) -> None:
    """A user cannot lower a token by writing, in the same request, the condition that allows it."""
    locks.create(spec={"handoverUpToToken": 7})
    with pytest.raises(ApiError) as refused:
        locks.patch(spec={"handoverUpToToken": 0}, status={"conditions": [condition(**ROLLED_BACK)]})
    assert HANDOVER_GROWS in refused.value.message


def test_spec_and_status_stay_apart(locks: Locks) -> None:
    """Neither request touches the other's part, and a status is no new generation."""
    created = locks.create(spec={"capacity": 2}, status={"holderCount": 5})
    assert "status" not in created
    assert created["metadata"]["generation"] == 1
    written = locks.patch("status", spec={"capacity": 9}, status={"holderCount": 1, "fencingToken": MAX_TOKEN})
    assert written["spec"]["capacity"] == 2
    assert written["status"] == {"holderCount": 1, "fencingToken": MAX_TOKEN}
    assert written["metadata"]["generation"] == 1
    changed = locks.patch(spec={"capacity": 3}, status={"holderCount": 7})
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
def test_impossible_status_is_refused(locks: Locks, status: dict[str, Any], says: str) -> None:
    """The schema bounds what the operator itself may write."""
    locks.create()
    with pytest.raises(ApiError) as refused:
        locks.patch("status", status=status)
    assert says in refused.value.message


def test_the_largest_status_is_kept(locks: Locks) -> None:
    locks.create()
    full = {"holders": [{**holder(n), "identity": "x" * 253} for n in range(32)], "conditions": [condition()]}
    assert locks.patch("status", status=full)["status"] == full


def test_server_side_apply_by_two_managers(locks: Locks) -> None:
    """Each owns the fields that it applied; taking the other's is a conflict that names the field and the owner."""
    apply = _applier(locks, "")
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


def test_lists_are_merged_by_their_keys(locks: Locks) -> None:
    """Of holders and conditions, server-side apply replaces one entry and leaves the others."""
    locks.create()
    apply = _applier(locks, "status")
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
