"""Injectors as processes, with exactly the chart's rights, and what they keep in the API server."""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.charts.rendered import LEASEHOLD, NAMESPACE, objects, render, values
from tests.cluster import ControlPlane, Object
from tests.servers import Process, release_port, reserve_port, wait_for
from tests.support.sidecars import request
from tests.unit.injector.pods import pod

NAME = "leasehold-injector"
HOST = f"{NAME}.{NAMESPACE}.svc"
NO_POD = b'{"apiVersion": "admission.k8s.io/v1", "request": {"uid": "1", "object": {}}}'
Body = dict[str, Any]


class Injector(Process):
    """`leasehold injector` on ports of its own, as the chart's service account."""

    def __init__(self, api: ControlPlane, user: str, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self.port, self.health = reserve_port(), reserve_port()
        words = [sys.executable, "-m", "leasehold", "injector", "--kubeconfig", str(api.kubeconfig(user))]
        words += ["--namespace", NAMESPACE, "--service", NAME, "--certificate-secret", f"{NAME}-tls"]
        words += ["--webhook-configuration", NAME, "--sidecar-image", "leasehold:1", "--sidecar-etcd", "http://e:2379"]
        words += ["--listen", f"127.0.0.1:{self.port}", "--health-listen", f"127.0.0.1:{self.health}"]
        super().__init__([*words, *flags], name="injector", env=env)
        self._api = api
        self.trusted = b""
        """The authorities to believe, where the configuration can't be asked for them."""

    def close(self) -> None:
        super().close()
        release_port(self.port)
        release_port(self.health)

    def peak_memory(self) -> int:
        """The most bytes that it has had resident at any time."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            return request("GET", f"http://127.0.0.1:{self.health}/readyz")[0] == 200
        return False

    def wait_ready(self) -> None:
        wait_for(lambda: self.ready() or not self.running, "the injector to be ready")
        assert self.running, self.log_tail()

    @contextlib.contextmanager
    def connected(self) -> Iterator[http.client.HTTPSConnection]:
        """As the API server connects: by the Service's name, and believing the configuration's authorities alone."""
        context = ssl.create_default_context(cadata=(self.trusted or believed(self._api)).decode())
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        with contextlib.closing(http.client.HTTPSConnection(HOST, timeout=60)) as connection:
            connection.sock = context.wrap_socket(plain, server_hostname=HOST)
            yield connection

    def post(self, body: bytes, path: str = "/mutate") -> tuple[int, bytes]:
        """What one request over a connection of its own is answered."""
        with self.connected() as connection:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def asked(self, namespace: str, body: Body, kind: str) -> Body:
        """An AdmissionReview about a new object."""
        asked = {"uid": "u-1", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": kind}}
        asked |= {"namespace": namespace, "object": body}
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}

    def review(self, namespace: str, *, body: Body | None = None, kind: str = "Pod", **annotations: str) -> Body:
        """Its response about a pod, or about a workload of that kind."""
        asked = self.asked(namespace, body or pod(None, None, **annotations), kind)
        status, answer = self.post(json.dumps(asked).encode(), "/mutate" if kind == "Pod" else "/advise")
        assert status == 200
        response: Body = json.loads(answer)["response"]
        assert response["uid"] == "u-1"
        return response


def believed(api: ControlPlane) -> bytes:
    found = api.get("mutatingwebhookconfigurations", NAME)
    assert found is not None
    return base64.b64decode(found["webhooks"][0]["clientConfig"].get("caBundle", ""))


def believe_nobody(api: ControlPlane) -> None:
    other = {"webhooks": [{"name": "inject.leasehold.dev", "clientConfig": {"caBundle": None}}]}
    words = ["mutatingwebhookconfiguration", NAME, "--type=strategic", f"--patch={json.dumps(other)}"]
    api.kubectl("patch", *words)


def secret(api: ControlPlane) -> Body:
    found = api.get("secrets", f"{NAME}-tls", NAMESPACE)
    assert found is not None
    data: Body = found.get("data") or {}
    return data


def injector_objects() -> list[Object]:
    chosen = values(**{"etcd.enabled": True, "injector.requireOptIn": True})
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret")
    everything = objects(render(LEASEHOLD, *chosen))
    mine = [each for each in everything if each["metadata"]["name"].startswith(NAME)]
    return [each for each in mine if each["kind"] in (*kinds, "MutatingWebhookConfiguration")]


Start = Callable[..., Injector]
