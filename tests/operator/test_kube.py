"""The calls against a real API server, with the operator's own rights where it matters."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import get_args

import pytest

from leasehold.lock.names import LockName
from leasehold.operator.reconcile import api as kube_module
from leasehold.operator.reconcile.api import CANARY, Access, Kube, KubeError
from leasehold.operator.watch.transform import Kind
from tests.cluster import ControlPlane
from tests.operator.kube_calls import Body, make_lock, opened, the_lock
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, install_operator


@dataclass(frozen=True)
class Label:
    namespace: str
    name: str
    uid: str
    on: bool


@dataclass(frozen=True)
class About:
    name: LockName
    uid: str
    resource_version: str


@dataclass(frozen=True)
class Said:
    reason: str = "LockAcquired"
    message: str = "pod-a holds the lock with token 17"
    warning: bool = False
    key: str = ""


# --- reads ------------------------------------------------------------------------------------------------------


async def test_lists_are_paged_and_trimmed(api: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is read in pages, and what nobody needs is dropped from it."""
    names = {f"lock-{number}" for number in range(7)}
    for name in names:
        make_lock(api, namespace, name)
    monkeypatch.setattr(kube_module, "PAGE_OBJECTS", 3)
    async with opened(api.kubeconfig()) as kube:
        found = [body["metadata"] for body in await kube.list_locks()]
    assert {each["name"] for each in found if each["namespace"] == namespace} == names
    assert all(each["uid"] and each["resourceVersion"] for each in found)
    managed = [one for each in found for one in each.get("managedFields", ())]
    assert all(one["fieldsV1"].keys() == {"f:spec"} for one in managed), "who set which field of the spec, and no more"


async def test_every_watched_kind_is_listed(api: ControlPlane, namespace: str) -> None:
    """Every kind that is watched can be listed, too."""
    api.make_pod("one", namespace)
    async with opened(api.kubeconfig()) as kube:
        pods = await kube.list_all("Pod")
        assert "one" in {body["metadata"]["name"] for body in pods if body["metadata"]["namespace"] == namespace}
        assert isinstance(await kube.list_all("ReplicaSet"), list)
        assert isinstance(await kube.list_all("StatefulSet"), list)


async def test_cluster_uid(api: ControlPlane) -> None:
    """A cluster is known by the UID of its kube-system."""
    body = api.get("namespaces", "kube-system")
    assert body is not None
    async with opened(api.kubeconfig()) as kube:
        assert await kube.cluster_uid() == body["metadata"]["uid"]


# --- status and finalizers --------------------------------------------------------------------------------------


async def test_status_is_replaced(api: ControlPlane, namespace: str) -> None:
    """A status is replaced as a whole: nothing of the old one stays."""
    body = make_lock(api, namespace)
    name, uid = LockName(namespace, "main"), body["metadata"]["uid"]
    async with opened(api.kubeconfig()) as kube:
        await kube.patch_status(name, uid, {"holderIdentity": "pod-a", "fencingToken": 17, "holderCount": 1})
        answer = await kube.patch_status(name, uid, {"holderCount": 0})
    assert answer["status"] == the_lock(api, namespace)["status"] == {"holderCount": 0}
    assert answer["spec"]["capacity"] == 1


async def test_status_spares_a_namesake(api: ControlPlane, namespace: str) -> None:
    """A status is never written to another Lock of the same name."""
    old = make_lock(api, namespace)
    api.delete("locks", "main", namespace)
    api.wait_gone("locks", "main", namespace)
    make_lock(api, namespace)
    async with opened(api.kubeconfig()) as kube:
        with pytest.raises(KubeError) as refused:
            await kube.patch_status(LockName(namespace, "main"), old["metadata"]["uid"], {"holderCount": 1})
    assert refused.value.status == 409
    assert "holderCount" not in the_lock(api, namespace)["status"]


async def test_invalid_status_is_no_namesake(api: ControlPlane, namespace: str) -> None:
    """A status that breaks the schema is another error than a UID that does not match."""
    body = make_lock(api, namespace)
    async with opened(api.kubeconfig()) as kube:
        with pytest.raises(KubeError, match="holderCount") as refused:
            await kube.patch_status(LockName(namespace, "main"), body["metadata"]["uid"], {"holderCount": "many"})
    assert refused.value.status == 422


async def test_status_of_a_lock_that_is_gone(api: ControlPlane, namespace: str) -> None:
    """The status of a Lock that is gone is refused."""
    async with opened(api.kubeconfig()) as kube:
        with pytest.raises(KubeError) as refused:
            await kube.patch_status(LockName(namespace, "gone"), "u", {"holderCount": 1})
    assert refused.value.status == 404
    assert "gone" in str(refused.value)


async def test_finalizers_respect_unseen_changes(api: ControlPlane, namespace: str) -> None:
    """Finalizers are not written over a change that was not seen."""
    body = make_lock(api, namespace)
    name = LockName(namespace, "main")
    async with opened(api.kubeconfig()) as kube:
        seen = await kube.patch_finalizers(name, body["metadata"]["resourceVersion"], ["leasehold.dev/release"])
        assert seen["metadata"]["finalizers"] == ["leasehold.dev/release"]
        api.patch("locks", "main", {"metadata": {"finalizers": ["leasehold.dev/release", "other/one"]}}, namespace)
        with pytest.raises(KubeError) as refused:
            await kube.patch_finalizers(name, seen["metadata"]["resourceVersion"], [])
        assert refused.value.status == 409
        now = the_lock(api, namespace)["metadata"]
        assert now["finalizers"] == ["leasehold.dev/release", "other/one"]
        await kube.patch_finalizers(name, now["resourceVersion"], [])


# --- pods -------------------------------------------------------------------------------------------------------


async def test_pod_leads_two_locks(api: ControlPlane, namespace: str) -> None:
    """A pod is labelled for each lock that it leads."""
    uid = api.make_pod("a", namespace, labels={"app": "x"})["metadata"]["uid"]
    first, second = LockName(namespace, "first"), LockName(namespace, "second")

    def marks() -> tuple[Body, str | None]:
        metadata = (api.get("pods", "a", namespace) or {})["metadata"]
        return metadata["labels"], metadata.get("annotations", {}).get("leasehold.dev/leader-of")

    async with opened(api.kubeconfig()) as kube:
        on, off = Label(namespace, "a", uid, True), Label(namespace, "a", uid, False)
        await kube.label_pod(second, on)
        await kube.label_pod(first, on)
        assert marks() == ({"app": "x", "leasehold.dev/leader": "true"}, "first,second")
        await kube.label_pod(second, off)
        assert marks() == ({"app": "x", "leasehold.dev/leader": "true"}, "first")
        await kube.label_pod(first, off)
        assert marks() == ({"app": "x"}, None)


async def test_two_labels_at_once(api: ControlPlane, namespace: str) -> None:
    """Of two locks that label one pod at once, neither is lost."""
    uid = api.make_pod("a", namespace)["metadata"]["uid"]
    async with opened(api.kubeconfig()) as kube:
        on = Label(namespace, "a", uid, True)
        await asyncio.gather(*(kube.label_pod(LockName(namespace, name), on) for name in ("one", "two")))
    annotations = (api.get("pods", "a", namespace) or {})["metadata"]["annotations"]
    assert annotations["leasehold.dev/leader-of"] == "one,two"


async def test_who_gets_no_label(api: ControlPlane, namespace: str) -> None:
    """No label for a namesake, a pod that is gone, or a pod of another namespace."""
    api.make_pod("a", namespace)
    lock = LockName(namespace, "main")
    async with opened(api.kubeconfig()) as kube:
        await kube.label_pod(lock, Label(namespace, "a", "another-uid", True))
        await kube.label_pod(lock, Label(namespace, "gone", "u", True))
        with pytest.raises(ValueError, match="not in the namespace"):
            await kube.label_pod(lock, Label("default", "a", "u", True))
    assert "leasehold.dev/leader" not in (api.get("pods", "a", namespace) or {})["metadata"].get("labels", {})


# --- events and the canary --------------------------------------------------------------------------------------


async def test_event_is_shown_with_its_lock(api: ControlPlane, namespace: str) -> None:
    """It names the Lock as `kubectl describe` looks for it, and its text is bounded and escaped."""
    metadata = make_lock(api, namespace, "a" * 250 + ".b")["metadata"]
    about = About(LockName(namespace, metadata["name"]), metadata["uid"], metadata["resourceVersion"])
    wall = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=1)))
    async with opened(api.kubeconfig(), wall=lambda: wall) as kube:
        assert await kube.emit(about, Said())
        assert await kube.emit(about, Said("HolderRevoked", "bad \x1b[31m\n text " + "é" * 2000, warning=True))
    events = {event["reason"]: event for event in api.list("events", namespace)}
    assert events["LockAcquired"]["involvedObject"]["uid"] == metadata["uid"]
    assert events["LockAcquired"]["lastTimestamp"] == "2026-01-02T02:04:05Z"
    assert events["LockAcquired"]["type"] == "Normal"
    assert events["HolderRevoked"]["type"] == "Warning"
    message = events["HolderRevoked"]["message"]
    assert message.startswith(r"bad \x1b[31m\n text é")
    assert 1000 < len(message.encode()) <= 1024


async def test_flood_of_events(api: ControlPlane, namespace: str) -> None:
    """Of more events than may be sent at once, the rest is dropped, and counted."""
    about = About(LockName(namespace, "main"), "u", "1")
    access = await Access.load(api.kubeconfig())
    kube = Kube.open(access, clock=lambda: 0.0, timeout=30)
    try:
        sent = [await kube.emit(about, Said()) for _ in range(205)]
    finally:
        await kube.close()
    assert sent == [True] * 200 + [False] * 5
    assert kube.events_dropped == 5


async def test_the_canary_is_made_and_changed(api: ControlPlane, namespace: str) -> None:
    async with opened(api.kubeconfig()) as kube:
        for value in ("one", "two"):
            version = await kube.touch_canary(namespace, value)
            metadata = the_lock(api, namespace, CANARY)["metadata"]
            assert metadata["annotations"]["leasehold.dev/canary"] == value
            assert metadata["generation"] == 1
            assert metadata["resourceVersion"] == version


# --- rights, credentials, failures ------------------------------------------------------------------------------


async def test_rights_are_enough(api: ControlPlane, namespace: str) -> None:
    """The operator's own rights are enough for every call."""
    metadata = make_lock(api, namespace)["metadata"]
    uid = api.make_pod("a", namespace)["metadata"]["uid"]
    name = LockName(namespace, "main")
    async with opened(api.kubeconfig(install_operator(api))) as kube:
        for kind in get_args(Kind):
            await kube.list_all(kind)
        await kube.cluster_uid()
        body = await kube.patch_status(name, metadata["uid"], {"holderCount": 1})
        await kube.patch_finalizers(name, body["metadata"]["resourceVersion"], ["leasehold.dev/release"])
        await kube.emit(About(name, metadata["uid"], "1"), Said())
        await kube.label_pod(name, Label(namespace, "a", uid, True))
        await kube.label_pod(name, Label(namespace, "a", uid, False))
        await kube.touch_canary(OPERATOR_NAMESPACE, "one")
