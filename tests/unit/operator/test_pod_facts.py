import json
from typing import Any

import pytest

from leasehold.operator.watch.pod_facts import (
    has_ended,
    label_patch,
    leader_of,
    read_pod,
    read_replicaset,
    read_statefulset,
)
from leasehold.operator.watch.transform import Kind, trim
from tests.unit.operator.bodies import Body, pod, replicaset, statefulset


def after(body: Body, lock: str, on: bool) -> Body | None:
    """The pod as the API server has it after the patch; None when there is nothing to patch."""
    if (patch := label_patch(body, lock, on)) is None:
        return None
    changed: Body = json.loads(json.dumps(body))
    for kind in ("labels", "annotations"):
        for name, value in patch["metadata"][kind].items():
            changed["metadata"][kind].pop(name, None)
            if value is not None:
                changed["metadata"][kind][name] = value
    return changed


def test_the_label_lists_all_its_locks() -> None:
    """It is removed with the last of them."""
    first = after(pod("a"), "main", on=True)
    assert first is not None
    second = after(first, "a.second", on=True)
    assert second is not None
    assert read_pod(second).leader_of == ("a.second", "main")
    assert after(second, "main", on=True) is None
    one_left = after(second, "main", on=False)
    assert one_left is not None
    assert read_pod(one_left).leader_of == ("a.second",)
    none_left = after(one_left, "a.second", on=False)
    assert none_left is not None
    assert none_left["metadata"]["labels"] == {"app": "x"}
    assert none_left["metadata"]["annotations"] == {}
    assert after(none_left, "main", on=False) is None


def test_only_our_own_label_is_managed() -> None:
    """A label that somebody else put there stays. One that somebody removed is put back."""
    theirs = pod("a")
    theirs["metadata"]["labels"]["leasehold.dev/leader"] = "true"
    assert label_patch(theirs, "main", on=False) is None
    removed = pod("a", leads="main")
    del removed["metadata"]["labels"]["leasehold.dev/leader"]
    assert read_pod(after(removed, "main", on=True) or {}).leader_of == ("main",)


def test_a_label_patch_names_uid_and_version() -> None:
    patch = label_patch(pod("a", version=7), "main", on=True)
    assert patch is not None
    assert (patch["metadata"]["uid"], patch["metadata"]["resourceVersion"]) == ("a", "7")


@pytest.mark.parametrize("text", ["", ",", "Upper", "a b", "x" * 300, "../up"])
def test_invalid_lock_names_are_ignored(text: str) -> None:
    assert leader_of({"namespace": "team", "annotations": {"leasehold.dev/leader-of": text}}) == ()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("Pod", pod("a", "one", leads="main")),
        ("Pod", pod("a", "one", phase="Failed")),
        ("ReplicaSet", replicaset("one", "deployment", 3, "hash")),
        ("StatefulSet", statefulset("set", "web-1")),
    ],
)
def test_a_trimmed_body_reads_like_the_original(kind: Kind, body: Body) -> None:
    reader: Any = {"Pod": read_pod, "ReplicaSet": read_replicaset, "StatefulSet": read_statefulset}[kind]
    trimmed = trim(kind, body)
    assert reader(trimmed) == reader(body)
    assert trim(kind, trimmed) == trimmed


def test_trimming_keeps_the_end_of_a_pod() -> None:
    for phase in ("Running", "Succeeded", "Failed"):
        assert has_ended(trim("Pod", pod("a", phase=phase))) == has_ended(pod("a", phase=phase))


def test_a_trimmed_lock_has_only_what_is_read() -> None:
    body = {
        "apiVersion": "leasehold.dev/v1alpha1",
        "kind": "Lock",
        "metadata": {
            "name": "main",
            "namespace": "team",
            "uid": "u",
            "generation": 3,
            "resourceVersion": "9",
            "finalizers": ["leasehold.dev/release"],
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
            "labels": {"team": "x"},
            "annotations": {
                "leasehold.dev/force-delete": "true",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        },
        "spec": {"capacity": 2},
        "status": {"conditions": [{"type": "Ready"}]},
    }
    trimmed = trim("Lock", body)
    assert trimmed["metadata"] == {
        "name": "main",
        "namespace": "team",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "9",
        "finalizers": ["leasehold.dev/release"],
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "labels": {},
        "annotations": {"leasehold.dev/force-delete": "true"},
    }
    assert (trimmed["spec"], trimmed["status"]) == (body["spec"], body["status"])
    assert trimmed["status"]["conditions"] is not body["status"]["conditions"]  # type: ignore[index]  # an object of JSON


@pytest.mark.parametrize("kind", ["Lock", "Pod", "ReplicaSet", "StatefulSet"])
def test_trimming_never_fails(kind: Kind) -> None:
    """Any part of a body may be missing, except the name."""
    bodies: list[Body] = [{}, {"metadata": {}}, {"metadata": {"name": "x"}, "spec": None, "status": None}]
    for body in bodies:
        assert "metadata" in trim(kind, body)
