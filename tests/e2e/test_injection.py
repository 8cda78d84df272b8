"""Labelled pods are given their sidecar, whatever makes them; what can't be is refused in a sentence.

By the API server itself, and by the webhook: an upgrade goes over from one to the other in between.
"""

import pytest

from tests.cluster import Cluster, KubectlFailed
from tests.cluster.node import PATIENCE
from tests.e2e.injected import HEALTH, Body, batch, declare, enrol, job, template, wait_pod, workload
from tests.e2e.installation import ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import place_app
from tests.servers import wait_for


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_an_annotated_workload_is_led(cluster: Cluster, own: str, mode: str, kind: str) -> None:
    declare(cluster, own, "reports")
    more = {"serviceName": "reports"} if kind == "StatefulSet" else {}
    cluster.apply(workload(kind, "reports", template("reports"), **more), namespace=own)
    pod = wait_pod(cluster, own, "reports")
    assert pod["spec"]["initContainers"][0]["name"] == "leasehold"
    name = pod["metadata"]["name"]
    cluster.wait("locks", "reports", own, until=lambda lock: lock.get("status", {}).get("holderIdentity") == name)


def test_rollout_of_an_injected_deployment(cluster: Cluster, own: str, mode: str) -> None:
    """A Deployment with injected sidecars is updated without help."""
    declare(cluster, own, "reports")
    surge = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    with PodWitness(cluster, own, "app=reports") as witness:
        cluster.apply(workload("Deployment", "reports", template("reports"), **surge), namespace=own)
        wait_pod(cluster, own, "reports")
        witness.wait_leader()
        cluster.kubectl("-n", own, "rollout", "restart", "deployment/reports")
        cluster.kubectl("-n", own, "rollout", "status", "deployment/reports", "--timeout=8m", timeout=510)
        assert len(witness.tokens()) == 2
        assert witness.contradictions() == []


def wait_done(cluster: Cluster, own: str, name: str) -> None:
    cluster.wait(
        "jobs", name, own, until=lambda seen: seen["status"].get("succeeded") == 1, what="done", timeout=PATIENCE
    )


def test_jobs_of_one_lock_run_in_turn(cluster: Cluster, own: str, mode: str) -> None:
    """Each is over in a moment; yet neither starts before its sidecar leads."""
    declare(cluster, own, "batch")
    names = ("first", "second")
    for name in names:
        cluster.apply(job(name, batch()), namespace=own)
    for name in names:
        wait_done(cluster, own, name)
    pods = cluster.list("pods", own, labels="app=batch")
    ended = [status["state"]["terminated"] for pod in pods for status in pod["status"]["containerStatuses"]]
    earlier, later = sorted(ended, key=lambda state: str(state["startedAt"]))
    assert earlier["finishedAt"] <= later["startedAt"]  # RFC 3339 in whole seconds, all in UTC
    sidecars = [status for pod in pods for status in pod["status"]["initContainerStatuses"]]
    assert {status["restartCount"] for status in sidecars} == {0}


def test_job_and_bare_pod(cluster: Cluster, own: str, mode: str) -> None:
    """A Job and a bare pod need no health check, and the Job ends."""
    declare(cluster, own, "batch")
    pod = batch()
    cluster.apply(job("batch", pod), namespace=own)
    wait_done(cluster, own, "batch")
    cluster.apply(
        {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "bare", **pod["metadata"]}}, namespace=own
    )
    cluster.wait("pods", "bare", own, until=lambda seen: seen["status"]["phase"] == "Succeeded", timeout=PATIENCE)


def test_impossible_injection_is_refused(cluster: Cluster, own: str, mode: str) -> None:
    """What cannot be injected is refused in a sentence that says what to do."""
    declare(cluster, own, "reports")

    def refused(pod: Body) -> str:
        pod["metadata"]["name"] = "refused"
        with pytest.raises(KubectlFailed) as failed:
            cluster.apply({"apiVersion": "v1", "kind": "Pod", **pod}, namespace=own)
        return str(failed.value)

    misspelt = template("reports", annotations={"leasehold.dev/apphealth": HEALTH})
    assert "did you mean leasehold.dev/app-health?" in refused(misspelt)
    clash = template("reports")
    clash["spec"]["containers"][0]["ports"] = [{"containerPort": 4040}]
    assert "set the annotation leasehold.dev/port to another" in refused(clash)
    assert cluster.get("pods", "refused", own) is None


def test_a_lock_after_its_workload(cluster: Cluster, own: str, mode: str) -> None:
    """The pod is made at once, and waits for its Lock; it leads as soon as that is declared.

    The namespace has asked for its Secret by its label: else its first Lock would bring it, and the kubelet tries to
    mount what is missing after ever longer pauses.
    """
    enrol(cluster, own)
    place_app(cluster, own)
    cluster.apply(workload("Deployment", "reports", template("reports")), namespace=own)
    wait_for(lambda: cluster.list("pods", own, labels="app=reports"), "the pod to be made", PATIENCE)
    (pod,) = cluster.list("pods", own, labels="app=reports")
    cluster.wait("pods", pod["metadata"]["name"], own, until=lambda seen: seen["status"].get("phase") == "Running")
    assert not ready(pod)
    declare(cluster, own, "reports")
    wait_pod(cluster, own, "reports")
    (same,) = cluster.list("pods", own, labels="app=reports")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
