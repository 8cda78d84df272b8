"""The Lock resource as a plain value, read from the API server with distrust. Pure.

The schema refuses most mistakes, but not in objects that are older than a rule or were written under another schema.
Mistakes in a spec are returned as sentences (`mistakes`) and never raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leasehold.lock.kube_names import FINALIZER as FINALIZER
from leasehold.lock.kube_names import FORCE_DELETE
from leasehold.lock.names import LockName, sanitise
from leasehold.lock.spec import MAX_CAPACITY, MAX_LEASE, MAX_TTL, MIN_TTL

POLICIES: Final = ("Release", "Orphan")


@dataclass(frozen=True, slots=True)
class LockSpec:
    """The desired state of a lock, with the schema's defaults. `lease_duration` is in seconds.

    The two token limits have no default: None or 0 asks for nothing new, and takes nothing back.
    """

    lease_duration: int = 15
    capacity: int = 1
    suspend: bool = False
    preferred_holder: str = ""
    handover_up_to_token: int | None = None
    revoke_up_to_token: int | None = None
    release_when_pod_ends: bool = True
    pod_label: bool = False
    deletion_policy: str = "Release"


@dataclass(frozen=True, slots=True)
class Lock:
    """One Lock. `mistakes` has one sentence for each field of its spec that cannot be used."""

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
    managers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Who set each field of the spec last, by its field manager, such as `leasehold-kubectl`."""


def parse(body: Mapping[str, Any]) -> Lock:
    """Read an object of the API server. Raises ValueError if it has no valid namespace, name or UID."""
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
        managers=_managers(metadata.get("managedFields")),
    )


def _managers(entries: object) -> dict[str, str]:
    """The newest manager of each field of the spec."""
    found: dict[str, str] = {}
    listed = [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []
    for one in sorted(listed, key=lambda entry: str(entry.get("time", ""))):
        fields = one.get("fieldsV1")
        spec = fields.get("f:spec") if isinstance(fields, Mapping) else None
        for name in spec if isinstance(spec, Mapping) else ():
            found[str(name).removeprefix("f:")] = sanitise(str(one.get("manager", "")))
    return found


def _spec(fields: object) -> tuple[LockSpec, tuple[str, ...]]:
    """The spec, with defaults for missing and invalid fields, and one sentence for each invalid field."""
    if fields is not None and not isinstance(fields, Mapping):
        return LockSpec(), ("spec is not an object: give its fields, or leave it out",)
    given = {name: value for name, value in (fields or {}).items() if value is not None}
    valid: dict[str, Any] = {}
    mistakes = []
    for name, (attribute, is_valid, allowed) in _FIELDS.items():
        if name not in given:
            continue
        if is_valid(given[name]):
            valid[attribute] = given[name]
        else:
            mistakes.append(f"spec.{name} is {sanitise(str(given[name]))[:60]!r}: use {allowed}")
    return LockSpec(**valid), tuple(mistakes)


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
