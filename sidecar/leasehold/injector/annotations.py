"""What a pod asks for by its annotations, checked as strictly as `leasehold run` checks its flags. Pure.

Whoever misspells an annotation has not said what they think they have said. So one that is not known is refused, by
its name and with the nearest that is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from leasehold.lock.names import LockName
from leasehold.settings import parsers

PREFIX: Final = "leasehold.dev/"
LABEL: Final = f"{PREFIX}inject"
INJECTED: Final = f"{PREFIX}injected"
"""Set by the injector: the version that has done it."""
_OURS: Final = (INJECTED, f"{PREFIX}leader-of")
"""Annotations that are Leasehold's own to set."""
_KNOWN: Final = ("lock", "gate", "app-health", "ttl", "require-lock", "port", "control-port", "etcd-secret")
_LEADER: Final = f"{PREFIX}leader"
_REVISION_LABELS: Final = ("pod-template-hash", "controller-revision-hash")
GATES: Final = ("readiness", "label")

T = TypeVar("T")


class RequestRefused(Exception):
    """The pod cannot be given what it asks for. The text is one sentence for its author."""


@dataclass(frozen=True, slots=True)
class InjectionRequest:
    """What one pod asks for. `ttl` in seconds; None or "" where the pod leaves it to the injector, or to the Lock."""

    lock: LockName
    gate: str
    app_health: str
    ttl: int | None
    require_lock: bool
    port: int
    control_port: int
    etcd_secret: str
    revision_label: str
    """The label that tells the revision the pod belongs to; "" for a pod of none."""


def read(pod: Mapping[str, Any], namespace: str, *, require_lock: bool) -> InjectionRequest:
    """What the pod asks for; `require_lock` unless it says so itself. Raises Refused."""
    metadata: Mapping[str, Any] = pod.get("metadata") or {}
    labels: Mapping[str, str] = metadata.get("labels") or {}
    given = _given(metadata.get("annotations") or {})
    _check_labels(labels)
    revision = next((label for label in _REVISION_LABELS if label in labels), "")
    asked = InjectionRequest(
        lock=_lock(given, namespace),
        gate=_value(given, "gate", parsers.one_of(*GATES), GATES[0]),
        app_health=_value(given, "app-health", _health, ""),
        ttl=_value(given, "ttl", parsers.ttl, None),
        require_lock=_value(given, "require-lock", parsers.one_of("true", "false"), str(require_lock).lower())
        == "true",
        port=_value(given, "port", _port, 4040),
        control_port=_value(given, "control-port", _port, 4041),
        etcd_secret=_value(given, "etcd-secret", _secret, ""),
        revision_label=revision,
    )
    _check_relations(asked)
    return asked


def _given(annotations: Mapping[str, str]) -> dict[str, str]:
    """Ours among the annotations, without the prefix."""
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
    if labels.get(LABEL) != "true":
        raise RequestRefused(f'the label {LABEL} is "{labels.get(LABEL, "")}": use "true", or take it away')
    for name in labels:
        if not name.startswith(PREFIX) or name == LABEL:
            continue
        if name == _LEADER:
            raise RequestRefused(f"the label {name} is the operator's to set, on the pod that leads: take it away")
        if name.removeprefix(PREFIX) in _KNOWN:
            raise RequestRefused(f"{name} is an annotation, and stands among the labels: move it to the annotations")
        raise RequestRefused(f"there is no label {name}: use {LABEL} alone, and annotations")


def _lock(given: Mapping[str, str], namespace: str) -> LockName:
    name = given.get("lock")
    if name is None:
        raise RequestRefused(f"the annotation {PREFIX}lock is missing: name the Lock that the pod stands for")
    if "/" in name:
        raise RequestRefused(
            f"{PREFIX}lock is {_cut(name)}: use the name of a Lock of the pod's own namespace, without a /"
        )
    try:
        return LockName(namespace, name)
    except ValueError as error:
        raise RequestRefused(f"{PREFIX}lock is {_cut(name)}: {error}") from None


def _value(given: Mapping[str, str], name: str, read: Callable[[str], T], default: T) -> T:
    if name not in given:
        return default
    try:
        return read(given[name])
    except ValueError as error:
        raise RequestRefused(f"{PREFIX}{name} is {_cut(given[name])}: {error}") from None


def _cut(text: str) -> str:
    return repr(text[:120])


_port = parsers.whole(1, 65_535, "a port")


def _health(text: str) -> str:
    """A URL; `:8080/healthz` is one of the pod itself."""
    return parsers.web_url(f"http://127.0.0.1{text}" if text.startswith(":") else text)


def _secret(text: str) -> str:
    try:
        LockName("default", text)  # a Secret's name follows the rules that a Lock's does
    except ValueError:
        raise ValueError("use the name of a Secret in the pod's namespace") from None
    return text


def _check_relations(asked: InjectionRequest) -> None:
    if asked.port == asked.control_port:
        raise RequestRefused(
            f"{PREFIX}port and {PREFIX}control-port are both {asked.port}: the two listeners need a port each"
        )
    if asked.revision_label and not asked.app_health:
        raise RequestRefused(
            f"the annotation {PREFIX}app-health is missing: a new revision takes the lock over from the old one, so it "
            "must say when it works; name the URL of the app's health check, such as :8080/healthz"
        )
