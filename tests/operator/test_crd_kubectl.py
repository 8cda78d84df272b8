"""Locks as users of kubectl meet them: its columns, its explanations, its short name, its strictness."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.cluster import CRD, ControlPlane, KubectlFailed
from tests.servers import wait_for

SCHEMA = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def manifest(name: str, **fields: Any) -> str:
    return json.dumps({"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, **fields})


def cells(table: str) -> list[list[str]]:
    """The columns of what kubectl prints: they begin where the words of its first line do."""
    lines = table.rstrip().splitlines()
    starts = [word.start() for word in re.finditer(r"\S+", lines[0])]
    ends: list[int | None] = [*starts[1:], None]
    return [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in lines]


@pytest.fixture
def held(api: ControlPlane, namespace: str) -> str:
    """A namespace with a lock that is held, as its status says, and one that has no status yet."""
    api.apply(manifest("held"), namespace=namespace)
    api.apply(manifest("new"), namespace=namespace)
    now = api.get("locks", "held", namespace)
    assert now is not None
    since = now["metadata"]["creationTimestamp"]

    def condition(kind: str, status: str, reason: str) -> dict[str, str]:
        return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": "So it is."}

    conditions = [condition("Ready", "True", "Declared"), condition("Held", "True", "Holding")]
    status = {
        "key": "/leasehold/locks/team/held/queue",
        "holderIdentity": "pod-1",
        "fencingToken": 2**63 - 1,
        "acquireTime": since,
        "holderCount": 1,
        "waiterCount": 3,
        "conditions": conditions,
    }
    api.patch("locks", "held", {"status": status}, namespace, subresource="status")
    return namespace


def test_get_shows_who_holds(api: ControlPlane, held: str) -> None:
    head, row, new = cells(api.kubectl("get", "locks", "-n", held))
    assert head == ["NAME", "HELD", "HOLDER", "HOLDERS", "WAITERS", "SINCE", "AGE"]
    assert row[:5] == ["held", "True", "pod-1", "1", "3"]
    assert all(re.fullmatch(r"\d+[sm]\d*s?", age) for age in (*row[5:], new[6]))
    assert new[:6] == ["new", "", "", "", "", ""]


def test_get_wide(api: ControlPlane, held: str) -> None:
    """`kubectl get -o wide` also shows token, key and reason."""
    head, row, _ = cells(api.kubectl("get", "locks", "-o", "wide", "-n", held))
    assert head[7:] == ["TOKEN", "KEY", "REASON"]
    assert row[7:] == [str(2**63 - 1), "/leasehold/locks/team/held/queue", "Declared"]


@pytest.mark.parametrize("name", ["lk", "lock", "locks.leasehold.dev", "locks.v1alpha1.leasehold.dev"])
def test_every_name_of_the_kind(api: ControlPlane, held: str, name: str) -> None:
    """kubectl understands plural, singular and short name."""
    wait_for(lambda: "lk" in api.kubectl("api-resources", "--api-group=leasehold.dev"), "Locks to be discovered")
    assert api.kubectl("get", name, "held", "-o", "name", "-n", held) == "lock.leasehold.dev/held\n"


def test_kubectl_wait_for_condition(api: ControlPlane, held: str) -> None:
    """`kubectl wait --for=condition=…` understands the conditions."""
    output = api.kubectl("wait", "--for=condition=Held", "lock/held", "-n", held, "--timeout=100s")
    assert output == "lock.leasehold.dev/held condition met\n"


def test_unknown_field_is_refused(api: ControlPlane, namespace: str) -> None:
    """An unknown field is refused, unless kubectl is told to drop it."""
    text = manifest("lock", spec={"capactiy": 2})
    with pytest.raises(KubectlFailed, match=r'unknown field "spec\.capactiy"'):
        api.apply(text, namespace=namespace)
    api.kubectl("apply", "--validate=ignore", "-f", "-", "-n", namespace, stdin=text)
    lock = api.get("locks", "lock", namespace)
    assert lock is not None
    assert "capactiy" not in lock["spec"]


def test_apply_prints_what_is_wrong(api: ControlPlane, namespace: str) -> None:
    """Also when a manifest that is applied again asks for a lower token."""
    api.apply(manifest("lock", spec={"handoverUpToToken": 7}), namespace=namespace)
    with pytest.raises(KubectlFailed) as failed:
        api.apply(manifest("lock", spec={"handoverUpToToken": 5}), namespace=namespace)
    assert (
        'The Lock "lock" is invalid: spec.handoverUpToToken: Invalid value: spec.handoverUpToToken only grows: '
        in str(failed.value)
    )


def test_apply_leaves_tokens_alone(api: ControlPlane, namespace: str) -> None:
    """So a handover that was asked for by hand survives the next apply of a manifest from a repository."""
    text = manifest("lock", spec={"capacity": 1})
    api.apply(text, namespace=namespace)
    api.patch("locks", "lock", {"spec": {"handoverUpToToken": 7}}, namespace)
    assert "unchanged" in api.apply(text, namespace=namespace)
    lock = api.get("locks", "lock", namespace)
    assert lock is not None
    assert lock["spec"]["handoverUpToToken"] == 7


def test_schema_is_structural_and_stable(api: ControlPlane) -> None:
    """Else fields would not be pruned, and a tool that compares repository and cluster would never be content."""
    assert api.kubectl("diff", "-f", str(CRD)) == ""
    crd = api.get("customresourcedefinitions", "locks.leasehold.dev")
    assert crd is not None
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize("path", ["spec", "status", "status.holders", "status.conditions"])
def test_explain_shows_every_field(api: ControlPlane, path: str) -> None:
    """`kubectl explain` shows each field with its description."""
    words = ("explain", f"lock.{path}", "--api-version=leasehold.dev/v1alpha1")
    wait_for(lambda: _explains(api, *words), "the schema of Locks to be published")
    text = " ".join(api.kubectl(*words).split())
    schema = SCHEMA
    for name in path.split("."):
        schema = schema["properties"][name]
    fields = schema.get("items", schema)["properties"]
    assert fields
    for name, field in fields.items():
        assert f" {name} <" in text
        assert " ".join(field["description"].split()) in text


def _explains(api: ControlPlane, *words: str) -> bool:
    """The schemas are published a moment after the resource is served."""
    try:
        api.kubectl(*words)
    except KubectlFailed:
        return False
    return True
