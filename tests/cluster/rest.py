"""Calls to the API server by plain HTTP: a test's own view of it, with no client library between.

One call costs a few milliseconds, where a run of kubectl costs a tenth of a second of CPU.
"""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.servers import PATIENCE

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "/api/v1": (
        "configmaps",
        "events",
        "namespaces",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "secrets",
        "serviceaccounts",
        "services",
    ),
    "/apis/apps/v1": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "/apis/admissionregistration.k8s.io/v1": ("mutatingwebhookconfigurations",),
    "/apis/apiextensions.k8s.io/v1": ("customresourcedefinitions",),
    "/apis/batch/v1": ("jobs",),
    "/apis/coordination.k8s.io/v1": ("leases",),
    "/apis/discovery.k8s.io/v1": ("endpointslices",),
    "/apis/leasehold.dev/v1alpha1": ("locks",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/rbac.authorization.k8s.io/v1": ("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
    "/apis/storage.k8s.io/v1": ("storageclasses",),
}
_PREFIXES = {resource: prefix for prefix, resources in _GROUPS.items() for resource in resources}
_Body = Mapping[str, Any] | None


class ApiError(RuntimeError):
    """The API server refused: its HTTP status, its `reason` such as AlreadyExists, and its sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Rest:
    """Calls as whom `token` says, to the API server at `url`, whose certificate is of the authority in `ca`."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        self.url = url
        self.token = token
        self.warnings: list[str] = []
        """What the last answer warned of."""
        self._ssl = ssl.create_default_context(cafile=str(ca))

    def call(
        self,
        method: str,
        path: str,
        body: _Body = None,
        *,
        content_type: str = "application/json",
        timeout: float = PATIENCE,
    ) -> Any:
        """The answer to one call; ApiError when it is refused, OSError when none comes."""
        return json.loads(self._ask(method, path, body, content_type, timeout))

    def text(self, path: str, *, timeout: float = PATIENCE) -> str:
        """As `call`, for what isn't JSON, such as /readyz."""
        return self._ask("GET", path, None, "", timeout)

    def _ask(self, method: str, path: str, body: _Body, content_type: str, timeout: float) -> str:
        """As all clients do, ask again when the answer is "later", such as while a CRD's storage is set up."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self._send(method, path, body, content_type, timeout)
            except ApiError as error:
                if error.status != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def _send(self, method: str, path: str, body: _Body, content_type: str, timeout: float) -> str:
        host = self.url.removeprefix("https://")
        connection = http.client.HTTPSConnection(host, context=self._ssl, timeout=timeout)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            self.warnings = [_warning(each) for each in answer.headers.get_all("Warning", ())]
        except http.client.HTTPException as error:  # it was killed while it answered
            raise OSError(f"no answer from {self.url}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise _refusal(answer.status, text)
        return text


def _warning(header: str) -> str:
    """The text of `299 - "text"`."""
    return header.partition('"')[2].rpartition('"')[0].replace('\\"', '"').replace("\\\\", "\\")


def _refusal(status: int, text: str) -> ApiError:
    try:
        fields = json.loads(text)
    except ValueError:
        return ApiError(status, "", text)
    return ApiError(status, fields.get("reason", ""), fields.get("message", text))


def path_of(
    resource: str, name: str | None = None, namespace: str | None = None, *, subresource: str = "", **query: str
) -> str:
    """The URL path of a resource's object, or of all of them without `name`, in one namespace or without one.

    `resource` is a plural name, such as `pods`. KeyError when it is none of those that the tests use.
    """
    parts = [_PREFIXES[resource]]
    if namespace is not None:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource)
    parts += [quote(name, safe="")] if name is not None else []
    parts += [subresource] if subresource else []
    return "/".join(parts) + (f"?{urlencode(query)}" if query else "")
