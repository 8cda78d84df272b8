"""From a pod to the JSON patch that adds its sidecar, or to a sentence that says why there is none. Pure.

The sidecar is the first init container. Native sidecars and init containers start in order, so all of the pod's own
containers can use it. Its early start costs nothing: with a health check it joins only once the app is healthy; without
one, the pod holds the lock for its init containers too.

The API server may call again after other webhooks, and people copy pods. So an existing sidecar is kept only if it is
the one that the pod requests now; otherwise the patch replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from leasehold import __version__
from leasehold.injector import annotations as reading
from leasehold.injector import resources, sharing, validation
from leasehold.injector.annotations import InjectionRequest, RequestRefused
from leasehold.injector.container import AUTH, NAME, POD, TLS, Sidecar, container, volumes
from leasehold.injector.resources import InvalidResources
from leasehold.lock.kube_names import INJECTED, OPT_IN_LABEL

Patch = list[dict[str, Any]]
"""A JSON patch, RFC 6902."""
_OPTED_IN: Final = "enabled"
_DECISIVE: Final = ("restartPolicy", "args", "env", "ports", "volumeMounts", "lifecycle")
"""Fields that must be as requested. Other webhooks may change the rest: they rewrite probes, set resources, or name
images by another registry."""


def injection_request(pod: Mapping[str, Any], namespace: str, *, require_lock: bool) -> InjectionRequest:
    """What a pod requests. Raises RequestRefused."""
    if INJECTED in (pod["metadata"].get("annotations") or {}) and not is_injected(pod):
        raise RequestRefused(f"the annotation {INJECTED} is the injector's to set: remove it")
    return reading.read(_bare(pod), namespace, require_lock=require_lock)


def patch(
    pod: Mapping[str, Any], request: InjectionRequest, sidecar: Sidecar, namespace: Mapping[str, str] | None = None
) -> Patch:
    """The changes, none if the pod already has the right sidecar. Raises RequestRefused.

    `namespace` are the annotations of the pod's namespace.
    """
    return complete(draft(pod, request, sidecar), request, sidecar, namespace or {})


def complete(draft: Patch, request: InjectionRequest, sidecar: Sidecar, namespace: Mapping[str, str]) -> Patch:
    """The changes, with what depends on the namespace's annotations. Raises RequestRefused.

    It needs no pod: while the namespace is read, no pod is kept in memory.
    """
    if not any(operation["path"] == _MARK for operation in draft):
        return draft  # the pod keeps its sidecar
    try:
        resolved = request.resources.resolve(sidecar.resources, namespace)
        resources.check(resolved)
    except InvalidResources as error:
        raise RequestRefused(str(error)) from None
    if resolved == request.resources.resolve(sidecar.resources, {}):
        return draft
    return [*draft, {"op": "add", "path": "/spec/initContainers/0/resources", "value": resolved}]


def draft(pod: Mapping[str, Any], request: InjectionRequest, sidecar: Sidecar) -> Patch:
    """The changes for a namespace without annotations, to be completed. Raises RequestRefused."""
    bare = _bare(pod)
    validation.check(bare, request, sidecar)
    spec: Mapping[str, Any] = bare["spec"]
    made = container(request, sidecar, spec)
    if is_injected(pod) and _is_right(pod["spec"], made, volumes(request, sidecar)):
        return _fit(pod["spec"], spec, request)
    return [
        *_removals(pod),
        *_annotate(bare["metadata"].get("annotations") or {}),
        *_write_down(spec, request.resources.annotated),
        *_insert("/spec/initContainers", spec.get("initContainers"), [made], "0"),
        *_append(spec, "volumes", volumes(request, sidecar)),
        *_append(spec, "imagePullSecrets", [{"name": name} for name in sidecar.pull_secrets]),
    ]


def is_injected(pod: Mapping[str, Any]) -> bool:
    """Whether the pod is annotated as injected, and has a container of the sidecar's name."""
    annotations: Mapping[str, str] = pod["metadata"].get("annotations") or {}
    return INJECTED in annotations and NAME in _names(pod["spec"].get("initContainers"))


def check_opted_in(namespace: str, labels: Mapping[str, str]) -> None:
    """Raises RequestRefused if the namespace has not opted in."""
    if labels.get(OPT_IN_LABEL) != _OPTED_IN:
        raise RequestRefused(
            f"the namespace {namespace} has not opted in: "
            f"kubectl label namespace {namespace} {OPT_IN_LABEL}={_OPTED_IN}"
        )


# --- an existing sidecar ------------------------------------------------------------------------------------

_ADDED: Final = {"initContainers": (NAME,), "volumes": (TLS, AUTH, POD)}
"""What an injection adds, by list of the spec. The state volume is not here: it may be the pod's own, and stays."""


def _bare(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod without what an earlier injection added."""
    if not is_injected(pod):
        return pod
    annotations = {name: text for name, text in pod["metadata"]["annotations"].items() if name != INJECTED}
    lists = {
        place: [each for each in pod["spec"].get(place) or () if each.get("name") not in names]
        for place, names in _ADDED.items()
    }
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}, "spec": {**pod["spec"], **lists}}


def _removals(pod: Mapping[str, Any]) -> Patch:
    """From the last of each list to the first: each removal shifts the indexes after it."""
    if not is_injected(pod):
        return []
    return [
        {"op": "remove", "path": f"/spec/{place}/{index}"}
        for place, names in _ADDED.items()
        for index, name in reversed(list(enumerate(_names(pod["spec"].get(place)))))
        if name in names
    ]


def _is_right(spec: Mapping[str, Any], made: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> bool:
    found = next(each for each in spec["initContainers"] if each.get("name") == NAME)
    desired = {part: made[part] for part in _DECISIVE}
    return _is_undisturbed(found, made) and _covers(found, desired) and _covers(spec.get("volumes"), given)


def _fit(spec: Mapping[str, Any], bare: Mapping[str, Any], request: InjectionRequest) -> Patch:
    """Lowers what a LimitRange gave to the sidecar of this spec; `bare` is without it."""
    at = _names(spec["initContainers"]).index(NAME)
    lowered = sharing.fitted(bare, spec["initContainers"][at], request.resources.annotated)
    path = f"/spec/initContainers/{at}/resources"
    return [{"op": "replace", "path": f"{path}/{part}/{name}", "value": text} for part, name, text in lowered]


def _is_undisturbed(found: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether nothing was added that makes it run another program or use other settings."""
    settings = {name for name in _names(found.get("env")) if name.startswith("LEASEHOLD_")}
    return not found.get("command") and not found.get("envFrom") and settings <= set(_names(made["env"]))


def _covers(found: Any, desired: Any) -> bool:
    """Whether `found` has all of `desired`; the API server and other webhooks may have added more."""
    if isinstance(desired, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _covers(found[name], desired[name]) for name in desired
        )
    if isinstance(desired, Sequence) and desired and isinstance(desired[0], Mapping):
        return all(any(_covers(one, each) for one in found or ()) for each in desired)
    return bool(found == desired)


def _names(objects: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return [str(each.get("name")) for each in objects or ()]


# --- JSON patch ---------------------------------------------------------------------------------------------


def _annotate(annotations: Mapping[str, str]) -> Patch:
    assert annotations, "the lock's name is one; a patch cannot add to a map that is missing"
    return [{"op": "add", "path": _MARK, "value": __version__}]


def _write_down(spec: Mapping[str, Any], annotated: Mapping[str, str]) -> Patch:
    """The pod's own requests and limits, as they are without a sidecar."""
    parts = {"requests": sharing.own_requests(spec), "limits": sharing.own_limits(spec, annotated)}
    return [
        {"op": "add", "path": f"/spec/resources/{part}", "value": {**(spec["resources"].get(part) or {}), **given}}
        for part, given in parts.items()
        if given
    ]


def _append(spec: Mapping[str, Any], place: str, named: Sequence[Mapping[str, Any]]) -> Patch:
    """Those that the pod does not have by their names."""
    present = set(_names(spec.get(place)))
    missing = [each for each in named if each["name"] not in present]
    return _insert(f"/spec/{place}", spec.get(place), missing, "-")


def _insert(path: str, present: Sequence[object] | None, new: Sequence[object], at: str) -> Patch:
    if not new:
        return []
    if not present:
        return [{"op": "add", "path": path, "value": list(new)}]
    return [{"op": "add", "path": f"{path}/{at}", "value": each} for each in new]


def _pointer(name: str) -> str:
    """A name within a JSON pointer, RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")


_MARK: Final = f"/metadata/annotations/{_pointer(INJECTED)}"
"""What each injection sets."""
