"""The schema of Lock on the real API server: what it refuses, and the sentence that it says; what it fills in.

Each bound and rule of manifests/crd.yaml is broken here at least once.
"""

from typing import Any, NamedTuple

import pytest

from tests.cluster import ApiError, ControlPlane
from tests.operator.crd_locks import HANDOVER_GROWS, MAX_TOKEN, ROLLED_BACK, Locks, condition

REVOKE_GROWS = HANDOVER_GROWS.replace("handoverUpToToken", "revokeUpToToken")
NOT_PRINTABLE = (
    "spec.preferredHolder can never be the identity of a candidate: remove the characters that are not printable, such"
    " as line breaks, control characters and invisible ones"
)
NAME_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"


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
        "releaseWhenPodEnds": True,
        "podLabel": False,
        "deletionPolicy": "Release",
    }


def test_a_name_may_have_253_characters(unchanged: Locks) -> None:
    name = ".".join(["x" * 63] * 3 + ["y" * 61])
    assert unchanged.create(name, keep=False)["metadata"]["name"] == name


TOKENS = [("handoverUpToToken", HANDOVER_GROWS), ("revokeUpToToken", REVOKE_GROWS)]


@pytest.mark.parametrize(("field", "says"), TOKENS)
def test_tokens_only_grow(crd_locks: Locks, field: str, says: str) -> None:
    """Whatever else changes, an unchanged token is no harm."""
    crd_locks.create(spec={field: 7})
    for smaller in (6, 1):
        with pytest.raises(ApiError) as refused:
            crd_locks.patch(spec={field: smaller})
        assert refused.value.message == (f'Lock.leasehold.dev "lock" is invalid: spec.{field}: Invalid value: {says}')
    assert crd_locks.patch(spec={field: 7, "capacity": 2})["spec"][field] == 7
    assert crd_locks.patch(spec={field: MAX_TOKEN})["spec"][field] == MAX_TOKEN


@pytest.mark.parametrize("field", [field for field, _ in TOKENS])
def test_tokens_may_be_left_out(crd_locks: Locks, field: str) -> None:
    """As a manifest does that does not know of them, or one that was written when they had the default 0."""
    crd_locks.create(spec={field: 7})
    assert crd_locks.patch(spec={field: 0})["spec"][field] == 0
    assert crd_locks.patch(spec={field: 7})["spec"][field] == 7
    assert field not in crd_locks.patch(spec={field: None})["spec"]
    assert crd_locks.patch(spec={field: 5})["spec"][field] == 5, "the operator still obeys the higher one"


@pytest.mark.parametrize(("field", "says"), TOKENS)
def test_when_tokens_may_be_lowered(crd_locks: Locks, field: str, says: str) -> None:
    """Either etcd has lost data, or they are above any that it ever gave out."""
    crd_locks.create(spec={field: 7})
    for other in ({"status": "False"}, {"status": "Unknown"}, {"reason": "EtcdUnreachable"}, {"type": "Ready"}):
        crd_locks.patch("status", status={"conditions": [condition(**ROLLED_BACK | other)]})
        with pytest.raises(ApiError) as refused:
            crd_locks.patch(spec={field: 6})
        assert says in refused.value.message
    crd_locks.patch("status", status={"conditions": [condition(), condition(**ROLLED_BACK)]})
    assert crd_locks.patch(spec={field: 3})["spec"][field] == 3
    crd_locks.patch("status", status={"conditions": [condition(**ROLLED_BACK | {"reason": "TokenAhead"})]})
    assert crd_locks.patch(spec={field: 2})["spec"][field] == 2
    crd_locks.patch("status", status={"conditions": [condition()]})
    with pytest.raises(ApiError):
        crd_locks.patch(spec={field: 1})
