"""The calls to an API server that cannot be reached, is silent, or answers what makes no sense."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from leasehold.kube import access as access_module
from leasehold.operator.reconcile.api import Access, AccessError, KubeError, KubeUnknown
from tests.cluster import ControlPlane
from tests.operator.kube_calls import opened
from tests.servers import reserve_port


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


async def test_busy_loop_is_no_silent_api_server(tmp_path: Path) -> None:
    """What the API server has answered counts, though each turn of our own loop takes longer than the time limit."""

    async def keep_busy() -> None:
        while True:
            time.sleep(0.15)  # noqa: ASYNC251  # the loop is busy
            await asyncio.sleep(0)

    body = b'{"metadata": {"uid": "x"}}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with broken_server(answer) as port, opened(plain_config(tmp_path, port), timeout=0.1) as kube:
        busy = asyncio.create_task(keep_busy())
        assert await kube.cluster_uid() == "x"
        busy.cancel()


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
