"""Labelled pods are given their sidecar by the webhook, whatever makes them; what can't be is refused in a sentence."""

import base64
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leasehold.injector.certificate import Kept, make
from tests.cluster import Cluster, KubectlFailed, Object, images
from tests.cluster.node import PATIENCE
from tests.e2e.installation import Installation, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import place_app
from tests.servers import wait_for

Body = dict[str, Any]
HEALTH = ":8080/healthz"


def template(lock: str, *, annotations: Mapping[str, str] | None = None, command: str = "python3 /app/app.py") -> Body:
    """A pod's metadata and spec, as a user writes them who knows only the label and the annotations."""
    container = {
        "name": "app",
        "image": images.APP,
        "command": ["sh", "-c", f"exec {command}"],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
        "readinessProbe": None,
    }
    given = {"leasehold.dev/lock": lock, "leasehold.dev/app-health": HEALTH, **(annotations or {})}
    return {
        "metadata": {"labels": {"app": lock, "leasehold.dev/inject": "true"}, "annotations": given},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [{"name": "app", "configMap": {"name": "app"}}],
        },
    }


def declare(cluster: Cluster, own: str, name: str) -> None:
    place_app(cluster, own)
    lock = {"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": name}}
    cluster.apply({**lock, "spec": {"leaseDurationSeconds": 5}}, namespace=own)


def workload(kind: str, name: str, pod: Body, **spec: Any) -> Body:
    selector = {"matchLabels": {"app": name}}
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}}
    return {**body, "spec": {"replicas": 1, "selector": selector, "template": pod, **spec}}


def wait_pod(cluster: Cluster, own: str, name: str) -> Object:
    """The one pod of that app, once it is ready."""
    found: list[Object] = []

    def one_is_ready() -> bool:
        found[:] = cluster.list("pods", own, labels=f"app={name}")
        return len(found) == 1 and ready(found[0])

    wait_for(one_is_ready, f"one pod of {name}, ready", PATIENCE)
    return found[0]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_an_annotated_workload_is_led(cluster: Cluster, own: str, kind: str) -> None:
    declare(cluster, own, "reports")
    more = {"serviceName": "reports"} if kind == "StatefulSet" else {}
    cluster.apply(workload(kind, "reports", template("reports"), **more), namespace=own)
    pod = wait_pod(cluster, own, "reports")
    assert pod["spec"]["initContainers"][0]["name"] == "leasehold"
    name = pod["metadata"]["name"]
    cluster.wait("locks", "reports", own, until=lambda lock: lock.get("status", {}).get("holderIdentity") == name)


def test_rollout_of_an_injected_deployment(cluster: Cluster, own: str) -> None:
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


def batch() -> Body:
    """A pod that queues for the lock `batch` and ends in a moment."""
    pod = template("batch", command="python3 -c 'import time; time.sleep(3)'")
    del pod["metadata"]["annotations"]["leasehold.dev/app-health"]
    pod["spec"]["restartPolicy"] = "Never"
    return pod


def job(name: str, pod: Body) -> Body:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": pod}}


def wait_done(cluster: Cluster, own: str, name: str) -> None:
    cluster.wait(
        "jobs", name, own, until=lambda seen: seen["status"].get("succeeded") == 1, what="done", timeout=PATIENCE
    )


def test_jobs_of_one_lock_run_in_turn(cluster: Cluster, own: str) -> None:
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


def test_job_and_bare_pod(cluster: Cluster, own: str) -> None:
    """A Job and a bare pod need no health check, and the Job ends."""
    declare(cluster, own, "batch")
    pod = batch()
    cluster.apply(job("batch", pod), namespace=own)
    wait_done(cluster, own, "batch")
    cluster.apply(
        {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "bare", **pod["metadata"]}}, namespace=own
    )
    cluster.wait("pods", "bare", own, until=lambda seen: seen["status"]["phase"] == "Succeeded", timeout=PATIENCE)


def test_impossible_injection_is_refused(cluster: Cluster, own: str) -> None:
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


def test_mistakes_are_warned_of(cluster: Cluster, own: str) -> None:
    """The API server prints what is wrong with a workload, as kubectl applies it."""
    place_app(cluster, own)

    def warned(body: Body) -> str:
        with pytest.raises(KubectlFailed) as failed:
            cluster.kubectl("-n", own, "apply", "--warnings-as-errors", "-f", "-", stdin=json.dumps(body))
        return str(failed.value)

    text = warned(workload("Deployment", "reprots", template("reprots"), replicas=2))
    assert f"Warning: leasehold: there is no Lock reprots in the namespace {own}" in text
    assert "of 2 replicas only 1 will be Ready" in text
    bare = workload("StatefulSet", "other", {"metadata": {"labels": {"app": "other"}}, "spec": template("x")["spec"]})
    bare["metadata"]["labels"] = {"leasehold.dev/inject": "true"}
    assert "leasehold.dev/inject is among the labels of the StatefulSet itself" in warned(bare)
    cron: Body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "annotations": {}}}
    cron["spec"] = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": batch()}}}
    cron["metadata"]["annotations"]["leasehold.dev/lock"] = "x"
    assert "there is no Lock batch" in warned(cron)


def test_a_lock_after_its_workload(cluster: Cluster, own: str) -> None:
    """The pod is made at once, and waits for its Lock; it leads as soon as that is declared."""
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


def test_no_injector_at_all(installed: Installation, own: str) -> None:
    """Without any injector no labelled pod is made, and others are."""
    cluster, place = installed.cluster, ["-n", installed.namespace]
    declare(cluster, own, "reports")
    cluster.kubectl(*place, "scale", "deployment/leasehold-injector", "--replicas=0")
    try:
        wait_for(
            lambda: not cluster.list("pods", installed.namespace, labels="app.kubernetes.io/component=injector"), "0"
        )
        pod = {"apiVersion": "v1", "kind": "Pod", **template("reports")}
        pod["metadata"]["name"] = "labelled"
        with pytest.raises(KubectlFailed, match=r"inject\.leasehold\.dev"):
            cluster.apply(pod, namespace=own)
        cluster.make_pod("other", own)
    finally:
        cluster.kubectl(*place, "scale", "deployment/leasehold-injector", "--replicas=2")
        cluster.kubectl(*place, "rollout", "status", "deployment/leasehold-injector", "--timeout=8m", timeout=510)


class Creating:
    """Makes injected pods, one after the other, until it is left; `failed` are the API server's words."""

    def __init__(self, cluster: Cluster, own: str) -> None:
        self.made = 0
        self.failed: list[str] = []
        self._cluster, self._own, self._over = cluster, own, False
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Creating":
        self._running = self._pool.submit(self._go_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._running.result(60)
        self._pool.shutdown()

    def _go_on(self) -> None:
        while not self._over:
            pod = template("reports")
            pod["metadata"]["name"] = f"made-{self.made + len(self.failed)}"
            pod["spec"]["nodeName"] = "nowhere"  # it is the admission that is tried: nothing runs them
            try:
                self._cluster.create("pods", pod, self._own)
                self.made += 1
            except Exception as error:
                self.failed.append(str(error))
            time.sleep(0.05)


def test_injector_killed_and_stopped(installed: Installation, own: str) -> None:
    """A stop loses no pod. A kill may refuse some until its address is known to be dead: then they are made again."""
    cluster = installed.cluster
    declare(cluster, own, "reports")
    with Creating(cluster, own) as creating:
        wait_for(lambda: creating.made > 20, "pods to be made")
        stopped, _ = installed.pods("injector")
        cluster.delete("pods", stopped["metadata"]["name"], installed.namespace)
        cluster.wait_gone("pods", stopped["metadata"]["name"], installed.namespace)
        wait_for(lambda: [ready(pod) for pod in installed.pods("injector")] == [True, True], "two injectors again")
        assert creating.failed == []
        killed = installed.pods("injector")[0]["metadata"]["name"]
        (pid,) = cluster.pids(killed, installed.namespace, "injector")[:1]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        before = creating.made
        wait_for(lambda: creating.made > before + 40, "pods to be made with one injector dead")
        wait_for(lambda: [ready(pod) for pod in installed.pods("injector")] == [True, True], "both injectors again")


def test_expiring_certificate_is_renewed(installed: Installation, own: str) -> None:
    """A certificate that is about to expire is renewed, and no pod is refused meanwhile."""
    cluster = installed.cluster
    declare(cluster, own, "reports")
    place = "leasehold-injector-tls", installed.namespace
    host = f"leasehold-injector.{installed.namespace}.svc"
    with Creating(cluster, own) as creating:
        wait_for(lambda: creating.made > 5, "pods to be made")
        old = make(host, datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=60), timedelta(days=1))
        put_certificate(cluster, place, old.chain, old.key, old.authority)
        wait_for(lambda: serving(cluster, place, host) not in (None, old.chain), "another certificate", PATIENCE)
        renewed = serving(cluster, place, host)
        time.sleep(max(0.0, (old.expires - datetime.now(UTC)).total_seconds()))
        after = creating.made
        wait_for(lambda: creating.made > after + 20, "pods to be made after the old one's end")
        assert creating.failed == []
    assert serving(cluster, place, host) == renewed


def put_certificate(cluster: Cluster, place: tuple[str, str], chain: bytes, key: bytes, authority: bytes) -> None:
    """As if it had been there for long: the present authority stays believed."""
    secret = cluster.get("secrets", *place)
    assert secret is not None
    bundle = base64.b64decode(secret["data"]["ca.crt"]) + authority
    cluster.patch("secrets", place[0], {"data": {"ca.crt": encoded(bundle)}}, place[1])
    wait_for(lambda: authority in believed(cluster), "the API server to believe it")
    time.sleep(3)  # it tells nobody when it has taken the configuration up
    cluster.patch("secrets", place[0], {"data": {"tls.crt": encoded(chain), "tls.key": encoded(key)}}, place[1])


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def believed(cluster: Cluster) -> bytes:
    found = cluster.get("mutatingwebhookconfigurations", "leasehold-injector")
    assert found is not None
    return base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"])


def serving(cluster: Cluster, place: tuple[str, str], host: str) -> bytes | None:
    secret = cluster.get("secrets", *place)
    assert secret is not None
    kept = Kept.read({name: base64.b64decode(text) for name, text in secret["data"].items()}, host)
    return kept.serving.chain if kept.serving else None
