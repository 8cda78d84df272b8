"""Which pods carry the leader's label. Pure."""

from __future__ import annotations

from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import LabelPod
from leasehold.operator.plan.resource import Lock


def label_changes(lock: Lock, facts: Facts) -> tuple[LabelPod, ...]:
    """Take the label off former holders' pods and put it on the holders'.

    Only pods in the Lock's own namespace: whoever owns a Lock has no say over pods in other namespaces.
    """
    namespace, labelled = lock.name.namespace, facts.situation.labelled
    holders = {
        (one.record.pod_namespace, one.record.pod, one.record.pod_uid)
        for one in facts.holding.holders
        if not one.record.foreign and one.record.pod_namespace == namespace and _is_pod(one.record)
    }
    desired = holders if lock.spec.pod_label and not lock.deleting else set()
    on = [LabelPod(*pod, on=True) for pod in sorted(desired - labelled)]
    return (*(LabelPod(*pod, on=False) for pod in sorted(labelled - desired)), *on)


def remove_labels(facts: Facts) -> tuple[LabelPod, ...]:
    """Take the label off every pod."""
    return tuple(LabelPod(*pod, on=False) for pod in sorted(facts.situation.labelled))


def _is_pod(record: Record) -> bool:
    """Whether a pod can have that name: it becomes part of a request's path."""
    try:
        LockName(record.pod_namespace, record.pod)
    except ValueError:
        return False
    return bool(record.pod_uid)
