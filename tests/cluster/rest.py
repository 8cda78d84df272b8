"""Calls to the API server by plain HTTP: a test's own view of it, with no client library between.

One call costs a few milliseconds, where a run of kubectl costs a tenth of a second of CPU. A question goes over a
connection that is kept, since TLS's handshake costs both sides more than the answer does, and tests that wait for
something ask again and again. What changes something has a connection of its own: were a kept one closed just then,
nobody would know whether the change came about.
"""

import functools
import http.client
import json
import select
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
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
        self._ssl = _trusting(str(ca))
        self._kept: deque[http.client.HTTPSConnection] = deque()
        weakref.finalize(self, _close, self._kept)

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
        request = _Request(
            method,
            path,
            json.dumps(body) if body is not None else None,
            {"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
        )
        if method == "GET" and (kept := self._take()):
            try:
                return self._exchange(kept, request, timeout)
            except TimeoutError:
                raise
            except OSError:  # it was closed as we asked, which says nothing of a new one
                pass
        host = self.url.removeprefix("https://")
        return self._exchange(http.client.HTTPSConnection(host, context=self._ssl, timeout=timeout), request, timeout)

    def _take(self) -> http.client.HTTPSConnection | None:
        """A kept connection that the server has not closed, if there is one: each is in one thread's use at a time."""
        while self._kept:
            try:
                connection = self._kept.pop()
            except IndexError:  # another thread has it
                break
            if connection.sock is not None and not _has_come(connection.sock):
                return connection
            connection.close()
        return None

    def _exchange(self, connection: http.client.HTTPSConnection, request: "_Request", timeout: float) -> str:
        reusable = False
        try:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            connection.request(*request)
            answer = connection.getresponse()
            text = answer.read().decode()
            self.warnings = [_warning(each) for each in answer.headers.get_all("Warning", ())]
            reusable = request.method == "GET" and connection.sock is not None
        except http.client.HTTPException as error:  # it was killed while it answered
            raise OSError(f"no answer from {self.url}: {error!r}") from error
        finally:
            if reusable:
                self._kept.append(connection)
            else:
                connection.close()
        if answer.status >= 300:
            raise _refusal(answer.status, text)
        return text


class _Request(NamedTuple):
    """What http.client's `request` takes."""

    method: str
    path: str
    body: str | None
    headers: Mapping[str, str]


def _has_come(idle: socket.socket) -> bool:
    """Whether there is anything to read where nothing was asked: then it is the end."""
    readable = select.poll()
    readable.register(idle, select.POLLIN)
    return bool(readable.poll(0))


@functools.cache
def _trusting(ca: str) -> ssl.SSLContext:
    """What trusts that authority: one for all users of an API server, since it takes milliseconds to make."""
    return ssl.create_default_context(cafile=ca)


def _close(kept: "deque[http.client.HTTPSConnection]") -> None:
    """Nobody can ask over these any more."""
    for connection in kept:
        connection.close()


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
