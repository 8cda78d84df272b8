"""The oldest Kubernetes that the charts admit, as a real API server: what it is given, and who works with it.

It has no nodes, like all control planes of these tests, and no controllers: those of another version would not suit it.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.bench.admission import injector
from tests.charts.foreign_crds import foreign_crds
from tests.charts.rendered import LEASEHOLD, NAMESPACE, SINGLETON, render, value_files, values
from tests.cluster import ApiError, ControlPlane, Object, run_helm
from tests.operator.kubectl_plugin import Plugin
from tests.operator.lock_objects import lock
from tests.operator.operator_process import Operator
from tests.operator.operator_scene import Scene
from tests.servers import wait_for
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import StoredLock

INSTALLABLE = (LEASEHOLD, SINGLETON)
VALUES = {"etcd.endpoints": ["http://etcd:2379"], "crds.enabled": False}


@pytest.fixture(scope="module")
def api() -> Iterator[ControlPlane]:
    """That API server, instead of the one that other tests share."""
    with ControlPlane(name="oldest", controllers=False, release="kube-apiserver-1.30") as made:
        for crd in foreign_crds():
            made.apply(crd)
        for name in (NAMESPACE, "apps"):
            made.create("namespaces", {"metadata": {"name": name}})
            made.create("serviceaccounts", {"metadata": {"name": "default"}}, name)
        yield made


@pytest.fixture(scope="module")
def installed(api: ControlPlane) -> ControlPlane:
    """The chart is installed there by helm, which asks it what it serves."""
    words: list[str | Path] = ["install", "leasehold", LEASEHOLD, f"--namespace={NAMESPACE}", *values(**VALUES)]
    run_helm(*words, kubeconfig=api.kubeconfig())
    return api


@pytest.fixture
def scene(
    installed: ControlPlane,
    namespace: str,
    operator_factory: Callable[..., Operator],
    stored: Callable[[str], StoredLock],
    sidecar_factory: Callable[..., Sidecar],
) -> Scene:
    """An operator at work there, with exactly the chart's rights."""
    user = installed.service_account("leasehold-operator", NAMESPACE)
    operator = operator_factory(kubeconfig=installed.kubeconfig(user))
    operator.wait_active()
    return Scene(installed, namespace, operator, stored, sidecar_factory)


def test_it_is_the_oldest_that_the_charts_admit(api: ControlPlane) -> None:
    major, minor, _ = api.rest.call("GET", "/version")["gitVersion"].removeprefix("v").split(".")
    oldest = f">={major}.{minor}.0-0"
    for chart in INSTALLABLE:
        assert yaml.safe_load((chart / "Chart.yaml").read_text())["kubeVersion"] == oldest


@pytest.mark.parametrize(
    ("chart", "file"),
    [(chart, file) for chart in INSTALLABLE for file in value_files(chart)],
    ids=lambda each: each.stem,
)
def test_objects_pass_strict_validation(api: ControlPlane, chart: Path, file: Path) -> None:
    """Each field of each object is one that it knows."""
    text = render(chart, "--values", file, "--kube-version=1.30.0")
    words = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"]
    assert api.kubectl(*words, stdin=text)


def test_a_lock_is_declared_held_and_let_go(scene: Scene) -> None:
    """From the Lock to its key, from the key to the status; and back when it is deleted."""
    scene.declare()
    one = scene.sidecar("one-0")
    one.wait_leading()
    scene.wait_held("one-0")
    assert "√ Kubernetes is v1.30" in Plugin(scene.api, scene.namespace).run("check", "db").stdout
    one.terminate()
    scene.wait_held()
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    assert scene.spec() == {}


def test_the_webhook_injects(installed: ControlPlane) -> None:
    """It serves no policy that could, so `auto` takes the webhook; a native sidecar is what it makes."""
    installed.apply(lock("reports"), namespace="apps")
    with injector(installed) as (port, _):
        _send_to(installed, port)
        wait_for(lambda: _injected(installed, "apps"), "a pod with a sidecar")
        (sidecar,) = _injected(installed, "apps")
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("leasehold", "Always")


def _send_to(api: ControlPlane, port: int) -> None:
    """Have the API server ask the injector there: no node runs the chart's."""
    authority = base64.b64encode(api.authority.path.read_bytes()).decode()
    name = "leasehold-injector"
    found = api.get("mutatingwebhookconfigurations", name)
    assert found is not None
    for webhook in found["webhooks"]:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": authority}
    change = json.dumps([{"op": "replace", "path": "/webhooks", "value": found["webhooks"]}])
    api.kubectl("patch", "mutatingwebhookconfiguration", name, "--type=json", f"--patch={change}")


def _injected(api: ControlPlane, namespace: str) -> list[Object]:
    """The init containers that a labelled pod has then, by dry run; none while the injector cannot be asked."""
    metadata = {
        "name": "one",
        "labels": {"leasehold.dev/inject": "true"},
        "annotations": {"leasehold.dev/lock": "reports", "leasehold.dev/app-health": ":8080/healthz"},
    }
    spec = {"containers": [{"name": "app", "image": "none"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    try:
        made = api.rest.call("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)
    except ApiError:
        return []
    found: list[Object] = made["spec"].get("initContainers", [])
    return found
