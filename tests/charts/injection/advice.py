"""What is said about a workload where no injector is asked: conditions in CEL, sentences from the injector.

The pod of its template is judged by the same variables and sentences as a pod: see templates/advice-policy.yaml.
"""

from collections.abc import Mapping
from typing import Any, Final

from leasehold.injector import advice, annotations
from leasehold.injector.advice import Workload
from leasehold.injector.annotations import RequestRefused
from leasehold.lock.kube_names import INJECT_LABEL, PREFIX
from tests.charts.injection.cel import quoted, text
from tests.charts.injection.request import KNOWN
from tests.unit.injector.pods import SIDECAR, pod

_KIND: Final = "request.kind.kind"
_LOCK: Final = f"{PREFIX}lock"
_ASKS: Final = f"{quoted(INJECT_LABEL)} in variables.labels"
_TEMPLATE: Final = "variables.workload.spec.template"
_OF_CRON_JOB: Final = "variables.workload.spec.jobTemplate"
_REVISIONS: Final = {
    kind: label if label in annotations._REVISION_LABELS else "" for kind, label in advice.REVISION_LABELS.items()
}
Body = dict[str, Any]


def _of(kinds: Mapping[str, str]) -> str:
    """A map of texts."""
    return "{" + ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in kinds.items()) + "}"


def _workload(kind: str, template: Body, **spec: Any) -> Workload:
    return Workload.read(kind, {"metadata": {}, "spec": {"template": template, **spec}})


def _misplaced() -> str:
    """The sentence about one name in one part of one place."""
    body = {"metadata": {"labels": {INJECT_LABEL: "true"}}, "spec": {"template": {"spec": {}}}}
    (sentence,) = advice.misplaced(Workload.read("Deployment", body))
    return text(sentence, {INJECT_LABEL: "name", "labels": "part", "Deployment": "place.kind"})


def _unlabelled() -> str:
    (sentence,) = advice.misplaced(_workload("Job", {"metadata": {"annotations": {_LOCK: "x"}}, "spec": {}}))
    return text(sentence, {})


def _refused() -> str:
    workload = _workload("Deployment", {"spec": {}})
    words = {"Deployment": _KIND, "<why>": "variables.refusal"}
    return text(advice.refused(workload, RequestRefused("<why>")), words)


def _gate() -> str:
    """As the injector says it of a Lock, whose capacity is not known here."""
    workload = _workload("Deployment", pod(), replicas=7)
    request = advice.request_of(workload, "x", SIDECAR, require_lock=True)
    assert request is not None
    (sentence,) = advice.gate(workload.replicas, request, None)
    for known, unknown in (
        ("only 1 will be Ready", "no more will be Ready than its Lock has capacity, 1 unless the Lock says otherwise"),
        ("no rollout will", "no rollout of more will"),
        ("use 1 of them", "use no more than that"),
    ):
        assert known in sentence
        sentence = sentence.replace(known, unknown)
    return text(sentence, {"7 replicas": "variables.number"})


VARIABLES: Final[dict[str, str]] = {
    "workload": "dyn(object)",
    "template": f"{_KIND} == 'CronJob' ? {_OF_CRON_JOB}.spec.template : {_TEMPLATE}",
    "pod": "{'metadata': variables.template.?metadata.orValue(dyn({})), 'spec': variables.template.spec}",
}
"""Before those of a pod, whose `object` is `variables.pod` here."""
INSTEAD: Final[dict[str, str]] = {
    "revision": f"{_of(_REVISIONS)}[{_KIND}]",
    "ofJob": f"{_KIND} in ['Job', 'CronJob']",
    "right": "false",
}
"""What is another way of a pod that is not there yet. Its controller gives it labels and an owner."""
AFTER: Final[dict[str, str]] = {
    "places": (
        f"[{{'kind': dyn({_KIND}), 'metadata': dyn(variables.workload.metadata)}}] + ({_KIND} == 'CronJob' ? "
        f"[{{'kind': dyn('jobTemplate'), 'metadata': {_OF_CRON_JOB}.?metadata.orValue(dyn({{}}))}}] : [])"
    ),
    "ours": "[" + ", ".join(quoted(name) for name in (INJECT_LABEL, *(PREFIX + name for name in KNOWN))) + "]",
    "misplaced": (
        "variables.places.map(place, ['labels', 'annotations'].map(part, variables.ours.filter(name, name in "
        "place.metadata[?part].orValue(dyn({})) && !(name in variables.pod.metadata[?part].orValue(dyn({})))).sort()"
        f".map(name, {_misplaced()}))).flatten().flatten()"
    ),
    "replicas": (
        f"{_KIND} == 'DaemonSet' ? 2 : {_KIND} in ['Job', 'CronJob'] ? 1 : "
        "int(variables.workload.spec.?replicas.orValue(1))"
    ),
    "number": f"{_KIND} == 'DaemonSet' ? 'pods, one a node,' : string(variables.replicas) + ' replicas'",
}
WARNINGS: Final[list[tuple[str, str]]] = [
    ("size(variables.misplaced) > 0", "variables.misplaced.join('; leasehold: ')"),
    (f"{quoted(_LOCK)} in variables.annotations && !({_ASKS})", _unlabelled()),
    (f"{_ASKS} && variables.refusal != ''", _refused()),
    (
        f"{_ASKS} && variables.refusal == '' && variables.gate == {quoted(annotations.GATES[0])} && "
        "variables.replicas > 1",
        _gate(),
    ),
]
"""When something is said, and what."""
