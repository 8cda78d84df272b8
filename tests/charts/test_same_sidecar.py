"""One sidecar, whichever way it comes: by the library chart or by the injector."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from leasehold.injector.container import Sidecar
from tests.charts.rendered import CHARTS, SINGLETON, objects, render, values
from tests.unit.injector.pods import SIDECAR, injected, pod


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("gate", ["readiness", "label"])
@pytest.mark.parametrize("secret", ["leasehold-etcd-client", ""])
def test_same_as_the_library_chart(kind: str, gate: str, secret: str) -> None:
    """Field by field."""
    login = {"user": "me", "passwordSecretName": "pw"} if secret else {"user": "", "passwordSecretName": ""}
    chosen = {
        "kind": kind,
        "app": {"image": "app:1", "port": 8080, "healthPath": "/healthz", "terminationGracePeriodSeconds": 7},
        "leasehold.gate": gate,
        "leasehold.ttl": 7,
        "leasehold.port": 5040,
        "leasehold.controlPort": 5041,
        "leasehold.etcd": {"endpoints": list(SIDECAR.etcd), "secretName": secret, "root": "/locks", **login},
    }
    rendered = objects(render(SINGLETON, *values(**chosen), release="reports"))
    (workload,) = (each for each in rendered if each["kind"] == kind)
    spec = workload["spec"]["template"]["spec"]
    label = "pod-template-hash" if kind == "Deployment" else "controller-revision-hash"
    sidecar = Sidecar(
        SIDECAR.image,
        SIDECAR.etcd,
        etcd_secret=secret,
        etcd_user=login["user"],
        password_secret=login["passwordSecretName"],
        root="/locks",
        resources=SIDECAR.resources,
    )
    original = pod(
        {label: "x"}, {"terminationGracePeriodSeconds": 7}, gate=gate, ttl="7", port="5040", control_port="5041"
    )
    changed = injected(original, sidecar)
    assert changed["spec"]["initContainers"][0] == spec["initContainers"][0]
    assert changed["spec"]["volumes"] == spec["volumes"]


@pytest.mark.parametrize("grace", [None, 0, 7])
@pytest.mark.parametrize("init", [False, True])
def test_same_in_a_job(tmp_path: Path, grace: int | None, init: bool) -> None:
    """No chart of ours has a Job, but users' do."""
    given = {
        "lock": "reports",
        "workload": "Job",
        "gate": "startup",
        "image": {"repository": "leasehold", "tag": "0.1.0"},
        "etcd": {"endpoints": list(SIDECAR.etcd), "secretName": SIDECAR.etcd_secret},
        "initWork": init,
        **({} if grace is None else {"terminationGracePeriodSeconds": grace}),
    }
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: mine, version: 0.1.0}")
    (tmp_path / "values.yaml").write_text(json.dumps({"sidecar": given}))
    template = '{{ include "leasehold-sidecar.container" .Values.sidecar }}'
    (tmp_path / "templates" / "container.yaml").write_text(template)
    shutil.copytree(CHARTS / "leasehold-sidecar", tmp_path / "charts" / "leasehold-sidecar")
    spec: dict[str, Any] = {"initContainers": [{"name": "migrate", "image": "app:1"}]} if init else {}
    if grace is not None:
        spec["terminationGracePeriodSeconds"] = grace
    changed = injected(pod({"batch.kubernetes.io/job-name": "reports"}, spec, app_health=""))
    assert yaml.safe_load(render(tmp_path)) == changed["spec"]["initContainers"][0]
