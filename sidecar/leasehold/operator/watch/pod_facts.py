"""What counts of a pod, a ReplicaSet and a StatefulSet, read from the bodies that the API server gives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leasehold.lock.names import LockName
from leasehold.operator.watch.transform import LEADER_LABEL, LEADER_OF, REPLICASET_GROUP, REVISION


@dataclass(frozen=True, slots=True)
class Pod:
    """What counts of a pod. `owner` is its controller's UID; `leader_of` the names of the locks it is labelled for.

    `version` is the resourceVersion, by which an older body that comes later is told.
    """

    namespace: str
    name: str
    uid: str
    owner: str = ""
    ended: bool = False
    leader_of: tuple[str, ...] = ()
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """What counts of a ReplicaSet. `owner` is its Deployment's UID; `group` its pods' `pod-template-hash`."""

    owner: str
    revision: int
    group: str
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StatefulSet:
    """What counts of a StatefulSet: the revision that its pods are to have."""

    group: str
    version: int = field(default=0, compare=False)


def read_pod(body: Mapping[str, Any]) -> Pod:
    """What counts of a pod's body, which may be trimmed by `leasehold.operator.watch.transform`."""
    metadata = body["metadata"]
    labelled = _text(metadata.get("labels"), LEADER_LABEL) == "true"
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        owner=controller(metadata),
        ended=has_ended(body),
        leader_of=leader_of(metadata) if labelled else (),
        version=_number(metadata.get("resourceVersion")),
    )


def read_replicaset(body: Mapping[str, Any]) -> ReplicaSet:
    """What counts of a ReplicaSet's body."""
    metadata = body["metadata"]
    return ReplicaSet(
        owner=controller(metadata),
        revision=_number(_text(metadata.get("annotations"), REVISION)),
        group=_text(metadata.get("labels"), REPLICASET_GROUP),
        version=_number(metadata.get("resourceVersion")),
    )


def read_statefulset(body: Mapping[str, Any]) -> StatefulSet:
    """What counts of a StatefulSet's body."""
    return StatefulSet(_text(body.get("status"), "updateRevision"), _number(body["metadata"].get("resourceVersion")))


def controller(metadata: Mapping[str, Any]) -> str:
    """The UID of the object's controller, "" if it has none."""
    references: Iterable[Mapping[str, Any]] = metadata.get("ownerReferences") or ()
    return next((str(each["uid"]) for each in references if each.get("controller")), "")


def has_ended(body: Mapping[str, Any]) -> bool:
    """Whether the kubelet has confirmed that nothing of the pod runs any more.

    The phase alone is no proof: the control plane sets it to Failed for a pod whose node it has lost. Every container
    of the specification, init ones too, must have a status that says terminated, by a kubelet that could find it.
    """
    status: Mapping[str, Any] = body.get("status") or {}
    if status.get("phase") not in ("Succeeded", "Failed"):
        return False
    spec: Mapping[str, Any] = body.get("spec") or {}
    return bool(spec.get("containers")) and all(
        _all_terminated(spec.get(kind) or (), status.get(statuses) or ())
        for kind, statuses in (
            ("containers", "containerStatuses"),
            ("initContainers", "initContainerStatuses"),
            ("ephemeralContainers", "ephemeralContainerStatuses"),
        )
    )


def leader_of(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the locks, in the pod's own namespace, that its annotation says it is labelled for.

    What somebody wrote there by hand and no lock can be called is left out.
    """
    names = _text(metadata.get("annotations"), LEADER_OF).split(",")
    return tuple(name for name in names if _is_lock(metadata["namespace"], name))


def label_patch(body: Mapping[str, Any], lock: str, on: bool) -> dict[str, Any] | None:
    """The merge patch after which the pod is labelled for the lock, or no longer; None when it is so already.

    Refused by the API server if the pod has changed meanwhile, or was replaced: no other lock's name gets lost.
    """
    metadata = body["metadata"]
    before = leader_of(metadata)
    names = sorted({*before, lock} if on else set(before) - {lock})
    labelled = _text(metadata.get("labels"), LEADER_LABEL) == "true"
    if tuple(names) == before and labelled == bool(names):
        return None
    if not on and lock not in before:
        return None  # a label that somebody else put there is theirs
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "labels": {LEADER_LABEL: "true" if names else None},
            "annotations": {LEADER_OF: ",".join(names) or None},
        }
    }


def _all_terminated(containers: Sequence[Mapping[str, Any]], statuses: Sequence[Mapping[str, Any]]) -> bool:
    ended = {status.get("name") for status in statuses if _is_terminated(status.get("state") or {})}
    return all(container.get("name") in ended for container in containers)


def _is_terminated(state: Mapping[str, Any]) -> bool:
    terminated: Mapping[str, Any] = state.get("terminated") or {}
    # With this reason the kubelet says that it did not find the container: no confirmation that it has stopped.
    return bool(terminated) and terminated.get("reason") != "ContainerStatusUnknown"


def _text(fields: Mapping[str, Any] | None, name: str) -> str:
    value = fields.get(name) if fields is not None else None
    return value if isinstance(value, str) else ""


def _number(text: object) -> int:
    """A revision or version, which is an integer in decimal; 0 for anything else."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20 else 0


def _is_lock(namespace: str, name: str) -> bool:
    try:
        LockName(namespace, name)
    except ValueError:
        return False
    return True
