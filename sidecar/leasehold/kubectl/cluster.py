"""The API server, by way of kubectl.

Requests use paths and JSON. Failures are not retried here: after a change with an unknown outcome, the Lock must be
read first. Each request has a deadline: `--request-timeout`, unless the user set that to zero.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from leasehold.base.terminal import one_line
from leasehold.kubectl.appliers import FIELD_MANAGER
from leasehold.kubectl.cluster_ref import ClusterRef, Login
from leasehold.kubectl.errors import ClusterError, Doing, UnreachableError, explain
from leasehold.kubectl.link import Link
from leasehold.kubectl.lock import LockView, number, table, text
from leasehold.kubectl.unix_http import Answer
from leasehold.lock.kube_names import CANARY, locks_path
from leasehold.lock.names import LockName

_PAGE_ITEMS: Final = 500
_MOST_EVENTS: Final = 500
_SHOWN_BYTES: Final = 1000
_WATCH_MARGIN_SECONDS: Final = 5.0


class Cluster:
    """One cluster. Every method raises a ClusterError whose text is a sentence for the user."""

    def __init__(self, ref: ClusterRef, request_timeout: float, login: Login = Login.PATIENT) -> None:
        """Start kubectl, and wait for a patient login, if there is one. A `request_timeout` of 0 means no limit."""
        self._timeout = request_timeout or None
        self._link = Link(ref, login)
        self.namespace, self.server = self._link.namespace, self._link.server
        self.warnings = self._link.warnings

    def get(self, lock: LockName) -> LockView:
        """The Lock as it is now. Raises NotThereError if there is none."""
        doing = Doing("get", f"Lock {lock}", self.server, lock)
        return LockView(self._ask("GET", locks_path(lock.namespace, lock.name), doing))

    def locks(self, namespace: str) -> list[LockView]:
        """All Locks of a namespace, or of all namespaces if it is empty."""
        return self.listed(namespace)[0]

    def listed(self, namespace: str) -> tuple[list[LockView], str]:
        """The same, and the resource version to `follow` from."""
        doing = Doing("list", f"Locks{_in(namespace)}", self.server)
        items, version = self._pages(locks_path(namespace), (), doing)
        return [LockView(item) for item in items], version

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
        query = (("fieldSelector", f"metadata.name={lock.name}"),)
        doing = Doing("watch", f"Lock {lock}", self.server)
        for seen, is_deleted in self._watch(locks_path(lock.namespace), query, version, seconds, doing):
            yield None if is_deleted else seen

    def follow(self, namespace: str, version: str, seconds: float) -> Iterator[tuple[LockView, bool]]:
        """Each Lock of a namespace, or of all if it is empty, as it changes, and whether it was deleted by that.

        Ends and raises as `watch` does.
        """
        doing = Doing("watch", f"Locks{_in(namespace)}", self.server)
        return self._watch(locks_path(namespace), (), version, seconds, doing)

    def _watch(
        self, path: str, query: Sequence[tuple[str, str]], version: str, seconds: float, doing: Doing
    ) -> Iterator[tuple[LockView, bool]]:
        limits = [("resourceVersion", version), ("timeoutSeconds", str(max(1, math.ceil(seconds))))]
        asked = [("watch", "true"), *query, *limits]
        answer = self._link.send("GET", path, asked, None, seconds + _WATCH_MARGIN_SECONDS)
        with contextlib.closing(answer), self._link.translated():
            if answer.status != 200:
                raise explain(answer.status, answer.read(), doing)
            yield from _states(answer.lines(), doing)

    def change(self, seen: LockView, spec: Mapping[str, Any]) -> LockView:
        """Set fields of the spec, if the Lock is still as seen; returns the Lock after that.

        Raises ConflictError if it is not, so nothing was changed; UnreachableError if it may have been changed or not.
        """
        lock = seen.name
        body = {"metadata": {"resourceVersion": seen.resource_version, "uid": seen.uid}, "spec": dict(spec)}
        doing = Doing("patch", f"Lock {lock}", self.server, lock)
        return LockView(self._ask("PATCH", locks_path(lock.namespace, lock.name), doing, body=body))

    def manage(self, seen: LockView, managers: Sequence[Mapping[str, Any]]) -> None:
        """Set `managedFields`, if the Lock is still as seen. Raises ConflictError if it is not."""
        lock = seen.name
        metadata = {"resourceVersion": seen.resource_version, "uid": seen.uid, "managedFields": list(managers)}
        doing = Doing("patch", f"Lock {lock}", self.server, lock)
        self._ask("PATCH", locks_path(lock.namespace, lock.name), doing, body={"metadata": metadata})

    def events(self, view: LockView) -> Sequence[Mapping[str, Any]]:
        """The Events about this Lock, as long as the API server keeps them (usually an hour)."""
        namespace = view.name.namespace
        query = (("fieldSelector", f"involvedObject.uid={view.uid}"),)
        doing = Doing("list", f"Events in the namespace {namespace}", self.server)
        return self._pages(f"/api/v1/namespaces/{namespace}/events", query, doing, most=_MOST_EVENTS)[0]

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
        answer, raw = self._answer("GET", path)
        if answer.status not in (200, 404):
            raise explain(answer.status, raw, doing)
        return answer.status == 200

    def allowed(self, user: str, group: str, resource: str, verb: str) -> bool:
        """Whether a user may do this in all namespaces. `resource` may be a part of one, such as locks/status."""
        whole, _, part = resource.partition("/")
        attributes = {"group": group, "resource": whole, "subresource": part, "verb": verb}
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
        answer, raw = self._answer("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}")
        if answer.status in (401, 403, 404):
            raise explain(answer.status, raw, doing)
        return answer.status, one_line(raw[:_SHOWN_BYTES].decode(errors="replace"))

    def close(self) -> None:
        """End kubectl."""
        self._link.close()

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
        answer, raw = self._answer(method, path, query, body)
        while answer.status == 429 and time.monotonic() + (pause := _pause(answer)) < until:
            # Nothing was changed: the server is busy, or not ready for Locks yet.
            time.sleep(pause)
            answer, raw = self._answer(method, path, query, body)
        if not 200 <= answer.status <= 299:
            raise explain(answer.status, raw, doing)
        return _object(raw)

    def _answer(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> tuple[Answer, bytes]:
        """The answer and its body, whatever its status."""
        if method == "PATCH":
            query = [*query, ("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        answer = self._link.send(method, path, query, body, self._timeout)
        with contextlib.closing(answer), self._link.translated():
            return answer, answer.read()


def _groups(user: str) -> list[str]:
    """Those that the API server gives a service account."""
    namespace = user.split(":")[2]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _states(lines: Iterable[bytes], doing: Doing) -> Iterator[tuple[LockView, bool]]:
    """The states in a watch's events, and whether each is a deletion."""
    for line in lines:
        event = _object(line)
        seen = table(event, "object")
        if event.get("type") == "ERROR":
            raise explain(number(seen, "code") or 500, json.dumps(seen).encode(), doing)
        yield LockView(seen), event.get("type") == "DELETED"


def _pause(answer: Answer) -> float:
    """Seconds until the next try, from the answer's Retry-After; one if there is none."""
    text = answer.header("retry-after")
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
