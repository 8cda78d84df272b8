"""What the facts about a cluster's own parts mean: Kubernetes, the operator, the injector, rights, Locks. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from leasehold.check.certificates import end_of_pem
from leasehold.check.etcd_rows import certificate_row
from leasehold.check.kube_facts import KubeFacts, Object, Objects
from leasehold.check.kube_reading import items, name_of, namespace_of, number, table, text
from leasehold.check.rows import Level, Row, unasked

SECTION: Final = "leasehold on the cluster"
LOCKS: Final = "locks"
CANARY: Final = "leasehold-operator-canary"
CANARY_STALE_SECONDS: Final = 120.0
_OLDEST_MINOR: Final = 30


def rows_of(facts: KubeFacts, now: datetime) -> list[Row]:
    """The rows about Leasehold's own parts."""
    found = [_version(facts), _resource(facts)]
    if isinstance(facts.deployments, str):
        found.append(unasked(SECTION, "operator", facts.deployments))
    else:
        found += [_part(facts.deployments, "operator"), *_canary(facts, now), *_injector(facts, facts.deployments, now)]
    return [*found, _policy(facts), *_rights(facts)]


def _version(facts: KubeFacts) -> Row:
    if isinstance(facts.version, str):
        cure = "check the kubeconfig and the context, and that the API server can be reached"
        return unasked(SECTION, "kubernetes", facts.version, cure)
    version = text(facts.version, "gitVersion")
    minor = text(facts.version, "minor").rstrip("+")
    if minor.isdigit() and int(minor) < _OLDEST_MINOR:
        cure = "use 1.30 or newer"
        return Row(SECTION, "kubernetes", Level.FAILED, f"Kubernetes is {version}, which is too old", cure)
    return Row(SECTION, "kubernetes", Level.OK, f"Kubernetes is {version}")


def _resource(facts: KubeFacts) -> Row:
    if not isinstance(facts.locks, str):
        return Row(
            SECTION, "resource", Level.OK, f"the resource Lock is there, with {len(facts.locks)} Locks to look at"
        )
    cure = "install the chart leasehold, or kubectl apply -f manifests/crd.yaml; or ask for the right to list Locks"
    return unasked(SECTION, "resource", facts.locks, cure, "Locks")


# --- operator and injector ---


def _of(deployments: Objects, component: str) -> list[Object]:
    return [one for one in deployments if text(one, "metadata", "labels", "app.kubernetes.io/component") == component]


def _part(deployments: Objects, component: str) -> Row:
    found = _of(deployments, component)
    if not found:
        cure = "helm install leasehold charts/leasehold: until then Locks are neither declared nor reported"
        return Row(SECTION, component, Level.FAILED, f"no Deployment of the {component} is there", cure)
    desired = sum(number(one, "spec", "replicas") for one in found)
    ready = sum(number(one, "status", "readyReplicas") for one in found)
    where = f"{namespace_of(found[0])}/{name_of(found[0])}"
    cure = f"kubectl --namespace {namespace_of(found[0])} describe pods, and their logs"
    if not ready:
        return Row(SECTION, component, Level.FAILED, f"none of its {desired} replicas is ready", cure, where)
    if ready < desired:
        return Row(SECTION, component, Level.WARNING, f"{ready} of {desired} replicas are ready", cure, where)
    return Row(SECTION, component, Level.OK, f"{ready} of {desired} replicas are ready", about=where)


def _canary(facts: KubeFacts, now: datetime) -> Iterator[Row]:
    """The operator writes its canary three times a minute: its age is that of all statuses."""
    found = [] if isinstance(facts.locks, str) else [one for one in facts.locks if name_of(one) == CANARY]
    times = [text(one, "time") for lock in found for one in items(lock, "metadata", "managedFields")]
    written = [datetime.fromisoformat(one) for one in times if one.endswith("Z")]
    if not written:
        return
    age = (now - max(written)).total_seconds()
    if age <= CANARY_STALE_SECONDS:
        yield Row(SECTION, "operator-alive", Level.OK, f"the operator wrote its canary {max(age, 0):.0f} s ago")
    else:
        cure = "what Locks show is as old as that: see the operator's pods and logs"
        found_text = f"the operator last wrote its canary {age:.0f} s ago"
        yield Row(SECTION, "operator-alive", Level.FAILED, found_text, cure)


def _injector(facts: KubeFacts, deployments: Objects, now: datetime) -> Iterator[Row]:
    if not _of(deployments, "injector"):
        yield Row(
            SECTION,
            "injector",
            Level.OK,
            "no injector runs: the API server gives pods their sidecars, or they bring them",
        )
        return
    yield _part(deployments, "injector")
    if isinstance(facts.webhooks, str):
        yield unasked(SECTION, "injector-webhook", facts.webhooks)
        return
    hooks = [hook for one in facts.webhooks for hook in items(one, "webhooks")]
    if not hooks:
        cure = "helm upgrade leasehold: the API server does not ask the injector about pods"
        yield Row(SECTION, "injector-webhook", Level.FAILED, "its webhook configuration is missing", cure)
    for hook in hooks:
        yield _webhook(text(hook, "name"), text(hook, "clientConfig", "caBundle"), now)


def _webhook(name: str, bundle: str, now: datetime) -> Row:
    try:
        end = end_of_pem(base64.b64decode(bundle).decode("ascii", "replace"))
    except (ValueError, binascii.Error):
        cure = "the injector writes it once it runs: see its pods and logs; labelled pods are refused until then"
        return Row(SECTION, "injector-webhook", Level.FAILED, "its caBundle holds no certificate", cure, name)
    return certificate_row(SECTION, "injector-webhook", f"the authority of {name}", end, now)


def _policy(facts: KubeFacts) -> Row:
    if isinstance(facts.policies, str):
        return unasked(SECTION, "policy", facts.policies)
    if any(name_of(one).endswith("-sidecar") for one in facts.policies):
        return Row(SECTION, "policy", Level.OK, "the admission policy refuses labelled pods without a sidecar")
    cure = "helm upgrade leasehold: without it a pod that nobody gave its sidecar runs unprotected"
    return Row(SECTION, "policy", Level.WARNING, "the admission policy for labelled pods is missing", cure)


def _rights(facts: KubeFacts) -> Iterator[Row]:
    missing = [right for right in facts.rights if right.allowed is False]
    for right in missing:
        cure = "helm upgrade leasehold, or kubectl apply -f manifests/operator.yaml, restores its rights"
        yield Row(SECTION, "rights", Level.FAILED, f"the operator may not {right.verb} {right.resource}", cure)
    silent = next((right for right in facts.rights if right.allowed is None), None)
    if silent:
        yield unasked(SECTION, "rights", silent.why, about="the operator's rights")
    elif facts.rights and not missing:
        yield Row(SECTION, "rights", Level.OK, "the operator has its rights")


# --- Locks ---


def lock_rows(locks: Objects) -> list[Row]:
    """The rows about Locks; those of which nothing is to be said are counted in one row."""
    shown = [one for one in locks if name_of(one) != CANARY]
    found = [row for lock in shown for row in _lock(lock)]
    well = len(shown) - len({row.about for row in found})
    return [Row(LOCKS, "locks", Level.OK, f"{well} of {len(shown)} Locks are well"), *found]


def _lock(lock: Object) -> Iterator[Row]:
    about = f"{namespace_of(lock)}/{name_of(lock)}"
    conditions = {text(one, "type"): one for one in items(lock, "status", "conditions")}
    if not conditions:
        cure = "the operator has not looked at it: see the operator's row above"
        yield Row(LOCKS, "lock-ready", Level.FAILED, "has no status", cure, about)
        return
    yield from _conditions(about, conditions, suspended=table(lock, "spec").get("suspend") is True)
    if text(lock, "metadata", "deletionTimestamp"):
        cure = "it goes once its holders have handed over, within one lease duration, if etcd and the operator answer"
        yield Row(LOCKS, "lock-deleting", Level.WARNING, "is being deleted", cure, about)


def _conditions(about: str, conditions: dict[str, Object], *, suspended: bool) -> Iterator[Row]:
    ready, held, degraded = (conditions.get(kind, {}) for kind in ("Ready", "Held", "Degraded"))
    if text(ready, "status") != "True":
        yield Row(LOCKS, "lock-ready", Level.FAILED, _said(ready, "is not ready"), _cure(ready), about)
    if suspended:
        cure = "kubectl leasehold resume NAME"
        yield Row(LOCKS, "lock-suspended", Level.WARNING, "is suspended: nobody may hold it", cure, about)
    elif text(held, "status") != "True" and text(ready, "status") == "True":
        yield Row(LOCKS, "lock-held", Level.FAILED, _said(held, "is held by nobody"), _HELD_CURE, about)
    if text(degraded, "status") == "True":
        yield Row(LOCKS, "lock-degraded", Level.WARNING, _said(degraded, "is degraded"), _cure(degraded), about)


_HELD_CURE: Final = "look at the rows of its pods; kubectl leasehold check NAME asks their sidecars"
_CURES: Final = {
    "EtcdUnreachable": "see etcd's members and the network between them and the operator; leasehold check --etcd URL",
    "OperatorRemoved": "install Leasehold again; the sidecars need no operator, as long as their etcd is there",
    "KeyCollision": "give each cluster another --root, or delete the other's declaration in etcd",
    "Pending": "see the operator's row above: none has looked at it",
    "CapacityHeldBack": "wait: it takes effect by itself, one lease duration after it was lowered",
    "InvalidSpec": "correct the fields that the message names",
    "StoreRolledBack": "lower or clear spec.handoverUpToToken and spec.revokeUpToToken, if they are set",
    "TokenAhead": "lower spec.handoverUpToToken or spec.revokeUpToToken",
    "ForeignHolder": "stop the candidate that is not Leasehold's, if it is not meant to lead",
    "NoCandidate": "see the reasons of its pods in the status",
}


def _said(condition: Object, otherwise: str) -> str:
    reason = text(condition, "reason")
    message = text(condition, "message").rstrip(".")
    return f"{reason}: {message}" if reason and message else message or reason or otherwise


def _cure(condition: Object) -> str:
    return _CURES.get(text(condition, "reason"), "kubectl describe lock NAME; the operator's log says more")
