"""What a real API server says of all that the charts render, checked strictly on its side; and upgrades."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.charts.foreign_crds import foreign_crds
from tests.charts.rendered import LEASEHOLD, NAMESPACE, SINGLETON, objects, render, value_files, values
from tests.cluster import ControlPlane, HelmFailed, KubectlFailed, Object, run_helm
from tests.servers import Process, release_port, reserve_port, wait_for

PROGRAM = "leasehold-certificates"
OWN = {"etcd.enabled": True, "crds.enabled": False}  # the API server has the CRD already
ALL_FILES = [(chart, file) for chart in (LEASEHOLD, SINGLETON) for file in value_files(chart)]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}


@pytest.fixture(scope="module")
def api() -> Iterator[ControlPlane]:
    """An API server with every kind that the charts may use."""
    with ControlPlane(name="charts") as made:
        for crd in foreign_crds():
            made.apply(crd)
        for name in (NAMESPACE, "apps"):
            made.create("namespaces", {"metadata": {"name": name, "labels": RESTRICTED}})
        made.apply(_storage_class("usual", default=True))
        wait_for(lambda: _serves(made), "the foreign kinds to be served")
        yield made


def _storage_class(name: str, *, default: bool) -> Object:
    marks = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/no-provisioner"}
    return {**kind, "metadata": {"name": name, "annotations": marks}}


def _serves(api: ControlPlane) -> bool:
    names = {group["name"] for group in api.rest.call("GET", "/apis")["groups"]}
    return {"cert-manager.io", "monitoring.coreos.com"} <= names


@pytest.mark.parametrize(("chart", "file"), ALL_FILES, ids=lambda each: each.stem)
def test_objects_pass_strict_validation(api: ControlPlane, chart: Path, file: Path) -> None:
    """The API server takes all of it strictly, and it breaks no rule of restricted pods."""
    text = render(chart, "--values", file, release="leasehold")
    words = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"]
    printed = api.kubectl(*words, stdin=text)
    assert len(printed.splitlines()) >= len(objects(text))
    for pod in _pods(objects(text)):
        pod["metadata"]["name"] = "tried"
        api.kubectl("create", "--dry-run=server", f"--namespace={NAMESPACE}", "-f", "-", stdin=json.dumps(pod))


def _pods(everything: list[Object]) -> Iterator[Object]:
    """A pod of each template: the API server only warns about a workload whose pods it would refuse."""
    for each in everything:
        template = each["spec"].get("template") if each["kind"] in ("Deployment", "StatefulSet", "Job") else None
        if template:
            claimed = [claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", ())]
            volumes = [*template["spec"].get("volumes", ()), *({"name": name, "emptyDir": {}} for name in claimed)]
            spec = {**template["spec"], "serviceAccountName": "default", "volumes": volumes}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": dict(template["metadata"]), "spec": spec}


@pytest.fixture
def helm(api: ControlPlane) -> Iterator[Callable[..., str]]:
    """helm on that API, whose release is gone at the end; no node is there, so nothing is waited for."""
    config = api.kubeconfig(namespace=NAMESPACE)

    def run(*words: str | Path) -> str:
        return run_helm(*words, f"--namespace={NAMESPACE}", kubeconfig=config)

    yield run
    run("uninstall", "leasehold", "--ignore-not-found", "--no-hooks")
    remove_volumes(api)


def remove_volumes(api: ControlPlane) -> None:
    """Remove what outlives its etcd, and what no controller here would ever let go."""
    for claim in api.list("persistentvolumeclaims", NAMESPACE):
        name = claim["metadata"]["name"]
        api.delete("persistentvolumeclaims", name, NAMESPACE)
        if api.get("persistentvolumeclaims", name, NAMESPACE) is not None:
            api.patch("persistentvolumeclaims", name, {"metadata": {"finalizers": None}}, NAMESPACE)
        api.wait_gone("persistentvolumeclaims", name, NAMESPACE)


def contents(api: ControlPlane) -> dict[str, dict[str, str]]:
    """What the Secrets of etcd hold, by name."""
    names = [f"leasehold-etcd-{part}" for part in ("ca", "server", "operator", "admin")]
    found = {name: api.get("secrets", name, NAMESPACE) for name in names}
    return {name: secret.get("data") or {} for name, secret in found.items() if secret is not None}


def keep_certificates(api: ControlPlane) -> None:
    """What the chart's Deployment does, by its arguments and with its rights, until all certificates are there."""
    (found,) = (each for each in api.list("deployments", NAMESPACE) if each["metadata"]["name"] == PROGRAM)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    user = api.service_account(PROGRAM, NAMESPACE)
    port = reserve_port()
    flags = [*container["args"], f"--kubeconfig={api.kubeconfig(user)}", f"--listen=127.0.0.1:{port}"]
    words = [sys.executable, "-m", "leasehold.operator.certificates", *flags]
    with Process(words, name="certificates", env={**os.environ, "POD_NAMESPACE": NAMESPACE}) as program:
        wait_for(lambda: all_there(api) or not program.running, "the certificates to be there")
        assert program.running, program.log_tail()
    release_port(port)


def all_there(api: ControlPlane) -> bool:
    return all("tls.key" in data for data in contents(api).values())


def test_upgrades_keep_certificates(api: ControlPlane, helm: Callable[..., str]) -> None:
    """They are made once, with the rights that the chart gives; no upgrade and no rollback changes one."""
    own = values(**OWN, **{"injector.mode": "webhook"})
    helm("install", "leasehold", LEASEHOLD, *own)
    assert set(map(str, contents(api).values())) == {"{}"}
    keep_certificates(api)
    before = contents(api)
    assert len(before) == 4
    ca = before["leasehold-etcd-ca"]
    bundle = {"webhooks": [{"name": "inject.leasehold.dev", "clientConfig": {"caBundle": ca["tls.crt"]}}]}
    configuration = ["mutatingwebhookconfiguration", "leasehold-injector"]
    api.kubectl("patch", *configuration, "--type=strategic", f"--patch={json.dumps(bundle)}")
    api.patch("secrets", "leasehold-injector-tls", {"data": {"tls.crt": ca["tls.crt"]}}, NAMESPACE)
    helm("upgrade", "leasehold", LEASEHOLD, *own, *values(**{"operator.replicas": 3}))
    keep_certificates(api)
    assert contents(api) == before
    api.kubectl("apply", "-f", "-", stdin=render(LEASEHOLD, *own, "--show-only=templates/certificates.yaml"))
    assert contents(api) == before, "as tools do that ask no cluster while they render"
    helm("rollback", "leasehold")
    assert contents(api) == before
    config = api.get("mutatingwebhookconfigurations", "leasehold-injector")
    secret = api.get("secrets", "leasehold-injector-tls", NAMESPACE)
    assert config is not None
    assert secret is not None
    assert config["webhooks"][0]["clientConfig"]["caBundle"] == ca["tls.crt"]
    assert secret["data"]["tls.crt"] == ca["tls.crt"]


def test_certificates_of_an_earlier_release(api: ControlPlane, helm: Callable[..., str]) -> None:
    """Helm made them, and owns them: another install and an upgrade leave them as they are."""
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    keep_certificates(api)
    made = contents(api)
    helm("uninstall", "leasehold", "--no-hooks")  # no node runs the job that takes labels off
    marks = {"meta.helm.sh/release-name": "leasehold", "meta.helm.sh/release-namespace": NAMESPACE}
    for name, data in made.items():
        metadata = {"name": name, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
        metadata["annotations"] = {**marks, "leasehold.dev/renewed-from": "2026-01-01T00:00:00Z"}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data, "metadata": metadata}
        words = ["apply", "--server-side", "--field-manager=helm", f"--namespace={NAMESPACE}", "-f", "-"]
        api.kubectl(*words, stdin=json.dumps(secret))
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN, **{"operator.replicas": 3}))
    assert contents(api) == made


NO_CLASS = "no StorageClass of this cluster is the default: name one in etcd.persistence.storageClass"


def test_cluster_without_a_storage_class(api: ControlPlane, helm: Callable[..., str]) -> None:
    """It is said at once, with the two ways on; the volumes of an etcd that is there stay as they are."""
    api.delete("storageclasses", "usual")
    try:
        with pytest.raises(HelmFailed) as failed:
            helm("install", "leasehold", LEASEHOLD, *values(**OWN))
        assert f"{NO_CLASS} (none is here), or set etcd.persistence.enabled=false" in str(failed.value)
        api.apply(_storage_class("fast", default=False))
        with pytest.raises(HelmFailed, match=r"name one in etcd\.persistence\.storageClass \(here: fast\)"):
            helm("install", "leasehold", LEASEHOLD, *values(**OWN))
        with pytest.raises(HelmFailed, match=r"storageClass is slow, and there is no such StorageClass"):
            helm("install", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.persistence.storageClass": "slow"}))
        assert render(LEASEHOLD), "who renders can ask nobody"
        helm("install", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.persistence.storageClass": "fast"}))
        api.delete("storageclasses", "fast")
        helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.persistence.storageClass": "fast"}))
    finally:
        api.apply(_storage_class("usual", default=True))


def test_missing_requirements_are_said(api: ControlPlane, helm: Callable[..., str]) -> None:
    """What the cluster lacks is said before anything is installed."""
    external = {"etcd.endpoints": ["https://etcd:2379"], "etcd.tls.secretName": "etcd-tls"}
    with pytest.raises(HelmFailed, match=f"there is no Secret etcd-tls in the namespace {NAMESPACE}: make it first"):
        helm("install", "leasehold", LEASEHOLD, *values(**external))
    issuer = {"certificates.source": "cert-manager", "certificates.issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}
    with pytest.raises(HelmFailed, match=r"sidecar\.namespaces has nowhere, which does not exist"):
        helm("install", "leasehold", LEASEHOLD, *values(**OWN, **issuer, **{"sidecar.namespaces": ["nowhere"]}))
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    with pytest.raises(HelmFailed, match=r"etcd\.replicas cannot be changed from 1 to 3 by an upgrade"):
        helm("upgrade", "leasehold", LEASEHOLD, *values(**{**OWN, "etcd.replicas": 3}))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"size": "2Gi"}, "etcd.persistence.size cannot be changed from 1Gi to 2Gi by an upgrade alone"),
        ({"storageClass": "usual"}, 'etcd.persistence.storageClass cannot be changed from "" to "usual"'),
        ({"enabled": False}, "etcd.persistence.enabled cannot be changed to false by an upgrade: all locks would be"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_changed_volumes_are_refused(
    api: ControlPlane, helm: Callable[..., str], changed: dict[str, object], sentence: str
) -> None:
    """An upgrade that would change the volumes of etcd says what to do."""
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.persistence.size": "1024Mi"}))
    words = values(**OWN, **{f"etcd.persistence.{name}": value for name, value in changed.items()})
    with pytest.raises(HelmFailed) as failed:
        helm("upgrade", "leasehold", LEASEHOLD, *words)
    assert sentence in str(failed.value)


def test_larger_volume_by_the_sentence(api: ControlPlane, helm: Callable[..., str]) -> None:
    """What the sentence says to do gives etcd a larger volume."""
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    api.kubectl("delete", "statefulset", "leasehold-etcd", f"--namespace={NAMESPACE}", "--cascade=orphan")
    helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.persistence.size": "2Gi"}))
    made = api.get("statefulsets", "leasehold-etcd", NAMESPACE)
    assert made is not None
    assert made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_one_release_serves_a_cluster(api: ControlPlane, helm: Callable[..., str]) -> None:
    helm("install", "leasehold", LEASEHOLD, *values(**OWN))
    with pytest.raises(HelmFailed, match=f"the release leasehold in the namespace {NAMESPACE} is here already"):
        helm("install", "another", LEASEHOLD, *values(**OWN))


def test_crd_that_helm_did_not_make(api: ControlPlane, helm: Callable[..., str]) -> None:
    """It is told, with the commands by which a release has it; then no upgrade deletes it, and all Locks with it."""
    crd = "customresourcedefinitions", "locks.leasehold.dev"
    marks = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
    try:
        with pytest.raises(HelmFailed, match="is here already, and Helm did not make it") as told:
            helm("install", "leasehold", LEASEHOLD, *values(**{**OWN, "crds.enabled": True}))
        for command in re.findall(r"kubectl ((?:annotate|label) .*?)(?: and |, )", str(told.value)):
            api.kubectl(*command.split())
        helm("install", "leasehold", LEASEHOLD, *values(**{**OWN, "crds.enabled": True, "crds.keep": False}))
        with pytest.raises(HelmFailed, match=r"crds\.enabled=false would delete the CRD, and all Locks with it"):
            helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN))
        helm("upgrade", "leasehold", LEASEHOLD, *values(**{**OWN, "crds.enabled": True}))
        helm("upgrade", "leasehold", LEASEHOLD, *values(**OWN))
    finally:
        gone = dict.fromkeys([*marks, "helm.sh/resource-policy"])
        api.patch(*crd, {"metadata": {"annotations": gone}})
    assert api.get(*crd) is not None


@pytest.mark.parametrize(("members", "left"), [(3, "data-leasehold-etcd-0"), (1, "data-of-3-leasehold-etcd-0")])
def test_volumes_of_another_etcd_size(api: ControlPlane, helm: Callable[..., str], members: int, left: str) -> None:
    """One member with old data and two without are two clusters, and each lock has two leaders."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    api.create("persistentvolumeclaims", {"metadata": {"name": left}, "spec": claim}, NAMESPACE)
    words = ["install", "leasehold", LEASEHOLD, *values(**OWN, **{"etcd.replicas": members})]
    try:
        with pytest.raises(HelmFailed) as failed:
            helm(*words)
        assert f"{left} is there, the volume of an etcd with {4 - members}" in str(failed.value)
    finally:
        remove_volumes(api)
    helm(*words)


def test_applied_manifests_keep_etcd_size(api: ControlPlane) -> None:
    """As tools do that ask no cluster while they render."""

    def apply(members: int) -> str:
        chosen = values(**OWN, **{"etcd.replicas": members})
        text = render(LEASEHOLD, *chosen, "--show-only=templates/etcd.yaml")
        return api.kubectl("apply", "-f", "-", stdin=text)

    assert "statefulset.apps/leasehold-etcd created" in apply(1)
    try:
        with pytest.raises(KubectlFailed, match=r"spec\.volumeClaimTemplates"):
            apply(3)
    finally:
        for kind, name in (("statefulsets", "leasehold-etcd"), ("services", "leasehold-etcd")):
            api.delete(kind, name, NAMESPACE)
            api.wait_gone(kind, name, NAMESPACE)
        api.kubectl("delete", "poddisruptionbudgets", "--all", f"--namespace={NAMESPACE}")
        remove_volumes(api)
