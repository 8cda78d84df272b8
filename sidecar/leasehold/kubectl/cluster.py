"""The API server, through the synchronous part of the official client.

Requests use paths and JSON: the client has no class for Locks, and errors must become sentences anyway. Failures are
not retried here, neither by us nor by urllib3: after a change with an unknown outcome, the Lock must be read first.
Each request has a deadline: `--request-timeout`, unless the user set that to zero.
"""

from __future__ import annotations

import contextlib
import json
import math
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.client import HTTPException
from typing import Any, Final, Protocol, cast

import urllib3.exceptions
from kubernetes import client

from leasehold.base.terminal import one_line
from leasehold.kube.api import CANARY, locks_path
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.errors import ClusterError, Doing, UnreachableError, explain
from leasehold.kubectl.kubeconfig import configure
from leasehold.kubectl.lock import LockView, number, table, text
from leasehold.lock.names import LockName

_PAGE_ITEMS: Final = 500
_MOST_EVENTS: Final = 500
_SHOWN_BYTES: Final = 1000
_WATCH_MARGIN_SECONDS: Final = 5.0
# The client turns TLS errors into its own ApiException; at the level that we use, it raises none for answers.
_NETWORK_ERRORS: Final = (urllib3.exceptions.HTTPError, HTTPException, OSError, client.ApiException)


class _Lines(Protocol):
    """A response body, line by line as it arrives."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Answer(Protocol):
    """The parts of the client's response that are used."""

    status: int
    headers: Mapping[str, str]
    response: _Lines

    def read(self) -> bytes: ...


class Cluster:
    """One cluster. Every method raises a ClusterError whose text is a sentence for the user."""

    def __init__(self, ref: ClusterRef, request_timeout: float) -> None:
        """Read the configuration, without any request. A `request_timeout` of 0 means no limit."""
        self._timeout = request_timeout or None
        configuration, self.namespace = configure(ref)
        self.server = f"The API server at {one_line(str(configuration.host))}"
        self._client = client.ApiClient(configuration)

    def get(self, lock: LockName) -> LockView:
        """The Lock as it is now. Raises NotThereError if there is none."""
        doing = Doing("get", f"Lock {lock}", self.server, lock)
        return LockView(self._ask("GET", locks_path(lock.namespace, lock.name), doing))

    def locks(self, namespace: str) -> list[LockView]:
        """All Locks of a namespace, or of all namespaces if it is empty."""
        items, _ = self._pages(locks_path(namespace), (), Doing("list", f"Locks{_in(namespace)}", self.server))
        return [LockView(item) for item in items]

    def find(self, lock: LockName) -> tuple[LockView | None, str]:
        """The Lock, None if there is none, and the resource version for a `watch` from here."""
        query = (("fieldSelector", f"metadata.name={lock.name}"),)
        doing = Doing("list", f"Locks{_in(lock.namespace)}", self.server)
        items, version = self._pages(locks_path(lock.namespace), query, doing)
        return (LockView(items[0]) if items else None), version

    def canaries(self) -> list[LockView]:
        """The operators' canaries; none if this user must not list the Locks of all namespaces."""
        query = (("fieldSelector", f"metadata.name={CANARY}"),)
        try:
            found, _ = self._pages(locks_path(), query, Doing("list", "Locks in all namespaces", self.server))
        except ClusterError:  # a hint less, and no reason to show nothing
            return []
        return [LockView(item) for item in found]

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        """Each state of the Lock after that version, None once it is deleted, for about so many seconds.

        Ends without error after that time. Raises OutdatedError if it must be found again, UnreachableError if the
        connection is lost.
        """
        query = [
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={lock.name}"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(max(1, math.ceil(seconds)))),
        ]
        doing = Doing("watch", f"Lock {lock}", self.server)
        with _translated(self.server):
            answer = self._send("GET", locks_path(lock.namespace), query, None, seconds + _WATCH_MARGIN_SECONDS)
            if answer.status != 200:
                raise explain(answer.status, answer.read(), doing)
            with contextlib.closing(answer.response) as lines:
                yield from _states(lines, doing)

    def change(self, seen: LockView, spec: Mapping[str, Any]) -> LockView:
        """Set fields of the spec, if the Lock is still as seen; returns the Lock after that.

        Raises ConflictError if it is not, so nothing was changed; UnreachableError if it may have been changed or not.
        """
        lock = seen.name
        body = {"metadata": {"resourceVersion": seen.resource_version, "uid": seen.uid}, "spec": dict(spec)}
        doing = Doing("patch", f"Lock {lock}", self.server, lock)
        return LockView(self._ask("PATCH", locks_path(lock.namespace, lock.name), doing, body=body))

    def events(self, view: LockView) -> Sequence[Mapping[str, Any]]:
        """The Events about this Lock, as long as the API server keeps them (usually an hour)."""
        namespace = view.name.namespace
        query = (("fieldSelector", f"involvedObject.uid={view.uid}"),)
        doing = Doing("list", f"Events in the namespace {namespace}", self.server)
        return self._pages(f"/api/v1/namespaces/{namespace}/events", query, doing, most=_MOST_EVENTS)[0]

    def namespaces(self) -> list[str]:
        """The names of the cluster's namespaces; only the first pages if there are very many."""
        doing = Doing("list", "namespaces", self.server)
        items, _ = self._pages("/api/v1/namespaces", (), doing, most=_PAGE_ITEMS)
        return [text(table(item, "metadata"), "name") for item in items]

    def objects(self, path: str, what: str, labels: str = "") -> list[Mapping[str, Any]]:
        """All objects at a list's path, with these labels if any are given; `what` names them in errors."""
        query = (("labelSelector", labels),) if labels else ()
        return self._pages(path, query, Doing("list", what, self.server))[0]

    def read(self, path: str, what: str) -> Mapping[str, Any]:
        """What is at this path; `what` names it in errors."""
        return self._ask("GET", path, Doing("get", what, self.server))

    def exists(self, path: str) -> bool:
        """Whether there is an object at this path. Nothing of its content is kept."""
        doing = Doing("get", path.rpartition("/")[2], self.server)
        with _translated(self.server):
            answer = self._send("GET", path, (), None, self._timeout)
            raw = answer.read()
        if answer.status not in (200, 404):
            raise explain(answer.status, raw, doing)
        return answer.status == 200

    def allowed(self, user: str, group: str, resource: str, verb: str) -> bool:
        """Whether a user may do this in all namespaces."""
        attributes = {"group": group, "resource": resource, "verb": verb}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": _groups(user), "resourceAttributes": attributes},
        }
        doing = Doing("create", "SubjectAccessReviews", self.server)
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return table(self._ask("POST", path, doing, body=body), "status").get("allowed") is True

    def ask_pod(self, namespace: str, pod: str, port: int, path: str) -> tuple[int, str]:
        """A pod's answer to a GET, by way of the API server: its status, and the beginning of its text."""
        doing = Doing("get", f"pods/proxy in the namespace {namespace}", self.server)
        with _translated(self.server):
            answer = self._send(
                "GET", f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}", (), None, self._timeout
            )
            raw = answer.read()
        if answer.status in (401, 403, 404):
            raise explain(answer.status, raw, doing)
        return answer.status, one_line(raw[:_SHOWN_BYTES].decode(errors="replace"))

    def close(self) -> None:
        """Close all connections."""
        cast(Any, self._client).close()

    def _pages(
        self, path: str, query: Sequence[tuple[str, str]], doing: Doing, most: float = math.inf
    ) -> tuple[list[Mapping[str, Any]], str]:
        """All items of a list, read in pages, and the list's resource version."""
        items: list[Mapping[str, Any]] = []
        more = ""
        while True:
            page = [*query, ("limit", str(_PAGE_ITEMS)), *([("continue", more)] if more else [])]
            answer = self._ask("GET", path, doing, query=page)
            items += answer.get("items") or []
            more = text(table(answer, "metadata"), "continue")
            if not more or len(items) >= most:
                return items, text(table(answer, "metadata"), "resourceVersion")

    def _ask(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        until = time.monotonic() + (self._timeout or math.inf)
        with _translated(self.server):
            answer = self._send(method, path, query, body, self._timeout)
            raw = answer.read()
            while answer.status == 429 and time.monotonic() + (pause := _pause(answer)) < until:
                # Nothing was changed: the server is busy, or not ready for Locks yet. urllib3.Retry knows Retry-After,
                # but no deadline: a long pause, or many short ones, would outlast --request-timeout.
                time.sleep(pause)
                answer = self._send(method, path, query, body, self._timeout)
                raw = answer.read()
        if not 200 <= answer.status <= 299:
            raise explain(answer.status, raw, doing)
        return _object(raw)

    def _send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> _Answer:
        headers = {"Accept": "application/json", "User-Agent": "kubectl-leasehold"}
        if body is not None:
            patch = method == "PATCH"
            headers["Content-Type"] = "application/merge-patch+json" if patch else "application/json"
            query = [*query, ("fieldManager", "kubectl-leasehold"), ("fieldValidation", "Strict")] if patch else query
        made = self._client.param_serialize(
            method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        return cast(_Answer, self._client.call_api(*made, _request_timeout=timeout))


def _groups(user: str) -> list[str]:
    """Those that the API server gives a service account."""
    namespace = user.split(":")[2]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _states(lines: Iterable[bytes], doing: Doing) -> Iterator[LockView | None]:
    """The states in a watch's events."""
    for line in lines:
        event = _object(line)
        seen = table(event, "object")
        if event.get("type") == "ERROR":
            raise explain(number(seen, "code") or 500, json.dumps(seen).encode(), doing)
        yield None if event.get("type") == "DELETED" else LockView(seen)


def _pause(answer: _Answer) -> float:
    """Seconds until the next try, from the answer's Retry-After; one if there is none."""
    text = answer.headers.get("Retry-After", "")
    return min(max(float(text), 0.1), 60.0) if text.isascii() and text.isdigit() else 1.0


def _in(namespace: str) -> str:
    return f" in the namespace {namespace}" if namespace else " in all namespaces"


def _object(raw: bytes) -> Mapping[str, Any]:
    """An answer as JSON. Raises UnreachableError otherwise: this is no API server, or its answer was cut off."""
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise UnreachableError("The answer is not that of a Kubernetes API server; check the server in the kubeconfig.")
    return read


@contextlib.contextmanager
def _translated(server: str) -> Iterator[None]:
    """Turns the network's errors into UnreachableError."""
    try:
        yield
    except _NETWORK_ERRORS as error:
        raise UnreachableError(f"{server} cannot be reached: {_why(error)}.") from error


def _why(error: BaseException) -> str:
    """The root cause, without the object addresses that urllib3 puts before it."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its host name cannot be resolved"
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # a time-out by its class only
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError) and not refused:
        return "it did not answer in time"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None and deeper is not cause:
        cause = deeper
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({one_line(cause.verify_message)[:200].rstrip('.')})"
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return one_line(reason or type(cause).__name__)[:300].rstrip(".").lower()
