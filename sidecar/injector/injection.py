"""From a pod to the patch that gives it its sidecar, or to the sentence that says why not. Pure.

The sidecar comes first among the init containers: native sidecars and init containers start in their order, so whatever
the pod has of its own may ask it. That it starts long before the app costs nothing: without the app's health it does
not join, and a pod without a health check holds the lock for its init containers, too.

A pod that has been given one is left as it is, so the API server may ask again after other webhooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sidecar import __version__
from sidecar.injector import asked as reading
from sidecar.injector.asked import INJECTED, PREFIX, Asked, Refused
from sidecar.injector.container import AUTH, NAME, STATE, TLS, Sidecar, container, volumes

Patch = list[dict[str, Any]]
"""A JSON patch, RFC 6902."""
OPT_IN: Final = f"{PREFIX}injection"
_OPTED_IN: Final = "enabled"


def is_injected(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has been given its sidecar already."""
    annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    return INJECTED in annotations and NAME in _names(pod["spec"].get("initContainers"))


def patch(pod: Mapping[str, Any], asked: Asked, sidecar: Sidecar) -> Patch:
    """What is to be changed. Raises Refused."""
    spec: Mapping[str, Any] = pod["spec"]
    _check(pod, asked)
    made = container(asked, sidecar, on_host=bool(spec.get("hostNetwork")))
    return [
        *_annotate(pod["metadata"].get("annotations") or {}),
        *_insert("/spec/initContainers", spec.get("initContainers"), [made], "0"),
        *_insert("/spec/volumes", spec.get("volumes"), volumes(asked, sidecar), "-"),
    ]


def check_opted_in(namespace: str, labels: Mapping[str, str]) -> None:
    """Raises Refused for a namespace that has not opted in."""
    if labels.get(OPT_IN) != _OPTED_IN:
        raise Refused(
            f"the namespace {namespace} has not opted in: kubectl label namespace {namespace} {OPT_IN}={_OPTED_IN}"
        )


def asks(pod: Mapping[str, Any], namespace: str, *, require_lock: bool) -> Asked:
    """What a pod asks for that has no sidecar yet. Raises Refused."""
    if INJECTED in (pod["metadata"].get("annotations") or {}):
        raise Refused(f"the annotation {INJECTED} is the injector's to set: take it away")
    return reading.read(pod, namespace, require_lock=require_lock)


# --- what stands in the way ---------------------------------------------------------------------------------


def _check(pod: Mapping[str, Any], asked: Asked) -> None:
    spec: Mapping[str, Any] = pod["spec"]
    if (spec.get("os") or {}).get("name") == "windows":
        raise Refused("the pod is for Windows, and the sidecar for Linux: take the label away")
    everything = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    if NAME in _names(everything):
        raise Refused(
            f"the pod has a container named {NAME} already: rename it, or take the label away if it is the sidecar"
        )
    for volume in _names(spec.get("volumes")):
        if volume in (STATE, TLS, AUTH):
            raise Refused(f"the pod has a volume named {volume} already, as the sidecar's is: rename it")
    for port, owner in _ports(everything):
        _check_port(port, owner, asked)


def _check_port(port: Mapping[str, Any], owner: str, asked: Asked) -> None:
    if port.get("name") == NAME:
        raise Refused(f"the container {owner} has a port named {NAME}, as the sidecar's is: rename it")
    for annotation, number in (("port", asked.port), ("control-port", asked.control_port)):
        if port.get("containerPort") == number and port.get("protocol", "TCP") == "TCP":
            raise Refused(
                f"the container {owner} uses the port {number}, as the sidecar would: "
                f"set the annotation {PREFIX}{annotation} to another"
            )


def _ports(containers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for each in containers:
        for port in each.get("ports") or ():
            yield port, str(each.get("name"))


def _names(objects: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return [str(each.get("name")) for each in objects or ()]


# --- JSON patch ---------------------------------------------------------------------------------------------


def _annotate(annotations: Mapping[str, str]) -> Patch:
    """There are some: the lock's name is one."""
    assert annotations
    return [{"op": "add", "path": f"/metadata/annotations/{_pointer(INJECTED)}", "value": __version__}]


def _insert(path: str, present: Sequence[object] | None, new: Sequence[object], at: str) -> Patch:
    if not present:
        return [{"op": "add", "path": path, "value": list(new)}]
    return [{"op": "add", "path": f"{path}/{at}", "value": each} for each in new]


def _pointer(name: str) -> str:
    """A name within a JSON pointer, RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
