"""What objects of Kubernetes say about Leasehold, read without trust in any of them. Pure.

Fields that are missing or of an unexpected type read as empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from leasehold.lock.kube_names import INJECT_LABEL, PREFIX

Object = Mapping[str, Any]

SIDECAR: Final = "leasehold"
"""The sidecar's container, as injector and library chart name it."""
_EMPTY: Final[Object] = {}


def table(body: object, *path: str) -> Object:
    """The object at this path; empty if there is none."""
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body if isinstance(body, Mapping) else _EMPTY


def text(body: object, *path: str) -> str:
    """The text at this path; empty if there is none."""
    found = table(body, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def number(body: object, *path: str) -> int:
    """The integer at this path; 0 if there is none."""
    found = table(body, *path[:-1]).get(path[-1])
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def items(body: object, *path: str) -> Iterator[Object]:
    """The objects of the list at this path."""
    found = table(body, *path[:-1]).get(path[-1])
    yield from (one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else ()


def namespace_of(body: Object) -> str:
    """An object's namespace."""
    return text(body, "metadata", "namespace")


def name_of(body: Object) -> str:
    """An object's name."""
    return text(body, "metadata", "name")


# --- pods and their templates ---


def lock_of(pod: Object) -> str:
    """The lock, by its name, that a pod or a template of pods names; empty if it names none."""
    named = text(pod, "metadata", "annotations", f"{PREFIX}lock")
    return named or next((lock for container in _sidecars(pod) if (lock := _lock_flag(container))), "")


def has_sidecar(pod: Object) -> bool:
    """Whether it has a sidecar already; a template that the injector serves has none."""
    return any(True for _ in _sidecars(pod))


def asks_injector(pod: Object) -> bool:
    """Whether it has the label by which the injector gives it its sidecar."""
    return text(pod, "metadata", "labels", INJECT_LABEL) == "true"


def gate_of(pod: Object) -> str:
    """What Ready means: `readiness`, `label` or `startup`."""
    chosen = text(pod, "metadata", "annotations", f"{PREFIX}gate")
    if chosen or asks_injector(pod):
        return chosen or "readiness"
    containers = [*items(pod, "spec", "initContainers"), *items(pod, "spec", "containers")]
    asked = {text(one, "readinessProbe", "httpGet", "path") for one in containers}
    return "readiness" if "/leader" in asked else "label"


def port_of(pod: Object) -> int:
    """Where its sidecar answers."""
    ports = [number(port, "containerPort") for container in _sidecars(pod) for port in items(container, "ports")]
    return next(filter(None, ports), 4040)


def secrets_of(pod: Object) -> set[str]:
    """The Secrets without which its sidecar cannot start."""
    ours = (volume for volume in items(pod, "spec", "volumes") if text(volume, "name").startswith("leasehold-"))
    return {name for volume in ours if (name := text(volume, "secret", "secretName"))}


def sidecar_state(pod: Object) -> Object:
    """The state of its sidecar's container; empty if the kubelet has not told it yet."""
    found = (one for one in items(pod, "status", "initContainerStatuses") if text(one, "name") == SIDECAR)
    return table(next(found, _EMPTY), "state")


def has_ended(pod: Object) -> bool:
    """Whether it works no more, or is about to end."""
    return text(pod, "status", "phase") in ("Succeeded", "Failed") or bool(text(pod, "metadata", "deletionTimestamp"))


def _sidecars(pod: Object) -> Iterator[Object]:
    containers = [*items(pod, "spec", "initContainers"), *items(pod, "spec", "containers")]
    yield from (one for one in containers if text(one, "name") == SIDECAR)


def _lock_flag(container: Object) -> str:
    args = container.get("args")
    words = [word for word in args if isinstance(word, str)] if isinstance(args, list) else []
    given = next((word.partition("=")[2] for word in words if word.startswith("--lock=")), "")
    named = {text(one, "name"): text(one, "value") for one in items(container, "env")}
    return (given or named.get("LEASEHOLD_LOCK", "")).rpartition("/")[2]
