"""What is wrong with a workload, or may be, in sentences for whoever applies it. Pure.

A mistake in a template shows when its pods are made, by a controller and minutes later; nobody reads its events. So the
template is checked as its pods will be, and what can be said of the workload alone is said. Nothing here refuses
anything: the API server prints these sentences as warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leasehold.injector import annotations as reading
from leasehold.injector import patch
from leasehold.injector.annotations import LABEL, InjectionRequest, RequestRefused
from leasehold.injector.container import Sidecar
from leasehold.lock.kube_names import INJECT_LABEL, PREFIX

Object = Mapping[str, Any]

REVISION_LABELS: Final = {
    "Deployment": "pod-template-hash",
    "ReplicaSet": "pod-template-hash",
    "StatefulSet": "controller-revision-hash",
    "DaemonSet": "controller-revision-hash",
    "Job": "batch.kubernetes.io/job-name",
    "CronJob": "batch.kubernetes.io/job-name",
}
"""The workloads that are looked at, and the label by which their controllers tell a pod's revision."""
MAX_WARNINGS: Final = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as it is applied. `template` is that of its pods."""

    kind: str
    body: Object
    template: Object

    @classmethod
    def read(cls, kind: str, body: Object) -> Workload:
        """Raises KeyError, TypeError or AttributeError for a body that the API server would refuse."""
        spec = body["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else body["spec"]
        return cls(kind, body, spec["template"])

    @property
    def replicas(self) -> int | None:
        """How many pods it wants; None if that depends on the cluster."""
        if self.kind == "DaemonSet":
            return None
        spec = self.body["spec"]
        return int(spec.get("replicas", 1)) if "Job" not in self.kind else 1

    def pod(self) -> dict[str, Any]:
        """A pod of the template, as its controller will make it."""
        metadata = self.template.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), REVISION_LABELS[self.kind]: "x"}
        return {"metadata": {**metadata, "labels": labels}, "spec": self.template["spec"]}


def misplaced(workload: Workload) -> Iterator[str]:
    """The label, or annotations, where nobody reads them."""
    template = workload.template.get("metadata") or {}
    places = [(workload.kind, workload.body.get("metadata") or {})]
    if workload.kind == "CronJob":
        places.append(("jobTemplate", workload.body["spec"]["jobTemplate"].get("metadata") or {}))
    for place, metadata in places:
        for part in ("labels", "annotations"):
            for name in sorted(_ours(metadata.get(part)) - _ours(template.get(part))):
                yield (
                    f"{name} is among the {part} of the {place} itself, where it has no effect: "
                    f"put it into the {part} of its pod template"
                )
    if f"{PREFIX}lock" in _ours(template.get("annotations")) and INJECT_LABEL not in _ours(template.get("labels")):
        yield (
            f'the pod template has the annotation {PREFIX}lock, but not the label {INJECT_LABEL}: "true": '
            "its pods will be refused"
        )


def request_of(workload: Workload, namespace: str, sidecar: Sidecar, *, require_lock: bool) -> InjectionRequest | None:
    """What its pods will request, None if that is nothing. Raises RequestRefused if they will be refused."""
    if INJECT_LABEL not in _ours((workload.template.get("metadata") or {}).get("labels")):
        return None
    pod = workload.pod()
    request = patch.injection_request(pod, namespace, require_lock=require_lock)
    patch.draft(pod, request, sidecar)
    return request


def refused(workload: Workload, why: RequestRefused) -> str:
    """That its pods will be refused."""
    return f"the pods of this {workload.kind} will be refused: {why}"


def undeclared(request: InjectionRequest) -> str:
    """That the lock of a pod is not there."""
    lock = request.lock
    return (
        f"there is no Lock {lock.name} in the namespace {lock.namespace}: until it is declared, nobody leads; "
        f'if it needs no declaration, set the annotation {PREFIX}require-lock to "false"'
    )


def gate(replicas: int | None, request: InjectionRequest, lock: Object | None) -> Iterator[str]:
    """A gate by which so many pods can never be ready, or their leader never be found. `lock` is the Lock, if any."""
    spec = (lock or {}).get("spec") or {}
    capacity = int(spec.get("capacity") or 1)
    if request.gate == reading.GATES[0] and (replicas is None or replicas > capacity):
        number = "pods, one a node," if replicas is None else f"{replicas} replicas"
        yield (
            f"of {number} only {capacity} will be Ready, since with the gate {request.gate} only a leader is: no "
            f"rollout will complete; use {capacity} of them, or the annotation {PREFIX}gate: {LABEL}"
        )
    if request.gate == LABEL and lock is not None and not spec.get("podLabel"):
        yield (
            f"the gate is {LABEL}, but the Lock {request.lock.name} does not label its leader's pod, for a Service to "
            "select it: set podLabel: true in its spec"
        )


def _ours(names: Mapping[str, str] | None) -> set[str]:
    """Of these labels or annotations those that ask Leasehold for something."""
    return {name for name in names or () if name == INJECT_LABEL or reading.is_known(name)}
