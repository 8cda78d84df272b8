"""The operator's calls to the API server: lists, and all writes. The watches are in `informer`.

Each call has a deadline. It raises KubeError if the server refused, or KubeUnknown if there was no answer. A patch
names the UID or the resourceVersion of the object that was decided on, so it cannot change a later object of the same
name: the server answers 409 then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from leasehold.base.logs import escape
from leasehold.kube.access import Access, AccessError
from leasehold.kube.call import Body, KubeCall, KubeError, KubeFailure, KubeUnknown
from leasehold.lock.kube_names import API_VERSION, CANARY, CANARY_VALUE, KIND, locks_path
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.watch.pod_facts import label_patch
from leasehold.operator.watch.transform import Kind, trim

__all__ = ["CANARY", "Access", "AccessError", "Kube", "KubeError", "KubeFailure", "KubeUnknown"]

_PATHS: Final[Mapping[Kind, str]] = {
    "Lock": locks_path(),
    "Pod": "/api/v1/pods",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
}
PAGE_OBJECTS: Final = 500
_NO_CRD: Final = "the CustomResourceDefinition of Locks is not installed; apply manifests/crd.yaml"
_LABEL_ATTEMPTS: Final = 3
_MAX_REASON_CHARACTERS: Final = 128
_MAX_MESSAGE_BYTES: Final = 1024
_EVENTS_PER_SECOND, _EVENT_BURST = 20.0, 200


class Labelling(Protocol):
    """A pod that should carry the leader's label, or stop carrying it."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def on(self) -> bool: ...


class Subject(Protocol):
    """The Lock that an event is about."""

    @property
    def name(self) -> LockName: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class EventText(Protocol):
    """The contents of an event. `reason` is one word in CamelCase."""

    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def warning(self) -> bool: ...
    @property
    def key(self) -> str: ...


class Kube:
    """The API server as seen by the operator's service account. For one event loop."""

    def __init__(self, call: KubeCall, clock: Callable[[], float], wall: Callable[[], datetime], instance: str) -> None:
        self._call = call
        self._wall = wall
        self._instance = instance
        self._event_limit = RateLimiter(_EVENTS_PER_SECOND, _EVENT_BURST, clock)
        self.events_dropped = 0

    @classmethod
    def open(
        cls,
        access: Access,
        *,
        clock: Callable[[], float],
        timeout: float = 10.0,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        instance: str = "",
    ) -> Kube:
        """A client with these credentials. A call takes at most `timeout` seconds; events name `instance`.

        `clock` gives monotonic seconds. No connection is made yet.
        """
        return cls(KubeCall(access, timeout), clock, wall, instance)

    async def close(self) -> None:
        """Close the connections."""
        await self._call.close()

    @property
    def call(self) -> KubeCall:
        """The calls themselves, for parts that have objects of their own."""
        return self._call

    # --- reads ---------------------------------------------------------------------------------------------

    async def cluster_uid(self) -> str:
        """The UID of the namespace kube-system, which identifies the cluster."""
        body = await self._call.get("/api/v1/namespaces/kube-system")
        return str(body["metadata"]["uid"])

    async def list_all(self, kind: Kind) -> list[Body]:
        """All objects of a kind in all namespaces, trimmed."""
        try:
            return await self._list(kind)
        except KubeError as error:
            if error.status != 410:  # the list took so long that its revision was compacted
                raise
        return await self._list(kind)

    async def list_locks(self) -> list[Body]:
        """All Locks, trimmed."""
        return await self.list_all("Lock")

    async def _list(self, kind: Kind) -> list[Body]:
        found: list[Body] = []
        query = {"limit": str(PAGE_OBJECTS)}
        while True:
            page = await self._page(kind, query)
            found += [trim(kind, body) for body in page.get("items") or ()]
            if not (following := (page.get("metadata") or {}).get("continue")):
                return found
            query["continue"] = following

    async def _page(self, kind: Kind, query: Mapping[str, str]) -> Body:
        try:
            return await self._call.get(_PATHS[kind], **query)
        except KubeError as error:
            if error.status == 404 and kind == "Lock":  # the server's own answer is not a sentence
                raise KubeError(404, _NO_CRD) from error
            raise

    # --- writes --------------------------------------------------------------------------------------------

    async def patch_status(self, name: LockName, uid: str, status: Mapping[str, Any]) -> Body:
        """Replace the status; the resulting Lock, trimmed. 409: it is another Lock of that name.

        A merge patch does not work: the API server ignores a UID in a merge patch of the status, measured with 1.36.
        """
        path = f"{_lock(name)}/status"
        return trim("Lock", await self._call.replace(path, uid, {"/status": dict(status)}))

    async def patch_finalizers(self, name: LockName, resource_version: str, finalizers: Iterable[str]) -> Body:
        """Replace the finalizers; the resulting Lock, trimmed. 409: the Lock has changed since."""
        metadata = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        return trim("Lock", await self._call.merge(_lock(name), {"metadata": metadata}))

    async def label_pod(self, name: LockName, label: Labelling) -> None:
        """Label a pod as a leader of this lock, or stop. Does nothing if the pod is gone or needs no change.

        Raises ValueError for a pod outside the lock's own namespace: a Lock must not label pods of others.
        """
        if label.namespace != name.namespace:
            raise ValueError(f"the pod {label.namespace}/{label.name} is not in the namespace of the lock {name}")
        for attempt in range(_LABEL_ATTEMPTS):
            try:
                await self._label_once(name, label)
            except KubeError as error:
                if error.status == 404:
                    return
                if error.status != 409 or attempt == _LABEL_ATTEMPTS - 1:
                    raise  # 409: a pod's status changes often, so read it again
            else:
                return

    async def _label_once(self, name: LockName, label: Labelling) -> None:
        path = f"/api/v1/namespaces/{label.namespace}/pods/{label.name}"
        body = await self._call.get(path)
        if body["metadata"]["uid"] == label.uid and (patch := label_patch(body, name.name, label.on)):
            await self._call.merge(path, patch)

    async def emit(self, lock: Subject, event: EventText) -> bool:
        """Create an event of the Lock; False if there were too many lately and this one was dropped."""
        if self._event_limit.reserve() > 0:
            self._event_limit.give_back()
            self.events_dropped += 1
            return False
        path = f"/api/v1/namespaces/{lock.name.namespace}/events"
        try:
            await self._call.create(path, self._event(lock, event))
        except KubeError as error:
            if error.status != 409 or not event.key:
                raise  # another replica, or this one before a restart, has emitted the same event
        return True

    async def touch_canary(self, namespace: str, value: str) -> str:
        """Change the canary's annotation to `value`; its new resourceVersion. Creates the canary if there is none."""
        name = LockName(namespace, CANARY)
        metadata: Body = {"annotations": {CANARY_VALUE: value}}
        try:
            written = await self._call.merge(_lock(name), {"metadata": metadata})
        except KubeError as error:
            if error.status != 404:
                raise
            metadata["name"] = CANARY
            body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"suspend": True}}
            written = await self._call.create(locks_path(namespace), body)
        return str(written["metadata"]["resourceVersion"])

    def _event(self, lock: Subject, event: EventText) -> Body:
        name = lock.name
        now = self._wall().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "metadata": {"name": _event_name(lock, event), "namespace": name.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": name.namespace,
                "name": name.name,
                "uid": lock.uid,
                "resourceVersion": lock.resource_version,
            },
            "reason": event.reason[:_MAX_REASON_CHARACTERS],
            "message": _cut(escape(event.message)),
            "type": "Warning" if event.warning else "Normal",
            "source": {"component": "leasehold-operator", "host": self._instance},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }


def _event_name(lock: Subject, event: EventText) -> str:
    """An event with a key has the same name whoever emits it, so there is one of it; names sort as things happened."""
    key = f"{event.key}.{lock.uid[:8]}" if event.key else uuid.uuid4().hex
    return f"{lock.name.name[:180].rstrip('-.')}.{key}"


def _lock(name: LockName) -> str:
    return locks_path(name.namespace, name.name)


def _cut(text: str) -> str:
    """The text, cut to 1024 bytes: the API server counts bytes."""
    raw = text.encode(errors="replace")
    return text if len(raw) <= _MAX_MESSAGE_BYTES else raw[: _MAX_MESSAGE_BYTES - 3].decode(errors="ignore") + "…"
