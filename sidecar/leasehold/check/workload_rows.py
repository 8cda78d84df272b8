"""What the facts about workloads, their pods, Secrets and budgets mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from leasehold.check.kube_facts import KubeFacts, Object, Objects
from leasehold.check.kube_reading import (
    asks_injector,
    gate_of,
    has_ended,
    has_sidecar,
    items,
    lock_of,
    name_of,
    namespace_of,
    number,
    sidecar_state,
    table,
    text,
)
from leasehold.check.rows import Level, Row, unasked
from leasehold.lock.kube_names import INJECT_LABEL

SECTION: Final = "workloads"


def rows_of(facts: KubeFacts) -> list[Row]:
    """All rows about workloads and pods that name a lock; without `facts.locks`, not whether these exist."""
    return [*_workloads(facts), *_pods(facts), *_secrets(facts), *_sidecars(facts)]


# --- workloads ---


def _workloads(facts: KubeFacts) -> Iterator[Row]:
    if isinstance(facts.workloads, str):
        yield unasked(SECTION, "workloads", facts.workloads)
        return
    ours = [one for one in facts.workloads if lock_of(_template(one))]
    found = [row for one in ours for row in _workload(one, facts)]
    well = len(ours) - len({row.about for row in found})
    yield Row(SECTION, "workloads", Level.OK, f"{well} of {len(ours)} workloads that name a lock are set up well")
    yield from found
    if isinstance(facts.budgets, str):
        yield unasked(SECTION, "budget", facts.budgets)
    else:
        yield from _budgets(facts.budgets, [one for one in ours if gate_of(_template(one)) == "readiness"])


def _template(workload: Object) -> Object:
    return table(workload, "spec", "template")


def _workload(workload: Object, facts: KubeFacts) -> Iterator[Row]:
    about = f"{text(workload, 'kind').lower()} {namespace_of(workload)}/{name_of(workload)}"
    template = _template(workload)
    lock = _lock(facts, namespace_of(workload), lock_of(template))
    if not has_sidecar(template) and not asks_injector(template):
        cure = f'add the label {INJECT_LABEL}: "true" to its pod template'
        found = "names a lock by its annotation, but nobody gives its pods a sidecar"
        yield Row(SECTION, "no-sidecar", Level.FAILED, found, cure, about)
    if lock is None:
        cure = "declare the Lock in this namespace, or correct the name"
        found = f"names the Lock {lock_of(template)}, which does not exist"
        yield Row(SECTION, "no-lock", Level.FAILED, found, cure, about)
    yield from _gate(about, workload, template, lock)


def _gate(about: str, workload: Object, template: Object, lock: Object | None) -> Iterator[Row]:
    if not has_sidecar(template) and not asks_injector(template):
        return
    gate, replicas = gate_of(template), number(workload, "spec", "replicas")
    if gate == "readiness" and replicas > 1:
        cure = "set replicas to 1, or use the gate label with podLabel: true in the Lock"
        found = f"has {replicas} replicas behind the gate readiness: only the leader is Ready, no rollout completes"
        yield Row(SECTION, "gate", Level.FAILED, found, cure, about)
    if gate == "label" and lock is not None and lock and table(lock, "spec").get("podLabel") is not True:
        cure = "set podLabel: true in the Lock, if a Service is to find the leader"
        yield Row(SECTION, "pod-label", Level.WARNING, "has the gate label, and its Lock gives no label", cure, about)


def _lock(facts: KubeFacts, namespace: str, name: str) -> Object | None:
    """The Lock; an empty object if Locks could not be asked; None if it does not exist."""
    if isinstance(facts.locks, str):
        return {}
    return next((one for one in facts.locks if (namespace_of(one), name_of(one)) == (namespace, name)), None)


# --- budgets ---


def _budgets(budgets: Objects, gated: Objects) -> Iterator[Row]:
    """A budget that demands a Ready pod of a workload that has but one: no node with it can be drained."""
    for budget in budgets:
        least = table(budget, "spec").get("minAvailable")
        selected = [one for one in gated if _selects(budget, one)]
        if selected and least not in (None, 0, "0", "0%"):
            about = f"poddisruptionbudget {namespace_of(budget)}/{name_of(budget)}"
            found = f"demands minAvailable {least} of {name_of(selected[0])}, of which only the leader is Ready"
            cure = "use maxUnavailable: 1 instead: as it is, no node with the leader can be drained"
            yield Row(SECTION, "budget", Level.FAILED, found, cure, about)


def _selects(budget: Object, workload: Object) -> bool:
    wanted = table(budget, "spec", "selector", "matchLabels")
    labels = table(_template(workload), "metadata", "labels")
    return bool(wanted) and namespace_of(budget) == namespace_of(workload) and wanted.items() <= labels.items()


# --- pods ---


def _pods(facts: KubeFacts) -> Iterator[Row]:
    if isinstance(facts.pods, str):
        yield unasked(SECTION, "pods", facts.pods)
        return
    ours = [one for one in facts.pods if lock_of(one) and not has_ended(one)]
    found = [row for one in ours for row in _pod(one)]
    yield Row(SECTION, "pods", Level.OK, f"the sidecars of {len(ours) - len(found)} of {len(ours)} pods run")
    yield from found


def _pod(pod: Object) -> Iterator[Row]:
    about = f"pod {namespace_of(pod)}/{name_of(pod)}"
    if not has_sidecar(pod):
        cure = "delete the pod: the injector gives its successor a sidecar"
        yield Row(
            SECTION, "pod-unprotected", Level.FAILED, f"names the lock {lock_of(pod)}, without a sidecar", cure, about
        )
    elif "running" not in sidecar_state(pod):
        cure = f"kubectl --namespace {namespace_of(pod)} describe pod {name_of(pod)}"
        yield Row(SECTION, "pod-not-running", Level.FAILED, f"its sidecar does not run: {_why(pod)}", cure, about)


def _why(pod: Object) -> str:
    state = sidecar_state(pod)
    for kind in ("waiting", "terminated"):
        said = table(state, kind)
        if said:
            return ": ".join(filter(None, (text(said, "reason"), text(said, "message")))) or kind
    scheduled = (one for one in items(pod, "status", "conditions") if text(one, "type") == "PodScheduled")
    unscheduled = next((one for one in scheduled if text(one, "status") == "False"), None)
    if unscheduled is not None:
        return f"the pod has no node: {text(unscheduled, 'message') or text(unscheduled, 'reason')}"
    return "the kubelet has not started it yet"


def _secrets(facts: KubeFacts) -> Iterator[Row]:
    for namespace, secrets in facts.secrets.items():
        yield from _secrets_of(namespace, secrets)


def _secrets_of(namespace: str, secrets: Mapping[str, bool | str]) -> Iterator[Row]:
    for name, there in secrets.items():
        about = f"secret {namespace}/{name}"
        if isinstance(there, str):
            yield unasked(SECTION, "secret", there, about=about)
        elif not there:
            cure = f"declare a Lock in {namespace}: the operator then makes it; if it is yours, copy it there"
            yield Row(SECTION, "secret", Level.FAILED, "is missing: sidecars here cannot start", cure, about)
        else:
            yield Row(SECTION, "secret", Level.OK, "is there", about=about)


# --- what sidecars say themselves ---


def _sidecars(facts: KubeFacts) -> Iterator[Row]:
    for answer in facts.sidecars:
        about = f"pod {answer.pod}"
        if answer.status == 200:
            yield Row(SECTION, "pod-queued", Level.OK, "its sidecar is in the queue", about=about)
        elif answer.status:
            cure = "the reason is the sidecar's own; its log has more"
            yield Row(SECTION, "pod-queued", Level.FAILED, f"is not in the queue: {answer.text}", cure, about)
        else:
            yield unasked(SECTION, "pod-queued", answer.text, "ask for the right to get pods/proxy", about)
