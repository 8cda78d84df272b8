"""Bodies as the API server gives them, and the queue entries of their pods."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from leasehold.lock.record import Entry, Record

_revisions = itertools.count(100)

Body = dict[str, Any]


def owned_by(kind: str, uid: str) -> list[Body]:
    return [
        {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "other"},
        {"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": uid, "controller": True},
    ]


def pod(
    uid: str, owner: str = "", phase: str = "Running", version: int = 1, leads: str = "", namespace: str = "team"
) -> Body:
    return {
        "metadata": {
            "name": f"pod-{uid}",
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {"app": "x", "leasehold.dev/leader": "true"} if leads else {"app": "x"},
            "annotations": {"note": "long", "leasehold.dev/leader-of": leads} if leads else {},
            "managedFields": [{"manager": "kubelet"}],
            "ownerReferences": owned_by("ReplicaSet", owner) if owner else None,
        },
        "spec": {"containers": [{"name": "app", "image": "x"}], "initContainers": [{"name": "sidecar"}]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "app", "state": terminated()}],
            "initContainerStatuses": [{"name": "sidecar", "state": terminated()}],
        },
    }


def terminated(reason: str = "Completed") -> Body:
    return {"terminated": {"exitCode": 0, "reason": reason, "containerID": "containerd://x"}}


def replicaset(uid: str, deployment: str, revision: int, group: str, version: int = 1) -> Body:
    return {
        "metadata": {
            "name": uid,
            "namespace": "team",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {"pod-template-hash": group},
            "annotations": {"deployment.kubernetes.io/revision": str(revision), "else": "x"},
            "ownerReferences": owned_by("Deployment", deployment) if deployment else [],
        },
        "spec": {"template": {}},
    }


def statefulset(uid: str, group: str, version: int = 1) -> Body:
    metadata = {"name": uid, "namespace": "team", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, "status": {"updateRevision": group, "replicas": 1}}


def entry(body: Mapping[str, Any] | None, **changes: Any) -> Entry:
    """The queue entry of a pod's sidecar; of somebody who is no sidecar without a body."""
    revision = next(_revisions)
    if body is None:
        return Entry(f"q/{revision:x}", revision, revision, revision, Record("somebody", foreign=True))
    metadata = body["metadata"]
    fields = {"pod": metadata["name"], "pod_namespace": metadata["namespace"], "pod_uid": metadata["uid"]}
    record = Record(identity=metadata["name"], incarnation="i", **{**fields, **changes})
    return Entry(f"q/{revision:x}", revision, revision, revision, record)
