"""The sidecar's requests and limits in one pod. Pure.

Each of the four comes from the pod's annotation, else from the same annotation of its namespace, else from the
injector's settings. One setting cannot suit all namespaces: a quota on `limits.cpu` refuses containers without that
limit, and a LimitRange may require a minimum or a ratio.

A pod may have resources for all of its containers together (`spec.resources`). The sidecar then shares these: the API
server refuses containers whose requests add up to more than the pod's, or whose limit is above the pod's. Only the
pod's own annotations give the sidecar a part of its own there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from leasehold.lock.kube_names import PREFIX

NONE: Final = "none"
"""An annotation with this value takes the request or limit away."""
ANNOTATIONS: Final = ("cpu-request", "cpu-limit", "memory-request", "memory-limit")
"""The names of the annotations, without their prefix."""
_QUANTITY: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:[eE]([+-]?[0-9]{1,2})|([KMGTPE]i|[numkMGTPE]))?")
"""What an annotation may say."""
_SHOWN: Final = re.compile(
    r"\+?([0-9]{1,60}\.?[0-9]{0,60}|\.[0-9]{1,60})(?:[eE]([+-]?[0-9]{1,9})|([KMGTPE]i|[numkMGTPE]))?"
)
"""What the API server shows of a pod: it leaves many an amount as it was written, such as +1, 1. and 2.500."""
_MOST_ZEROS: Final = 99
_LARGEST_BINARY: Final = Decimal(2**63 - 1)
_POWERS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL: Final = {name: Decimal(10) ** power for name, power in _POWERS.items()}
_BINARY: Final = {f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", 1)}
_UNITS: Final = _DECIMAL | _BINARY


class InvalidResources(ValueError):
    """Requests and limits that cannot be. The text is one sentence."""


def quantity(text: str) -> Decimal:
    """An amount, such as 50m or 96Mi, as the API server reads it. Raises ValueError, also for one below 0."""
    found = _SHOWN.fullmatch(text)
    if not found:
        raise ValueError("use an amount such as 50m or 96Mi")
    number, exponent, unit = found.groups()
    power = max(-_MOST_ZEROS, min(int(exponent or 0), _MOST_ZEROS))
    exact = Decimal(number) * _UNITS.get(unit, Decimal(1)).scaleb(power)
    rounded = Decimal(math.ceil(exact.scaleb(9))).scaleb(-9)
    return min(rounded, _LARGEST_BINARY) if unit in _BINARY else rounded


def amount(text: str) -> str:
    """An annotation's value: an amount, or `none`. Raises ValueError."""
    if text != NONE and not _QUANTITY.fullmatch(text):
        raise ValueError(f"use an amount such as 50m or 96Mi, or {NONE}")
    return text


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What a pod requests of its sidecar's resources: its annotations by name, and what it has itself for all.

    `implied` are requests by the name of the resource, which the annotations do not name.
    """

    annotated: Mapping[str, str] = field(default_factory=dict)
    pod_level: frozenset[str] = frozenset()
    implied: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, default: Mapping[str, Any], namespace: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """The container's `resources`. `namespace` are the namespace's annotations. Raises InvalidResources."""
        resolved = {part: dict(self._part(part, default, namespace)) for part in ("requests", "limits")}
        return {part: amounts for part, amounts in resolved.items() if amounts}

    def _part(
        self, part: str, default: Mapping[str, Any], namespace: Mapping[str, str]
    ) -> Iterator[tuple[str, str | int | float]]:
        usual = default.get(part) or {}
        for name in dict.fromkeys([*usual, "cpu", "memory"]):
            annotation = f"{name}-{part.removesuffix('s')}"
            found = self.annotated.get(annotation)
            if found is None and name not in self.pod_level:
                found = _of_namespace(namespace, annotation) or usual.get(name)
            if part == "requests":
                found = self.implied.get(name, found)
            if found not in (None, NONE):
                yield name, found


def pod_level(spec: Mapping[str, Any]) -> frozenset[str]:
    """The resources that the pod has for all of its containers together."""
    given = spec.get("resources") or {}
    return frozenset(name for part in ("requests", "limits") for name in given.get(part) or ())


def check(resolved: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises InvalidResources for a request above its limit, which the API server would refuse as well."""
    requests, limits = resolved.get("requests") or {}, resolved.get("limits") or {}
    for name in requests.keys() & limits.keys():
        if quantity(str(requests[name])) > quantity(str(limits[name])):
            raise InvalidResources(
                f"the sidecar's {name} request is {requests[name]}, above its limit of {limits[name]}: "
                f"set {PREFIX}{name}-request and {PREFIX}{name}-limit together"
            )


def _of_namespace(annotations: Mapping[str, str], name: str) -> str | None:
    text = annotations.get(f"{PREFIX}{name}")
    if text is None or name not in ANNOTATIONS:
        return None
    try:
        return amount(text)
    except ValueError as error:
        raise InvalidResources(f"its namespace's annotation {PREFIX}{name} is {text[:120]!r}: {error}") from None
