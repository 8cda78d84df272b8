"""The facts about pods, ReplicaSets and StatefulSets that decisions need, read from the API server's bodies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leasehold.lock.names import LockName
from leasehold.operator.watch.pod_request import PodRequest, read_request
from leasehold.operator.watch.transform import LEADER_LABEL, LEADER_OF, REPLICASET_GROUP, REVISION


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. `owner` is its controller's UID, `leader_of` the names of the locks it is labelled for.

    `version` is the resourceVersion; it tells whether a body that arrives later is older.
    """

    namespace: str
    name: str
    uid: str
    owner: str = ""
    ended: bool = False
    leader_of: tuple[str, ...] = ()
    version: int = field(default=0, compare=False)
    request: PodRequest | None = None
    """What it has to do with a lock; None if it names none."""


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """A ReplicaSet. `owner` is its Deployment's UID, `group` its pods' `pod-template-hash`."""

    owner: str
    revision: int
    group: str
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StatefulSet:
    """A StatefulSet. `group` is the revision that its pods should have."""

    group: str
    version: int = field(default=0, compare=False)


def read_pod(body: Mapping[str, Any]) -> Pod:
    """Read a pod's body, which `transform` may have trimmed."""
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
        request=read_request(body),
    )


def read_replicaset(body: Mapping[str, Any]) -> ReplicaSet:
    """Read a ReplicaSet's body."""
    metadata = body["metadata"]
    return ReplicaSet(
        owner=controller(metadata),
        revision=_number(_text(metadata.get("annotations"), REVISION)),
        group=_text(metadata.get("labels"), REPLICASET_GROUP),
        version=_number(metadata.get("resourceVersion")),
    )


def read_statefulset(body: Mapping[str, Any]) -> StatefulSet:
    """Read a StatefulSet's body."""
    return StatefulSet(_text(body.get("status"), "updateRevision"), _number(body["metadata"].get("resourceVersion")))


def controller(metadata: Mapping[str, Any]) -> str:
    """The UID of the object's controller, "" if it has none."""
    references: Iterable[Mapping[str, Any]] = metadata.get("ownerReferences") or ()
    return next((str(each["uid"]) for each in references if each.get("controller")), "")


def has_ended(body: Mapping[str, Any]) -> bool:
    """Whether the kubelet has confirmed that no container of the pod runs any more.

    The phase alone is no proof: the control plane sets it to Failed if it has lost the pod's node. Every container in
    the spec, init containers too, must have the state terminated, reported by a kubelet that could find it.
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

    Somebody may have edited the annotation: text that cannot be a lock's name is ignored.
    """
    names = _text(metadata.get("annotations"), LEADER_OF).split(",")
    return tuple(name for name in names if _is_lock(metadata["namespace"], name))


def label_patch(body: Mapping[str, Any], lock: str, on: bool) -> dict[str, Any] | None:
    """The merge patch that labels the pod for the lock, or stops labelling it; None if nothing has to change.

    The API server refuses it if the pod has changed or was replaced meanwhile, so no other lock's name gets lost.
    """
    metadata = body["metadata"]
    before = leader_of(metadata)
    names = sorted({*before, lock} if on else set(before) - {lock})
    labelled = _text(metadata.get("labels"), LEADER_LABEL) == "true"
    if tuple(names) == before and labelled == bool(names):
        return None
    if not on and lock not in before:
        return None  # somebody else put the label there
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
    # With this reason the kubelet says that it did not find the container, which does not confirm that it has stopped.
    return bool(terminated) and terminated.get("reason") != "ContainerStatusUnknown"


def _text(fields: Mapping[str, Any] | None, name: str) -> str:
    value = fields.get(name) if fields is not None else None
    return value if isinstance(value, str) else ""


def _number(text: object) -> int:
    """A revision or version: a decimal integer; 0 for anything else."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20 else 0


def _is_lock(namespace: str, name: str) -> bool:
    try:
        LockName(namespace, name)
    except ValueError:
        return False
    return True
