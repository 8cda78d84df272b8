"""What a pod requests by its annotations, checked as strictly as `leasehold run` checks its flags. Pure.

A misspelt annotation must not be ignored: its author relies on it. An unknown annotation is an error that names the
closest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from leasehold.injector import resources, sharing
from leasehold.injector.resources import ResourceRequest
from leasehold.lock.kube_names import INJECT_LABEL, INJECTED, LEADER_LABEL, LEADER_OF, PREFIX
from leasehold.lock.names import LockName
from leasehold.settings import parsers

_OURS: Final = (INJECTED, LEADER_OF)
"""Annotations that only Leasehold sets."""
_SETTINGS: Final = ("lock", "gate", "app-health", "ttl", "require-lock", "port", "control-port", "etcd-secret")
_KNOWN: Final = (*_SETTINGS, *resources.ANNOTATIONS)
_REVISION_LABELS: Final = ("pod-template-hash", "controller-revision-hash")
STARTUP: Final = "startup"
"""The gate that keeps the pod's own containers from starting before it leads."""
LABEL: Final = "label"
"""The gate by which a pod is Ready while it may lead; the operator labels the one that does."""
GATES: Final = ("readiness", LABEL, STARTUP)
_JOB_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")

T = TypeVar("T")


class RequestRefused(Exception):
    """The injector cannot do what the pod requests. The text is one sentence for the pod's author."""


@dataclass(frozen=True, slots=True)
class InjectionRequest:
    """What one pod requests. `ttl` in seconds; None or "" means the injector's default, or the Lock's."""

    lock: LockName
    gate: str
    app_health: str
    ttl: int | None
    require_lock: bool
    port: int
    control_port: int
    etcd_secret: str
    revision_label: str
    """The label that holds the pod's revision; "" if it has none."""
    resources: ResourceRequest


def read(pod: Mapping[str, Any], namespace: str, *, require_lock: bool) -> InjectionRequest:
    """What the pod, as it is without a sidecar, requests. Raises RequestRefused.

    `require_lock` applies unless an annotation says otherwise.
    """
    metadata: Mapping[str, Any] = pod.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    given = _given(metadata.get("annotations") or {})
    _check_labels(labels)
    health = _value(given, "app-health", _health, "")
    revision = next((label for label in _REVISION_LABELS if label in labels), "")
    usual_gate = STARTUP if _is_of_job(metadata) and not health else GATES[0]
    request = InjectionRequest(
        lock=_lock(given, namespace),
        gate=_value(given, "gate", parsers.one_of(*GATES), usual_gate),
        app_health=health,
        ttl=_value(given, "ttl", parsers.ttl, None),
        require_lock=_value(given, "require-lock", parsers.one_of("true", "false"), str(require_lock).lower())
        == "true",
        port=_value(given, "port", _port, 4040),
        control_port=_value(given, "control-port", _port, 4041),
        etcd_secret=_value(given, "etcd-secret", _secret, ""),
        revision_label=revision,
        resources=_resources(given, pod.get("spec") or {}),
    )
    _check_relations(request)
    return request


def is_known(name: str) -> bool:
    """Whether this is an annotation by which a pod requests something."""
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in _KNOWN


def _is_of_job(metadata: Mapping[str, Any]) -> bool:
    """Whether the pod runs to an end, which may come before its sidecar leads."""
    owned = any(owner.get("kind") == "Job" for owner in metadata.get("ownerReferences") or ())
    return owned or any(label in (metadata.get("labels") or {}) for label in _JOB_LABELS)


def _given(annotations: Mapping[str, str]) -> dict[str, str]:
    """Leasehold's annotations, without the prefix. Raises RequestRefused for an unknown one."""
    given = {}
    for name, text in annotations.items():
        if not name.startswith(PREFIX) or name in _OURS:
            continue
        short = name.removeprefix(PREFIX)
        if short not in _KNOWN:
            raise RequestRefused(f"there is no annotation {name}: {_nearest(short)}")
        given[short] = text
    return given


def _nearest(short: str) -> str:
    near = difflib.get_close_matches(short, _KNOWN, 1)
    if near:
        return f"did you mean {PREFIX}{near[0]}?"
    return f"use {', '.join(PREFIX + known for known in _KNOWN)}"


def _check_labels(labels: Mapping[str, str]) -> None:
    if (found := labels.get(INJECT_LABEL, "")) != "true":
        raise RequestRefused(f'the label {INJECT_LABEL} is "{found}": use "true", or remove it')
    for name in labels:
        if not name.startswith(PREFIX) or name == INJECT_LABEL:
            continue
        if name == LEADER_LABEL:
            raise RequestRefused(f"the label {name} is set by the operator on the pod that leads: remove it")
        if name.removeprefix(PREFIX) in _KNOWN:
            raise RequestRefused(f"{name} is an annotation, not a label: move it to the annotations")
        raise RequestRefused(f"there is no label {name}: use {INJECT_LABEL} alone, and annotations")


def _resources(given: Mapping[str, str], spec: Mapping[str, Any]) -> ResourceRequest:
    annotated = {name: _value(given, name, resources.amount, "") for name in resources.ANNOTATIONS if name in given}
    return ResourceRequest(annotated, resources.pod_level(spec), sharing.implied_requests(spec, annotated))


def _lock(given: Mapping[str, str], namespace: str) -> LockName:
    name = given.get("lock")
    if name is None:
        raise RequestRefused(f"the annotation {PREFIX}lock is missing: name the Lock to queue for")
    if "/" in name:
        raise RequestRefused(
            f"{PREFIX}lock is {_cut(name)}: use the name of a Lock of the pod's own namespace, without a /"
        )
    try:
        return LockName(namespace, name)
    except ValueError as error:
        sentence = str(error).replace(repr(name), _cut(name))
        raise RequestRefused(f"{PREFIX}lock is {_cut(name)}: {sentence}") from None


def _value(given: Mapping[str, str], name: str, read: Callable[[str], T], default: T) -> T:
    if name not in given:
        return default
    try:
        return read(given[name])
    except ValueError as error:
        raise RequestRefused(f"{PREFIX}{name} is {_cut(given[name])}: {error}") from None


def _cut(text: str) -> str:
    return repr(text[:120])


_port = parsers.integer(1, 65_535, "a port")


def _health(text: str) -> str:
    """A URL; `:8080/healthz` is one of the pod itself."""
    return parsers.web_url(f"http://127.0.0.1{text}" if text.startswith(":") else text)


def _secret(text: str) -> str:
    try:
        LockName("default", text)  # a Secret's name follows the rules that a Lock's does
    except ValueError:
        raise ValueError("use the name of a Secret in the pod's namespace") from None
    return text


def _check_relations(request: InjectionRequest) -> None:
    if request.gate == STARTUP and request.app_health:
        raise RequestRefused(
            f"{PREFIX}gate is {STARTUP} and {PREFIX}app-health is given: the app starts only once its sidecar leads, "
            "so it cannot be healthy before that; remove one of the two"
        )
    if request.port == request.control_port:
        raise RequestRefused(
            f"{PREFIX}port and {PREFIX}control-port are both {request.port}: the two listeners need a port each"
        )
    if request.revision_label and not request.app_health:
        raise RequestRefused(
            f"the annotation {PREFIX}app-health is missing: a new revision takes the lock over from the old one, so it "
            "must say when it works; name the URL of the app's health check, such as :8080/healthz"
        )
