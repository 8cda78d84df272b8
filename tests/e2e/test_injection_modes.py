"""What is so in one mode of injection alone, and how an upgrade goes over to the other."""

import base64
import contextlib
import json
import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from leasehold.injector.certificate import Kept, make
from tests.cluster import Cluster, KubectlFailed
from tests.cluster.node import PATIENCE
from tests.e2e.injected import Body, Creating, batch, declare, enrol, template, wait_pod, workload
from tests.e2e.installation import Installation, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import place_app
from tests.servers import wait_for

BY_WEBHOOK = pytest.mark.parametrize("mode", ["webhook"], indirect=True)


@pytest.mark.parametrize("mode", ["policy"], indirect=True)
def test_lock_that_is_not_declared(installed: Installation, own: str, mode: str) -> None:
    """The sidecar says so, where nothing of the injector runs that could; and it leads once the Lock is there."""
    cluster = installed.cluster
    assert installed.pods("injector") == []
    for kind in ("services", "deployments", "poddisruptionbudgets"):
        assert "leasehold-injector" not in {
            each["metadata"]["name"] for each in cluster.list(kind, installed.namespace)
        }
    enrol(cluster, own)
    place_app(cluster, own)
    cluster.apply(workload("Deployment", "late", template("late")), namespace=own)

    def told() -> bool:
        with contextlib.suppress(KubectlFailed):  # its container is not there yet
            words = ["logs", "deployment/late", "-c", "leasehold", "-n", own]
            return f"the lock {own}/late is not declared: create the Lock" in cluster.kubectl(*words)
        return False

    wait_for(told, "the sidecar to say that there is no such Lock", PATIENCE)
    declare(cluster, own, "late")
    wait_pod(cluster, own, "late")


def test_mistakes_are_warned_of(cluster: Cluster, own: str, mode: str) -> None:
    """The API server prints what is wrong with a workload, as kubectl applies it; of Locks only the injector knows."""
    place_app(cluster, own)

    def warned(body: Body) -> str:
        with pytest.raises(KubectlFailed) as failed:
            cluster.kubectl("-n", own, "apply", "--warnings-as-errors", "-f", "-", stdin=json.dumps(body))
        return str(failed.value)

    bare = workload("StatefulSet", "other", {"metadata": {"labels": {"app": "other"}}, "spec": template("x")["spec"]})
    bare["metadata"]["labels"] = {"leasehold.dev/inject": "true"}
    assert "leasehold: leasehold.dev/inject is among the labels of the StatefulSet itself" in warned(bare)
    text = warned(workload("Deployment", "reprots", template("reprots"), replicas=2))
    if mode == "policy":
        assert "leasehold: of 2 replicas no more will be Ready than its Lock has capacity" in text
        return
    assert f"Warning: leasehold: there is no Lock reprots in the namespace {own}" in text
    assert "of 2 replicas only 1 will be Ready" in text
    cron: Body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "annotations": {}}}
    cron["spec"] = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": batch()}}}
    cron["metadata"]["annotations"]["leasehold.dev/lock"] = "x"
    assert "there is no Lock batch" in warned(cron)


@BY_WEBHOOK
def test_no_injector_at_all(installed: Installation, own: str, mode: str) -> None:
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


@BY_WEBHOOK
def test_injector_killed_and_stopped(installed: Installation, own: str, mode: str) -> None:
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


@BY_WEBHOOK
def test_expiring_certificate_is_renewed(installed: Installation, own: str, mode: str) -> None:
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


def test_switch_of_modes(installed: Installation, own: str, mode: str) -> None:
    """Two upgrades go over to the other mode: no pod is refused meanwhile or has two sidecars, and leaders lead on."""
    cluster, other = installed.cluster, {"policy": "webhook", "webhook": "policy"}[mode]
    declare(cluster, own, "reports")
    with PodWitness(cluster, own, "app=led") as witness, Creating(cluster, own) as creating:
        pod = template("reports")
        pod["metadata"]["labels"]["app"] = "led"
        cluster.apply(workload("Deployment", "led", pod), namespace=own)
        wait_pod(cluster, own, "led")
        witness.wait_leader()
        installed.switch(other)
        after = creating.made
        wait_for(lambda: creating.made > after + 20, "pods to be made in the other mode")
        assert creating.failed == []
        assert len(witness.tokens()) == 1
    for each in cluster.list("pods", own, labels="app=reports"):
        assert [one["name"] for one in each["spec"]["initContainers"]] == ["leasehold"]
    assert bool(installed.pods("injector")) == (other == "webhook")
