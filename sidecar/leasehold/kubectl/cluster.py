"""The API server, by the official client's synchronous part.

Requests are made at the level of paths and JSON: a Lock has no class there, and errors must become sentences anyway.
Nothing is tried again here, neither by us nor by urllib3: a change whose outcome is unknown must be read again first.
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

from leasehold.kubectl.errors import Doing, UnreachableError, explain
from leasehold.kubectl.kubeconfig import configure
from leasehold.kubectl.lock import GROUP, PLURAL, VERSION, LockView, number, printable, table, text
from leasehold.kubectl.place import ClusterRef
from leasehold.lock.names import LockName

_PAGE: Final = 500
_MOST_EVENTS: Final = 500
_SLACK: Final = 5.0
# The client turns errors of TLS into its own; those that tell of answers are not raised at the level that we use.
_NETWORK_ERRORS: Final = (urllib3.exceptions.HTTPError, HTTPException, OSError, client.ApiException)


class _Lines(Protocol):
    """A body as it comes, line by line."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Answer(Protocol):
    """What is used of the client's answer."""

    status: int
    headers: Mapping[str, str]
    response: _Lines

    def read(self) -> bytes: ...


class Cluster:
    """One cluster. Every method raises ClusterError, or one of its kinds, with the sentence for the user."""

    def __init__(self, place: ClusterRef, request_timeout: float) -> None:
        """Read the configuration; no request is made yet. A `request_timeout` of 0 is none."""
        self._timeout = request_timeout or None
        configuration, self.namespace = configure(place)
        self.server = f"The API server at {printable(str(configuration.host))}"
        self._client = client.ApiClient(configuration)

    def get(self, lock: LockName) -> LockView:
        """The Lock as it is now. NotThereError when there is none."""
        answer = self._ask("GET", _path(lock.namespace, lock.name), Doing("get", f"Lock {lock}", self.server, lock))
        return LockView(answer)

    def locks(self, namespace: str) -> list[LockView]:
        """All Locks of a namespace, or of all namespaces when it is empty."""
        items, _ = self._pages(_path(namespace), (), Doing("list", f"Locks{_in(namespace)}", self.server))
        return [LockView(item) for item in items]

    def find(self, lock: LockName) -> tuple[LockView | None, str]:
        """The Lock, None when there is none, and the point in history from which `watch` tells what comes after."""
        query = (("fieldSelector", f"metadata.name={lock.name}"),)
        doing = Doing("list", f"Locks{_in(lock.namespace)}", self.server)
        items, version = self._pages(_path(lock.namespace), query, doing)
        return (LockView(items[0]) if items else None), version

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        """Each state of the Lock after that point, None once it is gone, for about so many seconds.

        Ends without error when they are over. OutdatedError: find it again. UnreachableError: the connection is lost.
        """
        query = [
            ("watch", "true"),
            ("fieldSelector", f"metadata.name={lock.name}"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(max(1, math.ceil(seconds)))),
        ]
        doing = Doing("watch", f"Lock {lock}", self.server)
        with _translated(self.server):
            answer = self._send("GET", _path(lock.namespace), query, None, seconds + _SLACK)
            if answer.status != 200:
                raise explain(answer.status, answer.read(), doing)
            with contextlib.closing(answer.response) as lines:
                yield from _states(lines, doing)

    def change(self, seen: LockView, spec: Mapping[str, Any]) -> LockView:
        """Set fields of the spec, if the Lock still is what was seen. ConflictError: it is not, nothing was changed.

        UnreachableError: it may have been changed or not.
        """
        lock = seen.name
        body = {"metadata": {"resourceVersion": seen.resource_version, "uid": seen.uid}, "spec": dict(spec)}
        doing = Doing("patch", f"Lock {lock}", self.server, lock)
        return LockView(self._ask("PATCH", _path(lock.namespace, lock.name), doing, body=body))

    def events(self, view: LockView) -> Sequence[Mapping[str, Any]]:
        """The Events about this very Lock, as the API server keeps them (an hour, usually)."""
        namespace = view.name.namespace
        query = (("fieldSelector", f"involvedObject.uid={view.uid}"),)
        doing = Doing("list", f"Events in the namespace {namespace}", self.server)
        return self._pages(f"/api/v1/namespaces/{namespace}/events", query, doing, most=_MOST_EVENTS)[0]

    def namespaces(self) -> list[str]:
        """The names of the cluster's namespaces, the first of them where there are very many."""
        doing = Doing("list", "namespaces", self.server)
        items, _ = self._pages("/api/v1/namespaces", (), doing, most=_PAGE)
        return [text(table(item, "metadata"), "name") for item in items]

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
            page = [*query, ("limit", str(_PAGE)), *([("continue", more)] if more else [])]
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
                time.sleep(pause)  # it did nothing, and asks for patience: it is busy, or sets Locks up
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
            headers["Content-Type"] = "application/merge-patch+json"
            query = [*query, ("fieldManager", "kubectl-leasehold"), ("fieldValidation", "Strict")]
        made = self._client.param_serialize(
            method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        return cast(_Answer, self._client.call_api(*made, _request_timeout=timeout))


def _states(lines: Iterable[bytes], doing: Doing) -> Iterator[LockView | None]:
    """What a watch tells, event by event."""
    for line in lines:
        event = _object(line)
        seen = table(event, "object")
        if event.get("type") == "ERROR":
            raise explain(number(seen, "code") or 500, json.dumps(seen).encode(), doing)
        yield None if event.get("type") == "DELETED" else LockView(seen)


def _pause(answer: _Answer) -> float:
    """Seconds after which to ask again, by the answer's Retry-After; one when it does not say."""
    said = answer.headers.get("Retry-After", "")
    return min(max(float(said), 0.1), 60.0) if said.isascii() and said.isdigit() else 1.0


def _path(namespace: str, name: str = "") -> str:
    """The path of one Lock, of a namespace's, or of all. Both names were checked: neither can hold a slash."""
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{where}/{PLURAL}" + (f"/{name}" if name else "")


def _in(namespace: str) -> str:
    return f" in the namespace {namespace}" if namespace else " in all namespaces"


def _object(raw: bytes) -> Mapping[str, Any]:
    """An answer as JSON. UnreachableError when it is none: then this is no API server, or its answer was cut off."""
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
    """The cause at the bottom, without the addresses of objects that urllib3 puts before it."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its host name cannot be resolved"
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)  # a time-out by its class, but none
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError) and not refused:
        return "it did not answer in time"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None and deeper is not cause:
        cause = deeper
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({printable(cause.verify_message)[:200].rstrip('.')})"
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return printable(reason or type(cause).__name__)[:300].rstrip(".").lower()
