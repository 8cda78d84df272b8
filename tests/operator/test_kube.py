"""The calls against a real API server, with the operator's own rights where it matters."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest

from leasehold.kube import access as access_module
from leasehold.lock.names import LockName
from leasehold.operator.reconcile import api as kube_module
from leasehold.operator.reconcile.api import CANARY, Access, AccessError, Kube, KubeError, KubeUnknown
from leasehold.operator.watch.transform import Kind
from tests.cluster import ControlPlane
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, install_operator
from tests.servers import reserve_port

Body = dict[str, Any]


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


@asynccontextmanager
async def opened(config: Path, timeout: float = 120, **more: Any) -> AsyncIterator[Kube]:
    access = await Access.load(config)
    kube = Kube.open(access, clock=asyncio.get_running_loop().time, timeout=timeout, **more)
    try:
        yield kube
    finally:
        await kube.close()


def make_lock(api: ControlPlane, namespace: str, name: str = "main", **spec: Any) -> Body:
    body = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}, "spec": spec}
    return api.create("locks", body, namespace)


def the_lock(api: ControlPlane, namespace: str, name: str = "main") -> Body:
    body = api.get("locks", name, namespace)
    assert body is not None
    return body


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
    assert "status" not in the_lock(api, namespace)


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
            await kube.touch_canary(namespace, value)
            metadata = the_lock(api, namespace, CANARY)["metadata"]
            assert metadata["annotations"]["leasehold.dev/canary"] == value
            assert metadata["generation"] == 1


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


async def test_refusal_names_status_and_reason(api: ControlPlane, namespace: str) -> None:
    """An error of the API server keeps its status and its reason."""
    user = api.service_account("nobody", namespace)
    async with opened(api.kubeconfig(user)) as kube:
        with pytest.raises(KubeError, match=re.escape("answered 403")) as refused:
            await kube.list_locks()
    assert refused.value.retry_after == 0
    assert "locks.leasehold.dev is forbidden" in refused.value.sentence


async def test_rotated_token_is_taken_up(
    api: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes replaces a pod's token about once an hour; the old one then ends."""
    token = tmp_path / "token"
    token.write_text("wrong")
    config = json.loads(api.kubeconfig().read_text())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    async with opened(path) as kube:
        with pytest.raises(KubeError, match="401"):
            await kube.cluster_uid()
        token.write_text(api.token())
        monkeypatch.setattr(access_module, "RENEW_INTERVAL_SECONDS", 0)
        assert await kube.cluster_uid()
        token.unlink()
        assert await kube.cluster_uid(), "what was read last serves while nothing can be read"


async def test_proxy_variables_are_ignored(api: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be set for all pods of a namespace, with a NO_PROXY that names networks, which Python does not know."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{reserve_port()}")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    async with opened(api.kubeconfig()) as kube:
        assert await kube.cluster_uid()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "apiVersion: v1", "current-context: gone\ncontexts: []\nclusters: []\nusers: []", "\x00"]
)
async def test_unreadable_kubeconfig(tmp_path: Path, text: str) -> None:
    """A kubeconfig that cannot be read is one sentence."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(AccessError, match="cannot be read from the kubeconfig") as refused:
        await Access.load(path)
    assert "\n" not in str(refused.value)


async def test_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a service account, the sentence says that there is none."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AccessError, match="from the pod's service account"):
        await Access.load(None)


async def test_no_api_server(api: ControlPlane) -> None:
    """An API server that is not there is an unknown outcome."""
    config = api.kubeconfig(server=f"https://127.0.0.1:{reserve_port()}")
    async with opened(config) as kube:
        with pytest.raises(KubeUnknown, match="cannot be reached"):
            await kube.cluster_uid()


async def test_silent_api_server(api: ControlPlane) -> None:
    """An API server that does not answer in time is an unknown outcome."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        config = api.kubeconfig(server=f"https://127.0.0.1:{deaf.getsockname()[1]}")
        async with opened(config, timeout=0.2) as kube:
            with pytest.raises(KubeUnknown, match=r"did not answer within 0\.2 s"):
                await kube.cluster_uid()


@pytest.mark.parametrize(
    ("status", "header", "body", "retry_after"),
    [
        (429, "Retry-After: 7", "", 7.0),
        (503, "Retry-After: soon", "<html>", 0.0),
        (500, "X: y", '{"details": {"retryAfterSeconds": 3}}', 3.0),
        (500, "X: y", "{", 0.0),
        (429, "Retry-After: -1", "[]", 0.0),
    ],
)
async def test_retry_after_is_heard(tmp_path: Path, status: int, header: str, body: str, retry_after: float) -> None:
    """A server may say how long it wants to be left alone: in its header, or in its body."""
    answer = f"HTTP/1.1 {status} Sorry\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    async with broken_server(answer) as port, opened(plain_config(tmp_path, port)) as kube:
        with pytest.raises(KubeError) as refused:
            await kube.cluster_uid()
    assert (refused.value.status, refused.value.retry_after) == (status, retry_after)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
async def test_answer_that_makes_no_sense(tmp_path: Path, answer: bytes) -> None:
    """An answer that makes no sense is an unknown outcome."""
    async with broken_server(answer) as port, opened(plain_config(tmp_path, port)) as kube:
        with pytest.raises(KubeUnknown):
            await kube.cluster_uid()


@asynccontextmanager
async def broken_server(answer: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def plain_config(directory: Path, port: int) -> Path:
    path = directory / "config"
    config = {
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path
