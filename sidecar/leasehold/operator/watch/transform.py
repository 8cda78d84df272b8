"""Trims objects of the API server to the fields that the operator reads, so that ten thousand fit into memory. Pure.

An object is trimmed where it arrives: managed fields and the last applied configuration alone are more than half of
most bodies. A trimmed body has the shape of a complete one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from leasehold.lock.kube_names import LEADER_LABEL as LEADER_LABEL
from leasehold.lock.kube_names import LEADER_OF as LEADER_OF
from leasehold.lock.kube_names import PREFIX
from leasehold.operator.watch.pod_request import is_sidecar, trim_container

Kind = Literal["Lock", "Pod", "ReplicaSet", "StatefulSet"]
"""The kinds that are watched."""

REPLICASET_GROUP: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"

_IDENTITY: Final = ("name", "namespace", "uid", "resourceVersion")
_LOCK: Final = (*_IDENTITY, "generation", "deletionTimestamp", "creationTimestamp", "finalizers")
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_STATUSES: Final = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_PHASES: Final = {phase: phase for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown")}

Body = dict[str, Any]


def trim(kind: Kind, body: Mapping[str, Any]) -> Body:
    """The body with only what `resource.parse` and `pod_facts` read. It shares no structure with the original."""
    if kind == "Lock":
        return _lock(body)
    metadata = body.get("metadata") or {}
    kept = _metadata(metadata, (*_IDENTITY, "deletionTimestamp"))
    kept["ownerReferences"] = [
        {"uid": owner.get("uid"), "controller": True}
        for owner in metadata.get("ownerReferences") or ()
        if owner.get("controller")
    ]
    status: Mapping[str, Any] = body.get("status") or {}
    if kind == "ReplicaSet":
        return {"metadata": kept}
    if kind == "StatefulSet":
        return {"metadata": kept, "status": _pick(status, ("updateRevision",))}
    return {"metadata": kept, **_ending(body.get("spec") or {}, status)}


def _lock(body: Mapping[str, Any]) -> Body:
    metadata = _metadata(body.get("metadata") or {}, _LOCK)
    if managers := _managers(body):
        metadata["managedFields"] = managers
    return {"metadata": metadata, **_copy(_pick(body, ("spec", "status")))}


def _managers(body: Mapping[str, Any]) -> list[Body]:
    """Who set which field of a Lock's spec: of each manager only that."""
    entries: Iterable[Mapping[str, Any]] = (body.get("metadata") or {}).get("managedFields") or ()
    specs = ((one, (one.get("fieldsV1") or {}).get("f:spec")) for one in entries)
    return [
        {**_pick(one, ("manager", "time")), "fieldsV1": {"f:spec": {name: {} for name in spec}}}
        for one, spec in specs
        if spec
    ]


def _metadata(metadata: Mapping[str, Any], names: Iterable[str]) -> Body:
    kept: Body = _copy(_pick(metadata, names))
    for kind in ("labels", "annotations"):
        fields: Mapping[str, Any] = metadata.get(kind) or {}
        kept[kind] = {n: v for n, v in fields.items() if n.startswith(PREFIX) or n in (REPLICASET_GROUP, REVISION)}
    return kept


def _ending(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Body:
    """The phase; if the pod may have ended, also its containers and their states."""
    phase = _PHASES.get(status.get("phase", ""), "")
    if phase not in ("Succeeded", "Failed"):
        return _request(spec, status, phase)
    return {
        "spec": {name: [{"name": each.get("name")} for each in spec.get(name) or ()] for name in _CONTAINERS},
        "status": {"phase": phase, **{name: _states(status.get(name) or ()) for name in _STATUSES}},
    }


def _request(spec: Mapping[str, Any], status: Mapping[str, Any], phase: str) -> Body:
    """The containers that stand for a lock, where they answer, and what keeps the pod from running."""
    kinds = ("initContainers", "containers")
    sidecars = {kind: [trim_container(one) for one in spec.get(kind) or () if is_sidecar(one)] for kind in kinds}
    kept: Body = {"phase": phase, **_copy(_pick(status, ("podIP",)))}
    for name in ("initContainerStatuses", "containerStatuses"):
        waiting = ((one.get("name"), (one.get("state") or {}).get("waiting")) for one in status.get(name) or ())
        kept[name] = [
            {"name": who, "state": {"waiting": _pick(how, ("reason", "message"))}} for who, how in waiting if how
        ]
    conditions = [one for one in status.get("conditions") or () if one.get("type") == "PodScheduled"]
    kept["conditions"] = [_pick(one, ("type", "status", "reason", "message")) for one in conditions]
    return {"spec": sidecars, "status": kept}


def _states(statuses: Iterable[Mapping[str, Any]]) -> list[Body]:
    terminated = ((each.get("name"), (each.get("state") or {}).get("terminated")) for each in statuses)
    return [
        {"name": name, "state": {"terminated": _pick(how, ("reason", "exitCode"))}} for name, how in terminated if how
    ]


def _pick(fields: Mapping[str, Any], names: Iterable[str]) -> Body:
    return {name: fields[name] for name in names if name in fields}


def _copy(value: Any) -> Any:
    """A deep copy as plain dicts and lists, whatever kinds of mapping a library uses."""
    if isinstance(value, str | int | None):  # most are, and checking an abstract class costs ten times as much
        return value
    if isinstance(value, Mapping):
        return {name: _copy(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(each) for each in value]
    return value
