"""The API server asks the injector about workloads, by the chart's conditions, and prints its warnings."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster import ControlPlane, KubectlFailed
from tests.injector.injectors import NAME, injector_objects
from tests.servers import CertificateAuthority, Process, release_port, reserve_port, wait_for
from tests.support.sidecars import request
from tests.unit.injector.pods import pod

Body = dict[str, Any]
Apply = Callable[[str, Body], str]


@pytest.fixture
def apply(
    control_plane_factory: Callable[..., ControlPlane], certs: CertificateAuthority, spawn: Callable[..., Process]
) -> Iterator[Apply]:
    """Applies a workload of this kind; what kubectl says if it is warned, else nothing."""
    api = control_plane_factory(controllers=False)
    port, health = reserve_port(), reserve_port()
    files = certs.server("injector")
    words = [sys.executable, "-m", "leasehold", "injector", "--kubeconfig", str(api.kubeconfig())]
    words += ["--tls-cert", str(files.cert), "--tls-key", str(files.key), "--sidecar-image", "leasehold:1"]
    words += ["--listen", f"127.0.0.1:{port}", "--health-listen", f"127.0.0.1:{health}", "--require-lock"]
    injector = spawn([*words, "--sidecar-etcd", "http://e:2379"], name="injector")
    wait_for(
        lambda: "listening" in injector.log and request("GET", f"http://127.0.0.1:{health}/readyz")[0] == 200, "it"
    )
    (configuration,) = (one for one in injector_objects() if one["kind"] == "MutatingWebhookConfiguration")
    authority = base64.b64encode(certs.path.read_bytes()).decode()
    for webhook in configuration["webhooks"]:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
    assert configuration["metadata"]["name"] == NAME
    api.apply(configuration)
    own = api.make_namespace()
    heard = {"apiVersion": "v1", "kind": "Pod", **pod(lock="nothing")}
    heard["metadata"]["name"] = "heard"  # the API server takes a moment to know of the webhooks
    wait_for(lambda: warned(api, own, heard), "the API server to ask the injector")

    def applied(kind: str, body: Body) -> str:
        version = "batch/v1" if "Job" in kind else "apps/v1"
        return warned(api, own, {"apiVersion": version, "kind": kind, **body})

    yield applied
    release_port(port)
    release_port(health)


def warned(api: ControlPlane, namespace: str, body: Body) -> str:
    """What kubectl is warned of; it changes nothing."""
    words = ["-n", namespace, "apply", "--dry-run=server", "--warnings-as-errors", "-f", "-"]
    try:
        api.kubectl(*words, stdin=json.dumps(body))
    except KubectlFailed as failed:
        return str(failed)
    return ""


def workload(template: Body, metadata: Body | None = None, **spec: Any) -> Body:
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels["app"] = "x"
    template["metadata"].pop("generateName", None)
    selector = {"matchLabels": {"app": "x"}}
    return {"metadata": {"name": "x", **(metadata or {})}, "spec": {"selector": selector, "template": template, **spec}}


def test_kubectl_prints_what_is_wrong(apply: Apply) -> None:
    """On each kind of workload; one that has nothing to do with Leasehold is not even asked about."""
    text = apply("Deployment", workload(pod(), replicas=2))
    assert "Warning: leasehold: there is no Lock reports in the namespace" in text
    assert "of 2 replicas only 1 will be Ready" in text
    bare: Body = {"spec": pod()["spec"]}
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        more: Body = {"serviceName": "x"} if kind == "StatefulSet" else {}
        misplaced = workload(json.loads(json.dumps(bare)), {"labels": {"leasehold.dev/inject": "true"}}, **more)
        assert f"leasehold.dev/inject is among the labels of the {kind} itself" in apply(kind, misplaced)
        assert apply(kind, workload(json.loads(json.dumps(bare)), **more)) == ""
    job = pod(app_health="", gate="never", spec=None)
    job["spec"]["restartPolicy"] = "Never"
    body: Body = {"metadata": {"name": "x"}, "spec": {"template": job}}
    assert "the pods of this Job will be refused: leasehold.dev/gate is 'never'" in apply("Job", body)
    cron: Body = {"metadata": {"name": "x"}, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": body["spec"]}}}
    assert "the pods of this CronJob will be refused: leasehold.dev/gate is 'never'" in apply("CronJob", cron)
