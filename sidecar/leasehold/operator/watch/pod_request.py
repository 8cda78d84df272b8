"""Which lock a pod names, where its sidecar answers, and what keeps that from running. Pure.

A pod names a lock by its sidecar's `--lock`, or by the annotation that asks the injector for a sidecar. Only locks of
the pod's own namespace count: a Lock must not tell of the pods of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.lock.kube_names import INJECT_LABEL, PREFIX
from leasehold.lock.names import LockName, sanitise

LOCK_ANNOTATION: Final = f"{PREFIX}lock"
DEFAULT_PORT: Final = 4040
MAX_MESSAGE_CHARACTERS: Final = 240
_LOCK_FLAG: Final = "--lock="
_LISTEN_FLAG: Final = "--listen="
_LOCK_VARIABLE: Final = "LEASEHOLD_LOCK"
_LISTEN_VARIABLE: Final = "LEASEHOLD_LISTEN"
_STARTING: Final = ("PodInitializing", "ContainerCreating")
"""Why a container waits that nothing is wrong with."""


@dataclass(frozen=True, slots=True)
class PodRequest:
    """A pod that names `lock`, in its own namespace.

    `address` is where its sidecar answers, "" if it cannot be asked. `code` and `message` say what keeps its sidecar
    from running, as the API server shows it; both are empty if it runs.
    """

    lock: str
    address: str = ""
    code: str = ""
    message: str = ""


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether this container stands for a lock."""
    return bool(_setting(container, _LOCK_FLAG, _LOCK_VARIABLE))


def trim_container(container: Mapping[str, Any]) -> dict[str, Any]:
    """The container with only what is read here."""
    args = [one for one in _texts(container.get("args")) if one.startswith((_LOCK_FLAG, _LISTEN_FLAG))]
    names = (_LOCK_VARIABLE, _LISTEN_VARIABLE)
    env = [
        {"name": one["name"], "value": one.get("value")}
        for one in container.get("env") or ()
        if one.get("name") in names
    ]
    return {"name": container.get("name"), "args": args, "env": env}


def read_request(body: Mapping[str, Any]) -> PodRequest | None:
    """What a live pod asks for; None if it names no lock, or is about to end."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    if metadata.get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    sidecar = next((one for one in _containers(spec) if is_sidecar(one)), None)
    asked = _injected_lock(metadata)
    lock = _lock_of(metadata, _setting(sidecar, _LOCK_FLAG, _LOCK_VARIABLE) if sidecar else asked)
    if lock is None:
        return None
    if sidecar is None:
        text = (
            "it asks for a sidecar and has none: the injector did not see it; delete the pod: it is then created again"
        )
        return PodRequest(lock, code="no-sidecar", message=text)
    code, message = _obstacle(status)
    return PodRequest(lock, "" if code else _address(sidecar, status), code, short(message))


def _injected_lock(metadata: Mapping[str, Any]) -> str:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return str(annotations.get(LOCK_ANNOTATION, "")) if labels.get(INJECT_LABEL) == "true" else ""


def _lock_of(metadata: Mapping[str, Any], name: str) -> str | None:
    """The lock's name, if it is one of the pod's own namespace."""
    own = str(metadata["namespace"])
    namespace, slash, rest = name.partition("/")
    if slash and namespace != own:
        return None
    try:
        return LockName(own, rest if slash else name).name
    except ValueError:
        return None


def _obstacle(status: Mapping[str, Any]) -> tuple[str, str]:
    """What keeps the pod's containers from running; two empty texts if nothing does."""
    for one in _mappings(status.get("conditions")):
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return "not-scheduled", f"no node takes the pod: {one.get('message') or one.get('reason') or 'unknown'}"
    for one in (*_mappings(status.get("initContainerStatuses")), *_mappings(status.get("containerStatuses"))):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting and waiting.get("reason") not in _STARTING:
            why = f"{waiting.get('reason')}: {waiting.get('message')}" if waiting.get("message") else waiting["reason"]
            return "container-waiting", f"its container {one.get('name')} does not run: {why}"
    if not status.get("podIP"):
        return "pod-starting", "the pod is starting"
    return "", ""


def _address(sidecar: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    listen = _setting(sidecar, _LISTEN_FLAG, _LISTEN_VARIABLE) or f":{DEFAULT_PORT}"
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or host not in ("", "0.0.0.0", "[::]"):
        return ""  # it listens where only its own pod can ask
    address = str(status.get("podIP", ""))
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _setting(container: Mapping[str, Any], flag: str, variable: str) -> str:
    given = [one.removeprefix(flag) for one in _texts(container.get("args")) if one.startswith(flag)]
    given += [str(one.get("value") or "") for one in _mappings(container.get("env")) if one.get("name") == variable]
    return given[0] if given else ""


def _containers(spec: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (*_mappings(spec.get("initContainers")), *_mappings(spec.get("containers")))


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def short(text: str) -> str:
    """Text from elsewhere as it may stand in a status: printable, and not long."""
    clean = sanitise(text)
    return clean if len(clean) <= MAX_MESSAGE_CHARACTERS else clean[: MAX_MESSAGE_CHARACTERS - 1] + "…"
