"""Kubernetes objects, read and written as some user. Bodies are the dicts of the API's JSON."""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from tests.cluster.rest import ApiError, Rest, path_of
from tests.servers import PATIENCE, wait_for

Object = dict[str, Any]


class Objects:
    """What `rest` may do with objects; resources go by their plural names, such as `pods` and `locks`."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None when there is none."""
        try:
            found: Object = self.rest.call("GET", path_of(resource, name, namespace))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None
        return found

    def list(self, resource: str, namespace: str | None = None, *, labels: str = "") -> list[Object]:
        """All objects, of one namespace or of all; `labels` is a label selector."""
        found: list[Object] = self.rest.call("GET", path_of(resource, None, namespace, labelSelector=labels))["items"]
        return found

    def create(self, resource: str, body: Mapping[str, Any], namespace: str | None = None) -> Object:
        """Create it; ApiError with the reason AlreadyExists when there is one of that name."""
        made: Object = self.rest.call("POST", path_of(resource, None, namespace), body)
        return made

    def patch(
        self,
        resource: str,
        name: str,
        body: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Object:
        """Merge `body` into it (a JSON merge patch: null removes a field, lists are replaced)."""
        path = path_of(resource, name, namespace, subresource=subresource)
        patched: Object = self.rest.call("PATCH", path, body, content_type="application/merge-patch+json")
        return patched

    def delete(self, resource: str, name: str, namespace: str | None = None, *, now: bool = False) -> None:
        """Delete it, if it is there; `now` gives a pod no time to end, as no kubelet is there to end it."""
        body = {"gracePeriodSeconds": 0} if now else {}
        with _unless_gone():
            self.rest.call("DELETE", path_of(resource, name, namespace), body)

    def wait(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        until: Callable[[Object], object] = lambda _: True,
        what: str = "as expected",
        timeout: float = PATIENCE,
    ) -> Object:
        """The object once it is there and `until(object)` is true; ProcessFailed after `timeout` seconds."""
        seen: Object = {}

        def reached() -> bool:
            seen.clear()
            seen.update(self.get(resource, name, namespace) or {})
            return bool(seen) and bool(until(seen))

        wait_for(reached, f"{resource} {name} to be {what}", timeout)
        return seen

    def wait_gone(self, resource: str, name: str, namespace: str | None = None, *, timeout: float = PATIENCE) -> None:
        """Wait until there is no such object."""
        wait_for(lambda: self.get(resource, name, namespace) is None, f"{resource} {name} to be gone", timeout)

    # --- what tests often need ------------------------------------------------------------------------------

    def make_namespace(self, prefix: str = "test") -> str:
        """A fresh namespace whose pods can use the service account `default`; its name."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.create("namespaces", {"metadata": {"name": name}})
        with contextlib.suppress(ApiError):  # a controller manager may have been faster
            self.create("serviceaccounts", {"metadata": {"name": "default"}}, name)
        return name

    def remove_namespace(self, name: str) -> None:
        """Remove its Locks, whose operator may be gone, at once, and let the controllers remove the rest."""
        with _unless_gone():  # without the CRD there are no Locks
            for lock in self.list("locks", name):
                self._remove_now("locks", lock["metadata"]["name"], name)
        for pod in self.list("pods", name):
            self.delete("pods", pod["metadata"]["name"], name, now=True)
        self.delete("namespaces", name)

    def _remove_now(self, resource: str, name: str, namespace: str) -> None:
        self.delete(resource, name, namespace)
        with _unless_gone():
            self.patch(resource, name, {"metadata": {"finalizers": None}}, namespace)

    def make_pod(
        self, name: str, namespace: str, *, owner: Object | None = None, node: str = "", **metadata: Any
    ) -> Object:
        """A pod that nothing will ever run; `set_pod` plays the kubelet. `owner` is its controller.

        On a `node`, which needs not exist, it is Terminating from a `delete` until a `delete` with `now`, unless it
        has ended before; without a node it is gone at once.
        """
        if owner is not None:
            metadata["ownerReferences"] = [controlled_by(owner)]
        spec = {"containers": [{"name": "app", "image": "none"}]} | ({"nodeName": node} if node else {})
        return self.create("pods", {"metadata": {"name": name, **metadata}, "spec": spec}, namespace)

    def set_pod(self, name: str, namespace: str, phase: str, *, ready: bool | None = None, **status: Any) -> Object:
        """Set a pod's phase, such as Running, Succeeded or Failed; ready when it runs unless told otherwise.

        `status` are more fields of its status.
        """
        is_ready = phase == "Running" if ready is None else ready
        status |= {"phase": phase, "conditions": [{"type": "Ready", "status": str(is_ready)}]}
        return self.patch("pods", name, {"status": status}, namespace, subresource="status")


def controlled_by(owner: Object) -> Object:
    """The owner reference of an object that `owner`, as the API server returned it, controls."""
    fields = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    return fields | {key: owner["metadata"][key] for key in ("name", "uid")}


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
