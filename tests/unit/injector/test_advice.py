"""What is wrong with a workload is said when it is applied."""

import copy
from typing import Any

import pytest

from leasehold.injector import advice
from leasehold.injector.advice import Workload
from leasehold.injector.annotations import RequestRefused
from tests.unit.injector.pods import SIDECAR, pod

Body = dict[str, Any]
INJECT = {"leasehold.dev/inject": "true"}
LOCK = {"leasehold.dev/lock": "reports"}


def workload(kind: str = "Deployment", template: Body | None = None, metadata: Body | None = None, **spec: Any) -> Body:
    inner = {"template": pod() if template is None else template, **spec}
    body = {"jobTemplate": {"spec": inner}} if kind == "CronJob" else inner
    return {"metadata": {"name": "x", **(metadata or {})}, "spec": body}


def said(kind: str, body: Body, lock: Body | None = None) -> list[str]:
    """All that is said, the Lock being there with this spec."""
    before = copy.deepcopy(body)
    read = Workload.read(kind, body)
    found = list(advice.misplaced(read))
    try:
        request = advice.request_of(read, "ns", SIDECAR, require_lock=True)
    except RequestRefused as why:
        return [*found, advice.refused(read, why)]
    if request is not None:
        found += advice.gate(read.replicas, request, {"spec": lock or {}})
    assert body == before
    return found


@pytest.mark.parametrize("kind", [kind for kind in advice.REVISION_LABELS if kind not in ("DaemonSet", "ReplicaSet")])
def test_nothing_to_say(kind: str) -> None:
    template = pod(app_health="") if "Job" in kind else pod()
    assert said(kind, workload(kind, template)) == []
    assert said(kind, workload(kind, {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}})) == []
    assert said(kind, workload(kind, {"spec": {"containers": []}})) == []


@pytest.mark.parametrize("kind", advice.REVISION_LABELS)
@pytest.mark.parametrize(("part", "names"), [("labels", INJECT), ("annotations", LOCK)])
def test_on_the_workload_itself(kind: str, part: str, names: dict[str, str]) -> None:
    bare = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}}
    (name,) = names
    expected = f"{name} is among the {part} of the {kind} itself, where it has no effect: put it into the {part} of its"
    (sentence,) = said(kind, workload(kind, bare, {part: names}))
    assert sentence.startswith(expected)
    template = pod(app_health="") if "Job" in kind else pod()
    both = said(kind, workload(kind, template, {part: names}, replicas=1))
    assert [one for one in both if "itself" in one] == [], "tools put labels into both"


def test_on_a_job_template() -> None:
    body = workload("CronJob", {"spec": {"containers": []}})
    body["spec"]["jobTemplate"]["metadata"] = {"annotations": {**LOCK, "leasehold.dev/of-nobody": "x"}}
    (sentence,) = said("CronJob", body)
    assert "leasehold.dev/lock is among the annotations of the jobTemplate itself" in sentence


def test_annotation_without_the_label() -> None:
    template = pod()
    del template["metadata"]["labels"]["leasehold.dev/inject"]
    (sentence,) = said("Deployment", workload(template=template))
    assert 'not the label leasehold.dev/inject: "true": its pods will be refused' in sentence


def test_pods_that_will_be_refused() -> None:
    """As its pods are: those of a Deployment have a revision, and so need a health check."""
    (sentence,) = said("Deployment", workload(template=pod(app_health="")))
    assert sentence.startswith(
        "the pods of this Deployment will be refused: the annotation leasehold.dev/app-health is"
    )
    (sentence,) = said("Job", workload("Job", pod(gate="never", app_health="")))
    assert sentence.startswith("the pods of this Job will be refused: leasehold.dev/gate is 'never'")


@pytest.mark.parametrize(
    ("kind", "spec", "lock", "number"),
    [
        ("Deployment", {"replicas": 2}, {}, "2 replicas only 1"),
        ("StatefulSet", {"replicas": 4}, {"capacity": 3}, "4 replicas only 3"),
        ("DaemonSet", {}, {}, "pods, one a node, only 1"),
        ("Deployment", {"replicas": 3}, {"capacity": 3}, ""),
        ("Deployment", {"replicas": 0}, {}, ""),
        ("Job", {"parallelism": 3}, {}, ""),
    ],
)
def test_a_gate_that_never_completes(kind: str, spec: Body, lock: Body, number: str) -> None:
    found = said(kind, workload(kind, pod(app_health="") if kind == "Job" else pod(), **spec), lock)
    assert [number in one for one in found] == ([True] if number else [])
    assert said(kind, workload(kind, pod(gate="label"), **spec), {"podLabel": True, **lock}) == []


def test_a_label_that_nobody_sets() -> None:
    (sentence,) = said("Deployment", workload(template=pod(gate="label"), replicas=2))
    assert "the Lock reports does not label its leader's pod" in sentence


def test_every_sentence_is_one_line() -> None:
    body = workload(template=pod(gate="label", lock="a\nb"), metadata={"labels": INJECT})
    assert all("\n" not in one for one in said("Deployment", body))
