"""Asking a cluster for what `kubectl leasehold check` judges: side by side, within `WHOLE_SECONDS` in all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from leasehold.check.kube_facts import Asked, KubeFacts, Object, Right, SidecarAnswer
from leasehold.check.kube_reading import (
    has_ended,
    has_sidecar,
    lock_of,
    name_of,
    namespace_of,
    port_of,
    secrets_of,
    sidecar_state,
    table,
    text,
)
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.parallel import LATE, ask_all
from leasehold.lock.kube_names import locks_path

WHOLE_SECONDS: Final = 7.0
_FIRST_SECONDS: Final = 4.0
"""For the lists; what is asked because of them has the rest."""
_MOST_SIDECARS: Final = 50
_OURS: Final = "app.kubernetes.io/name=leasehold"
NEEDED: Final = (
    *(("leasehold.dev", "locks", verb) for verb in ("list", "watch", "patch")),
    ("leasehold.dev", "locks/status", "patch"),
    *(("", "pods", verb) for verb in ("get", "list", "watch", "patch")),
    *(("apps", kind, verb) for kind in ("replicasets", "statefulsets") for verb in ("list", "watch")),
    ("", "events", "create"),
)
"""The operator's rights in all namespaces: group, resource, verb."""


def ask(cluster: Cluster, namespace: str, lock: str = "") -> KubeFacts:
    """All facts about one namespace, or about all if it is empty; with `lock` its pods' sidecars are asked as well."""
    end = time.monotonic() + WHOLE_SECONDS
    first = ask_all(_lists(cluster, namespace), _FIRST_SECONDS)
    pods, deployments = _only(first["pods"], lock), first["deployments"]
    later: dict[Any, Callable[[], Any]] = {}
    later |= _secrets(cluster, pods)
    later |= _reviews(cluster, deployments)
    later |= _sidecars(cluster, pods) if lock else {}
    answers = ask_all(later, max(0.0, end - time.monotonic()))
    return KubeFacts(
        version=first["version"],
        locks=first["locks"],
        deployments=deployments,
        webhooks=first["webhooks"],
        policies=first["policies"],
        pods=pods,
        workloads=_only_workloads(first, lock),
        budgets=first["budgets"],
        secrets=_secrets_heard(answers),
        rights=[_right(key, heard) for key, heard in answers.items() if key[0] == "right"],
        sidecars=[_said(key[1], heard) for key, heard in answers.items() if key[0] == "sidecar"],
    )


def _lists(cluster: Cluster, namespace: str) -> dict[str, Callable[[], Any]]:
    where = f"/namespaces/{namespace}" if namespace else ""
    admission = "/apis/admissionregistration.k8s.io/v1"
    paths = {
        "locks": (locks_path(), "Locks", ""),
        "deployments": ("/apis/apps/v1/deployments", "Deployments", _OURS),
        "webhooks": (f"{admission}/mutatingwebhookconfigurations", "webhook configurations", _OURS),
        "policies": (f"{admission}/validatingadmissionpolicybindings", "admission policies", _OURS),
        "pods": (f"/api/v1{where}/pods", "pods", ""),
        "Deployment": (f"/apis/apps/v1{where}/deployments", "Deployments", ""),
        "StatefulSet": (f"/apis/apps/v1{where}/statefulsets", "StatefulSets", ""),
        "budgets": (f"/apis/policy/v1{where}/poddisruptionbudgets", "PodDisruptionBudgets", ""),
    }
    lists = {name: partial(cluster.objects, *one) for name, one in paths.items()}
    return {"version": partial(cluster.read, "/version", "the version"), **lists}


def _only(pods: Asked, lock: str) -> Asked:
    return pods if isinstance(pods, str) or not lock else [one for one in pods if lock_of(one) == lock]


def _only_workloads(first: Mapping[str, Any], lock: str) -> Asked:
    """Deployments and StatefulSets in one list: in a list of the API server, no item has its kind."""
    found: list[Object] = []
    for kind in ("Deployment", "StatefulSet"):
        if isinstance(first[kind], str):
            return str(first[kind])
        found += [{**one, "kind": kind} for one in first[kind]]
    return [one for one in found if not lock or lock_of(table(one, "spec", "template")) == lock]


# --- what is asked because of the lists ---


def _ours(pods: Asked) -> Iterable[Object]:
    return () if isinstance(pods, str) else (one for one in pods if has_sidecar(one) and not has_ended(one))


def _secrets(cluster: Cluster, pods: Asked) -> dict[Any, Callable[[], Any]]:
    wanted = {("secret", namespace_of(pod), name) for pod in _ours(pods) for name in secrets_of(pod)}
    return {key: partial(cluster.exists, f"/api/v1/namespaces/{key[1]}/secrets/{key[2]}") for key in wanted}


def _secrets_heard(answers: Mapping[Any, Any]) -> Mapping[str, Mapping[str, bool | str]]:
    found: dict[str, dict[str, bool | str]] = {}
    for key in sorted(key for key in answers if key[0] == "secret"):
        found.setdefault(key[1], {})[key[2]] = answers[key]
    return found


def _reviews(cluster: Cluster, deployments: Asked) -> dict[Any, Callable[[], Any]]:
    """Whether the operator's service account has its rights."""
    if isinstance(deployments, str):
        return {}
    label = "app.kubernetes.io/component"
    operators = [one for one in deployments if text(one, "metadata", "labels", label) == "operator"]
    users = {
        f"system:serviceaccount:{namespace_of(one)}:{text(one, 'spec', 'template', 'spec', 'serviceAccountName')}"
        for one in operators
    }
    keys = [("right", user, *needed) for user in sorted(users) for needed in NEEDED]
    return {key: partial(cluster.allowed, *key[1:]) for key in keys}


def _right(key: Sequence[str], heard: bool | str) -> Right:
    _, _, _, resource, verb = key
    if isinstance(heard, str):
        return Right(verb, resource, None, heard)
    return Right(verb, resource, heard)


def _sidecars(cluster: Cluster, pods: Asked) -> dict[Any, Callable[[], Any]]:
    running = [one for one in _ours(pods) if "running" in sidecar_state(one)][:_MOST_SIDECARS]
    return {
        ("sidecar", f"{namespace_of(pod)}/{name_of(pod)}"): partial(
            cluster.ask_pod, namespace_of(pod), name_of(pod), port_of(pod), "readyz"
        )
        for pod in running
    }


def _said(pod: str, heard: tuple[int, str] | str) -> SidecarAnswer:
    return SidecarAnswer(pod, 0, heard or LATE) if isinstance(heard, str) else SidecarAnswer(pod, *heard)
