"""From a pod to the patch that gives it its sidecar, or to the sentence that says why not. Pure.

The sidecar comes first among the init containers: native sidecars and init containers start in their order, so whatever
the pod has of its own may ask it. That it starts long before the app costs nothing: without the app's health it does
not join, and a pod without a health check holds the lock for its init containers, too.

The API server may ask again after other webhooks, and pods are copied. So what a pod has been given is believed only as
far as it is what the pod asks for now; otherwise it is taken away and given anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from leasehold import __version__
from leasehold.injector import annotations as reading
from leasehold.injector import validation
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import AUTH, NAME, TLS, Sidecar, container, volumes
from leasehold.kube.api import INJECTED, OPT_IN_LABEL

Patch = list[dict[str, Any]]
"""A JSON patch, RFC 6902."""
_OPTED_IN: Final = "enabled"
_DECISIVE: Final = ("restartPolicy", "args", "env", "ports", "volumeMounts")
"""What makes a container the sidecar that is asked for. The rest is for other webhooks to change, which rewrite probes,
set resources, or name images by another registry."""


def asks(pod: Mapping[str, Any], namespace: str, *, require_lock: bool) -> InjectionRequest:
    """What a pod asks for. Raises Refused."""
    if INJECTED in (pod["metadata"].get("annotations") or {}) and not is_injected(pod):
        raise RequestRefused(f"the annotation {INJECTED} is the injector's to set: take it away")
    return reading.read(pod, namespace, require_lock=require_lock)


def patch(pod: Mapping[str, Any], asked: InjectionRequest, sidecar: Sidecar) -> Patch:
    """What is to be changed; nothing where all is as asked for already. Raises Refused."""
    bare = _bare(pod)
    validation.check(bare, asked, sidecar)
    spec: Mapping[str, Any] = bare["spec"]
    made = container(asked, sidecar, on_host=bool(spec.get("hostNetwork")))
    if is_injected(pod) and _is_right(pod["spec"], made, volumes(asked, sidecar)):
        return []
    present = set(_names(spec.get("volumes")))
    missing = [volume for volume in volumes(asked, sidecar) if volume["name"] not in present]
    return [
        *_taking_away(pod),
        *_annotate(bare["metadata"].get("annotations") or {}),
        *_insert("/spec/initContainers", spec.get("initContainers"), [made], "0"),
        *_insert("/spec/volumes", spec.get("volumes"), missing, "-"),
    ]


def is_injected(pod: Mapping[str, Any]) -> bool:
    """Whether the pod says that it has been given a sidecar, and has something by its name."""
    annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    return INJECTED in annotations and NAME in _names(pod["spec"].get("initContainers"))


def check_opted_in(namespace: str, labels: Mapping[str, str]) -> None:
    """Raises Refused for a namespace that has not opted in."""
    if labels.get(OPT_IN_LABEL) != _OPTED_IN:
        raise RequestRefused(
            f"the namespace {namespace} has not opted in: "
            f"kubectl label namespace {namespace} {OPT_IN_LABEL}={_OPTED_IN}"
        )


# --- what it has been given already -------------------------------------------------------------------------

_GIVEN: Final = {"initContainers": (NAME,), "volumes": (TLS, AUTH)}
"""By the list of the spec; the volume of the state may be the pod's own, and stays."""


def _bare(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod without what it has been given already."""
    if not is_injected(pod):
        return pod
    annotations = {name: text for name, text in pod["metadata"]["annotations"].items() if name != INJECTED}
    lists = {
        place: [each for each in pod["spec"].get(place) or () if each.get("name") not in names]
        for place, names in _GIVEN.items()
    }
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}, "spec": {**pod["spec"], **lists}}


def _taking_away(pod: Mapping[str, Any]) -> Patch:
    """From the last of each list to the first, since each removal moves those after it."""
    if not is_injected(pod):
        return []
    return [
        {"op": "remove", "path": f"/spec/{place}/{index}"}
        for place, names in _GIVEN.items()
        for index, name in reversed(list(enumerate(_names(pod["spec"].get(place)))))
        if name in names
    ]


def _is_right(spec: Mapping[str, Any], made: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> bool:
    found = next(each for each in spec["initContainers"] if each.get("name") == NAME)
    wanted = {part: made[part] for part in _DECISIVE}
    return _is_undisturbed(found, made) and _covers(found, wanted) and _covers(spec.get("volumes"), given)


def _is_undisturbed(found: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether nothing has been added that makes it another program, or has it take other settings."""
    settings = {name for name in _names(found.get("env")) if name.startswith("LEASEHOLD_")}
    return not found.get("command") and not found.get("envFrom") and settings <= set(_names(made["env"]))


def _covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; the API server and other webhooks may have added to it."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _covers(found[name], wanted[name]) for name in wanted
        )
    if isinstance(wanted, Sequence) and wanted and isinstance(wanted[0], Mapping):
        return all(any(_covers(one, each) for one in found or ()) for each in wanted)
    return bool(found == wanted)


def _names(objects: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return [str(each.get("name")) for each in objects or ()]


# --- JSON patch ---------------------------------------------------------------------------------------------


def _annotate(annotations: Mapping[str, str]) -> Patch:
    """There are some: the lock's name is one."""
    assert annotations
    return [{"op": "add", "path": f"/metadata/annotations/{_pointer(INJECTED)}", "value": __version__}]


def _insert(path: str, present: Sequence[object] | None, new: Sequence[object], at: str) -> Patch:
    if not new:
        return []
    if not present:
        return [{"op": "add", "path": path, "value": list(new)}]
    return [{"op": "add", "path": f"{path}/{at}", "value": each} for each in new]


def _pointer(name: str) -> str:
    """A name within a JSON pointer, RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
