"""Where no injector is asked, the API server warns of a workload's mistakes in the injector's words."""

import copy
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from leasehold.injector import advice
from leasehold.injector.advice import Workload
from leasehold.injector.annotations import RequestRefused
from leasehold.injector.container import Sidecar
from tests.charts.injection import pods
from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.charts.test_injection_policy import SETTINGS, injector_of
from tests.cluster import ControlPlane, Object
from tests.servers import wait_for
from tests.unit.injector.pods import Pod

NAME = "leasehold-advice"
WORDS = values(**SETTINGS[0])
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
INJECT = {"leasehold.dev/inject": "true"}
LOCK = {"leasehold.dev/lock": "reports"}
PREFIX = "leasehold: "
ONE_A_NODE = (
    f"{PREFIX}of pods, one a node, no more will be Ready than its Lock has capacity, 1 unless the Lock says otherwise, "
    "since with the gate readiness only a leader is: no rollout of more will complete; use no more than that, or the "
    "annotation leasehold.dev/gate: label"
)


class Advised:
    """An API server with the chart's policy about workloads, and a namespace."""

    def __init__(self, api: ControlPlane) -> None:
        self.api = api
        self.own = api.make_namespace()

    def install(self) -> None:
        for each in objects(render(LEASEHOLD, *WORDS, "--set=injector.mode=policy")):
            if each["metadata"]["name"] == NAME:
                self.api.apply(each)
        mistaken = workload("Deployment", bare_template(), metadata={"labels": INJECT})
        wait_for(lambda: self.said(mistaken), "the policy to be in force")

    def said(self, body: Object) -> str:
        """What whoever applies it is told, a sentence a line; a dry run."""
        plural = f"{body['kind'].lower()}s"
        path = f"/apis/{body['apiVersion']}/namespaces/{self.own}/{plural}?dryRun=All&fieldValidation=Strict"
        self.api.rest.call("POST", path, body)
        found = [each.partition(f"'{NAME}': ")[2] for each in self.api.rest.warnings if f"'{NAME}'" in each]
        assert all(each.startswith(PREFIX) for each in found)
        return "\n".join(found)


@pytest.fixture(scope="module")
def advised() -> Iterator[Advised]:
    with ControlPlane(name="advice", crd=False) as api:
        made = Advised(api)
        made.install()
        yield made


def bare_template() -> Pod:
    return {"metadata": {"labels": {"app": "x"}}, "spec": copy.deepcopy(pods.bare_pod()["spec"])}


def workload(kind: str, template: Pod, metadata: Object | None = None, **spec: Any) -> Object:
    """A complete one. `metadata` is the workload's own."""
    template = {"metadata": {**template["metadata"]}, "spec": template["spec"]}
    template["metadata"].pop("name", None)
    template["metadata"]["labels"] = {"app": "x", **template["metadata"].get("labels", {})}
    inner: Object = {"template": template, **spec}
    if "Job" in kind:
        template["spec"] = {**template["spec"], "restartPolicy": "Never"}
    else:
        inner["selector"] = {"matchLabels": {"app": "x"}}
    if kind == "StatefulSet":
        inner["serviceName"] = "x"
    body = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": inner}} if kind == "CronJob" else inner
    version = "batch/v1" if "Job" in kind else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", **(metadata or {})}, "spec": body}


def template_of(kind: str) -> Pod:
    """One that nothing is wrong with."""
    template = pods.bare_pod()
    if "Job" in kind:
        del template["metadata"]["annotations"]["leasehold.dev/app-health"]
    return template


@functools.cache
def sidecar() -> Sidecar:
    """The settings of the chart's injector."""
    return injector_of(WORDS).sidecar


def expected(body: Object) -> list[str]:
    """What the injector would say, but for what depends on the Lock."""
    read = Workload.read(body["kind"], body)
    found = list(advice.misplaced(read))
    try:
        advice.request_of(read, "x", sidecar(), require_lock=True)
    except RequestRefused as why:
        found.append(advice.refused(read, why))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_workload(advised: Advised, kind: str) -> None:
    """Nothing is said of a right one; what is said of the others is what the injector says."""
    assert advised.said(workload(kind, bare_template())) == ""
    assert advised.said(workload(kind, template_of(kind))) == (ONE_A_NODE if kind == "DaemonSet" else "")
    unlabelled = template_of(kind)
    del unlabelled["metadata"]["labels"]
    late = template_of(kind)
    late["metadata"]["annotations"]["leasehold.dev/ttl"] = "2"
    for body in (
        workload(kind, bare_template(), metadata={"labels": INJECT}),
        workload(kind, bare_template(), metadata={"annotations": {**LOCK, "leasehold.dev/ttl": "5"}}),
        workload(kind, unlabelled),
        workload(kind, late),
    ):
        told = advised.said(body)
        assert expected(body)
        assert all(PREFIX + sentence in told for sentence in expected(body)), told


def test_job_template_that_has_annotations(advised: Advised) -> None:
    body = workload("CronJob", bare_template())
    body["spec"]["jobTemplate"]["metadata"] = {"annotations": LOCK}
    assert [advised.said(body)] == [PREFIX + sentence for sentence in expected(body)]


def test_gate_that_never_completes(advised: Advised) -> None:
    """More replicas than may be Ready, as far as that can be known without the Lock."""
    body = workload("Deployment", template_of("Deployment"), replicas=3)
    assert "of 3 replicas no more will be Ready than its Lock has capacity" in advised.said(body)
    labelled = template_of("Deployment")
    labelled["metadata"]["annotations"]["leasehold.dev/gate"] = "label"
    assert advised.said(workload("Deployment", labelled, replicas=3)) == ""


def test_templates_are_judged_as_pods(advised: Advised) -> None:
    """Each text of each annotation: what the injector warns of, and a request above its limit, which it leaves out.

    That depends on the namespace, too, which the injector does not ask for here.
    """
    for template in pods.each_value():
        body = workload("Deployment", template)
        told, wanted = advised.said(body), expected(body)
        assert bool(wanted) == bool(told and "above its limit" not in told), (template, told, wanted)
        assert told.startswith(f"{PREFIX}the pods of this Deployment will be refused: ") or not told


def test_what_a_controller_makes_is_left_alone(advised: Advised) -> None:
    """It reads no warnings."""
    owner = {"apiVersion": "x/v1", "kind": "Other", "name": "x", "uid": "1"}
    metadata = {"labels": INJECT, "ownerReferences": [owner]}
    assert advised.said(workload("Deployment", bare_template(), metadata=metadata)) == ""
