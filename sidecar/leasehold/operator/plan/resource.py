"""The Lock resource as a plain value: what the API server said, read with distrust. Pure.

The schema refuses most of what is wrong, but objects older than a rule, or written while the schema was another, come
through: what is wrong in a spec is told in sentences (`mistakes`), and never raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leasehold.lock.names import LockName, sanitise
from leasehold.lock.spec import MAX_CAPACITY, MAX_LEASE, MAX_TTL, MIN_TTL

GROUP: Final = "leasehold.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "locks"
KIND: Final = "Lock"
FINALIZER: Final = "leasehold.dev/release"
FORCE_DELETE: Final = "leasehold.dev/force-delete"
"""The annotation by which somebody lets a Lock go although etcd cannot be reached; its value is `true`."""
POLICIES: Final = ("Release", "Orphan")


@dataclass(frozen=True, slots=True)
class LockSpec:
    """What is wanted of a lock, with the defaults of the schema. `lease_duration` is in seconds."""

    lease_duration: int = 15
    capacity: int = 1
    suspend: bool = False
    preferred_holder: str = ""
    handover_up_to_token: int = 0
    revoke_up_to_token: int = 0
    release_when_pod_ends: bool = True
    pod_label: bool = False
    deletion_policy: str = "Release"


@dataclass(frozen=True, slots=True)
class Lock:
    """One Lock. `mistakes` holds a sentence for each thing in its spec that cannot be used."""

    name: LockName
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    finalizers: tuple[str, ...]
    spec: LockSpec
    status: Mapping[str, Any] = field(hash=False)
    mistakes: tuple[str, ...] = ()
    force_delete: bool = False


def parse(body: Mapping[str, Any]) -> Lock:
    """Read an object of the API server. Raises ValueError when it has no usable namespace, name or UID."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("uid"):
        raise ValueError("the object has no metadata.uid: it is no resource that the API server has stored")
    spec, mistakes = _spec(body.get("spec"))
    status = body.get("status")
    return Lock(
        name=LockName(str(metadata.get("namespace", "")), str(metadata.get("name", ""))),
        uid=str(metadata["uid"]),
        generation=int(metadata.get("generation") or 0),
        resource_version=str(metadata.get("resourceVersion", "")),
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        spec=spec,
        status=status if isinstance(status, Mapping) else {},
        mistakes=mistakes,
        force_delete=(metadata.get("annotations") or {}).get(FORCE_DELETE) == "true",
    )


def _spec(fields: object) -> tuple[LockSpec, tuple[str, ...]]:
    """The spec with the default where a field is absent or unusable, and a sentence for each that is unusable."""
    if fields is not None and not isinstance(fields, Mapping):
        return LockSpec(), ("spec is not an object: give its fields, or leave it out",)
    given = {name: value for name, value in (fields or {}).items() if value is not None}
    known: dict[str, Any] = {}
    mistakes = []
    for name, (attribute, is_valid, wanted) in _FIELDS.items():
        if name not in given:
            continue
        if is_valid(given[name]):
            known[attribute] = given[name]
        else:
            mistakes.append(f"spec.{name} is {sanitise(str(given[name]))[:60]!r}: use {wanted}")
    return LockSpec(**known), tuple(mistakes)


def _int(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _bool(value: object) -> bool:
    return isinstance(value, bool)


def _identity(value: object) -> bool:
    return isinstance(value, str) and sanitise(value) == value


def _policy(value: object) -> bool:
    return value in POLICIES


_FIELDS: Final[dict[str, tuple[str, Callable[[object], bool], str]]] = {
    "leaseDurationSeconds": (
        "lease_duration",
        _int(MIN_TTL, MAX_TTL),
        f"a whole number of seconds from {MIN_TTL} to {MAX_TTL}",
    ),
    "capacity": ("capacity", _int(1, MAX_CAPACITY), f"a whole number from 1 to {MAX_CAPACITY}"),
    "suspend": ("suspend", _bool, "true or false"),
    "preferredHolder": ("preferred_holder", _identity, "at most 253 printable characters"),
    "handoverUpToToken": ("handover_up_to_token", _int(0, MAX_LEASE), "a fencing token, or 0 for none"),
    "revokeUpToToken": ("revoke_up_to_token", _int(0, MAX_LEASE), "a fencing token, or 0 for none"),
    "releaseWhenPodEnds": ("release_when_pod_ends", _bool, "true or false"),
    "podLabel": ("pod_label", _bool, "true or false"),
    "deletionPolicy": ("deletion_policy", _policy, "Release or Orphan"),
}
