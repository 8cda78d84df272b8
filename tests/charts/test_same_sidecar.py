"""One sidecar, whichever way it comes: by the library chart or by the injector."""

import pytest

from leasehold.injector.container import Sidecar
from tests.charts.rendered import SINGLETON, objects, render, values
from tests.unit.injector.pods import SIDECAR, injected, pod


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("gate", ["readiness", "label"])
@pytest.mark.parametrize("secret", ["leasehold-etcd-client", ""])
def test_same_as_the_library_chart(kind: str, gate: str, secret: str) -> None:
    """Field by field."""
    login = {"user": "me", "passwordSecretName": "pw"} if secret else {"user": "", "passwordSecretName": ""}
    chosen = {
        "kind": kind,
        "app": {"image": "app:1", "port": 8080, "healthPath": "/healthz"},
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
    changed = injected(pod(labels={label: "x"}, gate=gate, ttl="7", port="5040", control_port="5041"), sidecar)
    assert changed["spec"]["initContainers"][0] == spec["initContainers"][0]
    assert changed["spec"]["volumes"] == spec["volumes"]
