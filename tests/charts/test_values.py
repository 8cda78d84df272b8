"""The charts' values: each complete configuration renders, and each wrong value gives a sentence with the mend."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendered import (
    CHARTS,
    LEASEHOLD,
    MANIFEST,
    ROOT,
    SINGLETON,
    manifest,
    objects,
    render,
    value_files,
    values,
)
from tests.cluster import HelmFailed, run_helm

OWN = {"etcd.enabled": True}
TLS = {"etcd.endpoints": ["https://etcd:2379"], "etcd.tls.secretName": "mine"}
ENROLMENT = {"etcd.enrolment.caSecretName": "ca", "etcd.enrolment.adminSecretName": "admin"}
APP = {"app.image": "reports:1.0", "leasehold.etcd.endpoints": ["http://etcd:2379"]}
ALL_FILES = [(chart, file) for chart in (LEASEHOLD, SINGLETON) for file in value_files(chart)]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"etcd.enabled": False}, "etcd.enabled is false and no etcd is named: set etcd.endpoints to the URLs of yours"),
    ({**OWN, "etcd.endpoints": ["http://etcd:2379"]}, "etcd.enabled and etcd.endpoints are both set"),
    ({**OWN, "etcd.replicas": 2}, "value must be one of 1, 3"),
    ({**OWN, "etcd.persistence.size": "100Mi"}, "use 512Mi at least"),
    ({"etcd.endpoints": ["http://etcd:2379 # mine"]}, '"http://etcd:2379 # mine": a URL without a path is needed'),
    ({**OWN, "imageRegistry": "https://registry.example"}, "use a registry's name without https:// in front"),
    ({**OWN, "etcd.replicas": 3, "etcd.persistence.enabled": False}, "a member that comes back without its data"),
    ({**OWN, "etcd.replica": 3}, "additional properties 'replica' not allowed"),
    ({**OWN, "etcd.tls.secretName": "mine"}, "are for an etcd of yours"),
    ({"etcd.endpoints": ["https://etcd:2379"]}, "etcd.tls.secretName is empty: name a Secret with the key ca.crt"),
    ({"etcd.endpoints": ["http://etcd:2379"], "etcd.tls.secretName": "mine"}, "write https:// there"),
    ({"etcd.endpoints": ["etcd:2379"]}, 'etcd.endpoints is "etcd:2379": a URL without a path is needed, such as https'),
    ({"etcd.endpoints": ["http://etcd:2379"], "etcd.auth.user": "me"}, "etcd.auth needs both: user, and secretName"),
    ({**OWN, "etcd.root": "leasehold"}, 'etcd.root is "leasehold": it begins with a slash'),
    ({**OWN, "etcd.root": "/team a's"}, "has letters, digits and -._~:@+= alone"),
    ({**OWN, "etcd.root": "/a//b"}, 'etcd.root is "/a//b": it begins with a slash'),
    ({"etcd.endpoints": ["http://etcd:23790000"]}, "with a host and a port up to 65535"),
    ({"etcd.endpoints": ["https://:2379"]}, "with a host and a port up to 65535"),
    (
        {**TLS, "etcd.auth": {"user": "@me", "secretName": "password"}},
        'etcd.auth.user is "@me": a user\'s name is one line, which does not begin with @',
    ),
    ({**OWN, "etcd.image.tag": ""}, "minLength: got 0, want 1"),
    ({**OWN, "etcd.image.tag": None}, "missing property 'tag'"),
    ({**OWN, "etcd.image.tag": "v3.5.10"}, "which etcd has from 3.5.11 on"),
    ({**OWN, "etcd.image.tag": "3.4.34-debian"}, "which etcd has from 3.5.11 on"),
    ({**OWN, "etcd.replicas": None}, "missing property 'replicas'"),
    ({**OWN, "etcd": None}, "missing property 'etcd'"),
    ({"etcd.endpoints": ["http://etcd:2379"], "etcd.tls.serverTlsOnly": True}, "name a Secret with the key ca.crt"),
    (
        {**OWN, "operator.podLabels": {"app.kubernetes.io/name": "mine"}},
        "operator.podLabels has app.kubernetes.io/name, by which the chart finds its pods",
    ),
    (
        {**OWN, "injector.podLabels": {"leasehold.dev/inject": "true"}},
        "injector.podLabels has leasehold.dev/inject: without an injector its pods would wait for themselves",
    ),
    ({**OWN, "certificates.days": 0}, "minimum: got 0, want 1"),
    ({**OWN, "etcd.persistence.size": "10GB"}, '"10GB": use a whole number with Mi, Gi, Ti, M, G or T'),
    ({**OWN, "certificates.source": "cert-manager"}, "set certificates.issuerRef.name and .kind"),
    ({**OWN, "certificates.source": "vault"}, "value must be one of 'chart', 'cert-manager'"),
    (
        {
            **OWN,
            "certificates": {"source": "cert-manager", "issuerRef": {"name": "ca", "kind": "Issuer"}},
            "sidecar.namespaces": ["apps"],
        },
        "certificates.issuerRef.kind must be ClusterIssuer",
    ),
    ({**OWN, "sidecar.namespaces": ["Apps"]}, 'sidecar.namespaces is "Apps": Kubernetes has only names of lower case'),
    ({**OWN, "sidecar.namespaces": ["apps"]}, "label others leasehold.dev/injection=enabled, and leave the value out"),
    ({**OWN, "etcd.enrolment.caSecretName": "mine"}, "are for an etcd of yours: leave them empty"),
    (
        {
            **OWN,
            "certificates": {"source": "cert-manager", "issuerRef": {"name": "ca", "kind": "Issuer"}},
            "etcd.enrolment.caSecretName": "ca",
            "sidecar.namespaces": ["apps"],
        },
        "certificate of its own from the operator: leave sidecar.namespaces empty",
    ),
    ({**OWN, "etcd.enrolment.days": 0}, "minimum: got 0, want 1"),
    ({**TLS, "etcd.enrolment.caSecretName": "ca"}, "etcd.enrolment needs both: caSecretName"),
    ({**TLS, "etcd.enrolment.adminUser": "me"}, "name a Secret with the key password"),
    ({**TLS, **ENROLMENT, "etcd.tls.serverTlsOnly": True}, "etcd.tls.serverTlsOnly says that etcd asks for none"),
    ({"etcd.endpoints": ["http://etcd:2379"], **ENROLMENT}, "etcd.enrolment is for an etcd with TLS"),
    ({**OWN, "operator.replicas": 0}, "minimum: got 0, want 1"),
    ({**OWN, "operator.ttl": 2}, "minimum: got 2, want 3"),
    ({**OWN, "operator.resources.limits.memory": "lots"}, 'operator.resources.limits.memory is "lots": use an amount'),
    (
        {**OWN, "imagePullSecrets": [{"name": "My_Secret"}]},
        'imagePullSecrets is "My_Secret": Kubernetes has only',
    ),
    ({**OWN, "podMonitor.interval": "often"}, 'podMonitor.interval is "often": use seconds or minutes, such as 30s'),
    ({**OWN, "prometheusRule.runbookUrl": "https://x/#a"}, "prometheusRule.runbookUrl is"),
    (
        {"sidecar.resources.requests.memory": "128Mi"},
        "sidecar.resources.requests.memory is 128Mi, above sidecar.resources.limits.memory, which is 96Mi: set both",
    ),
    ({"commonLabels": {"app.kubernetes.io/name": "mine"}}, "which every object of the chart has anyway: leave it out"),
    ({"commonLabels": {"bad name": "x"}}, 'commonLabels has "bad name": a label\'s name has letters and digits'),
    ({"commonLabels": {"team": "a b"}}, 'commonLabels.team is "a b": a label has at most 63 letters and digits'),
    ({"image.tag": "0.1.0@sha256:1"}, 'image.tag is "0.1.0@sha256:1": use a tag alone, such as 0.1.0'),
    ({"operator.resources.limits.cpu": 0.01}, "operator.resources.requests.cpu is 50m, above"),
    ({**OWN, "injector.mode": "cel"}, "value must be one of 'auto', 'webhook', 'policy'"),
    ({**OWN, "injector.mode": None}, "missing property 'mode'"),
    ({**OWN, "injector.requirelock": True}, "additional properties 'requirelock' not allowed"),
    ({**OWN, "image.repository": "https://registry.example/leasehold"}, "https:// is not part of it"),
    ({**OWN, "image.repository": "registry.example/leasehold:0.1.0"}, "the tag has a value of its own, beside it"),
    ({**OWN, "image.digest": "sha256:0"}, 'image.digest is "sha256:0": use sha256: and 64 hexadecimal digits'),
    ({**OWN, "global": {"imageRegistry": "https://registry.example"}}, "global.imageRegistry is"),
    ({**OWN, "crds.enabled": "yes"}, "got string, want boolean"),
    ({"operator.replicas": "2"}, "at '/operator/replicas': got string, want integer"),
    ({"injector.tls.secretName": "mine"}, "injector.tls needs both: secretName, of a Secret with tls.crt and tls.key"),
    ({"injector.tls": {"secretName": "mine", "caBundle": "x"}}, "injector.tls.caBundle is no PEM of a certificate"),
    (
        {"etcd.endpoints": ["http://e:1"], "certificates.caSecretName": "mine"},
        "is the authority of the chart's own etcd",
    ),
    ({"injector.port": 8080}, "injector.port and injector.healthPort are both 8080"),
    ({"operator.hostNetwork": True, "injector.hostNetwork": True}, "operator.port is 8080, a port of the injector's"),
    ({"injector.serviceAccount": {"create": False}}, "name the one that is there in injector.serviceAccount.name"),
    ({"etcd.podLabels": {"app.kubernetes.io/name": "mine"}}, "etcd.podLabels has app.kubernetes.io/name"),
]
WRONG_SINGLETON: list[tuple[dict[str, Any], str]] = [
    ({"leasehold.etcd.endpoints": ["http://etcd:2379"]}, "app.image is missing"),
    ({"app.image": "reports:1.0"}, "etcd.endpoints is empty: name the members of etcd that the operator uses"),
    ({**APP, "replicas": 2}, "at '/replicas': value must be 1"),
    ({**APP, "leasehold.gate": "both"}, "value must be one of 'readiness', 'label'"),
    ({**APP, "kind": "DaemonSet"}, "value must be one of 'Deployment', 'StatefulSet'"),
    ({**APP, "app.healthPath": ""}, "does not match pattern"),
    ({**APP, "app.healthPath": None}, "missing property 'healthPath'"),
    ({**APP, "leasehold.lock": "other"}, "additional properties 'lock' not allowed"),
    ({**APP, "leasehold.etcd.user": "me"}, "etcd.user and etcd.passwordSecretName need each other"),
    ({**APP, "lock.leaseDurationSeconds": 1}, "minimum: got 1, want 3"),
    ({**APP, "app.healthPath": "/healthz # mine"}, "does not match pattern"),
    ({**APP, "app.port": 4041}, "are 4041, 4040, 4041: in one pod each must be another"),
    ({**APP, "podLabels": {"app.kubernetes.io/instance": "mine"}}, "by which the chart finds its pods: leave it out"),
]


@pytest.mark.parametrize(("chart", "file"), ALL_FILES, ids=lambda each: each.stem)
def test_configurations_lint_and_render(chart: Path, file: Path) -> None:
    """Each configuration passes lint, and renders."""
    assert "0 chart(s) failed" in run_helm("lint", "--strict", chart, "--values", file)
    assert objects(render(chart, "--values", file))


@pytest.mark.parametrize(("chosen", "sentence"), WRONG, ids=lambda each: str(each)[:40])
def test_a_wrong_value_gives_a_sentence(chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(HelmFailed) as failed:
        render(LEASEHOLD, *values(**chosen))
    assert sentence in str(failed.value)


@pytest.mark.parametrize(("chosen", "sentence"), WRONG_SINGLETON, ids=lambda each: str(each)[:40])
def test_wrong_value_of_the_singleton(chosen: dict[str, Any], sentence: str) -> None:
    """It is refused in a sentence that names the value."""
    with pytest.raises(HelmFailed) as failed:
        render(SINGLETON, *values(**chosen), release="reports")
    assert sentence in str(failed.value)


def test_no_value_is_told_by_a_pattern() -> None:
    """The schema could only show it: `_texts.tpl` says what would be right."""
    assert '"pattern"' not in (LEASEHOLD / "values.schema.json").read_text()


@pytest.mark.parametrize("chart", ["leasehold", "singleton"])
def test_no_part_of_the_values_is_open(chart: str) -> None:
    """A misspelt value would be ignored in silence. What belongs to Kubernetes or to Helm is theirs to check."""
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    theirs = {"global", "affinity", "dnsConfig", "securityContext", "resources", "leasehold-sidecar"}

    def check(part: dict[str, Any], path: str) -> None:
        if "object" in part.get("type", ()) and path.rpartition(".")[2] not in theirs:
            assert part.get("additionalProperties") in (False, {"type": "string"}), path
        for name, each in part.get("properties", {}).items():
            check(each, f"{path}.{name}")

    check(schema, chart)


@pytest.mark.parametrize(
    ("mode", "served", "kind"),
    [
        ("auto", False, "MutatingWebhookConfiguration"),
        ("auto", True, "MutatingAdmissionPolicy"),
        ("webhook", True, "MutatingWebhookConfiguration"),
        ("policy", False, "MutatingAdmissionPolicy"),
    ],
)
def test_what_injects(mode: str, served: bool, kind: str) -> None:
    """By what the API server serves, unless the values say it; and only one of the two."""
    words = ["--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"] if served else []
    everything = objects(render(LEASEHOLD, *values(**OWN, **{"injector.mode": mode}), *words))
    assert next(each["kind"] for each in everything if each["kind"].startswith("Mutating")) == kind
    assert len({each["kind"].removesuffix("Binding") for each in everything if each["kind"].startswith("Mut")}) == 1
    names = {each["metadata"]["name"] for each in everything if not each["kind"].startswith("Mutating")}
    assert any("injector" in name for name in names) == (kind == "MutatingWebhookConfiguration")


def test_old_kubernetes_is_refused() -> None:
    """A cluster that is too old is refused in a sentence."""
    with pytest.raises(HelmFailed, match=r"requires kubeVersion: >=1\.30\.0-0 which is incompatible"):
        render(LEASEHOLD, *values(**OWN), "--kube-version=1.28.0")


def test_manifest_is_rendered_operator() -> None:
    """`manifests/operator.yaml` is the operator that the chart renders."""
    assert MANIFEST.read_text() == manifest(), "python -m tests.charts writes it"


def test_crd_of_chart_and_manifest_agree() -> None:
    """The CRD of the chart is that of the manifest."""
    assert (LEASEHOLD / "files" / "crd.yaml").read_text() == (ROOT / "manifests" / "crd.yaml").read_text()


def test_uninstall_and_the_crd() -> None:
    """The CRD is kept when that is asked; else all Locks are deleted first."""

    def kinds(**chosen: Any) -> tuple[bool, bool]:
        everything = objects(render(LEASEHOLD, *values(**OWN, **chosen)))
        (crd,) = (each for each in everything if each["kind"] == "CustomResourceDefinition")
        kept = crd["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        return kept, any(each["kind"] == "Job" and "uninstall" in each["metadata"]["name"] for each in everything)

    assert kinds() == (True, False)
    assert kinds(**{"crds.keep": False}) == (False, True)


def test_missing_library_chart(tmp_path: Path) -> None:
    """A chart without its library says what to do."""
    copy = tmp_path / "singleton"
    shutil.copytree(SINGLETON, copy, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    with pytest.raises(HelmFailed, match="missing in charts/ directory: leasehold-sidecar"):
        render(copy, *values(**APP))


@pytest.mark.parametrize("size", ["1Gi", "512Mi", "5G"])
def test_quota_is_below_the_volume(size: str) -> None:
    """etcd refuses writes before its volume is full."""
    text = render(LEASEHOLD, *values(**OWN, **{"etcd.persistence.size": size}))
    (quota,) = re.findall(r"--quota-backend-bytes=(\d+)", text)
    assert int(quota) == {"1Gi": 2**29, "512Mi": 2**28, "5G": 2_500_000_000}[size]


def test_etcd_keeps_its_endpoints_while_it_elects() -> None:
    """/readyz reads through the quorum: no member answers it well until there is a leader, 2 s on an idle machine."""
    (etcd,) = (each for each in objects(render(LEASEHOLD, *values(**OWN))) if each["kind"] == "StatefulSet")
    probe = etcd["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 6


def test_texts_that_yaml_misreads() -> None:
    """Names and texts that YAML would take for something else are quoted."""
    chosen = {"etcd.endpoints": ["http://etcd:2379"], "etcd.auth.secretName": "s", "etcd.auth.user": "svc: #1"}
    everything = objects(render(LEASEHOLD, *values(**chosen), release="my.1", namespace="123"))
    assert all(each["metadata"].get("namespace", "123") == "123" for each in everything)
    assert not [
        each["metadata"]["name"] for each in everything if each["kind"] == "Service" and "." in each["metadata"]["name"]
    ]
    (injector,) = (
        one for one in everything if one["kind"] == "Deployment" and one["metadata"]["name"].endswith("injector")
    )
    assert "--sidecar-etcd-user=svc: #1" in injector["spec"]["template"]["spec"]["containers"][0]["args"]


def test_singleton_texts_that_yaml_misreads() -> None:
    """Names and texts that YAML would take for something else are quoted."""
    chosen = {**APP, "leasehold.etcd.user": "svc: #1", "leasehold.etcd.passwordSecretName": "123"}
    everything = objects(render(SINGLETON, *values(**chosen), release="true", namespace="123"))
    assert {each["metadata"]["name"] for each in everything} == {"true"}
    (workload,) = (each for each in everything if each["kind"] == "Deployment")
    spec = workload["spec"]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in spec["initContainers"][0]["env"]}
    assert env["LEASEHOLD_ETCD_USER"] == "svc: #1"
    assert spec["volumes"][-1]["secret"]["secretName"] == "123"


def test_etcd_without_client_certificates() -> None:
    """An etcd that wants no certificate is shown none, without a cluster to ask."""
    external = {"etcd.endpoints": ["https://etcd:2379"], "etcd.tls.secretName": "etcd-tls"}
    for told in (False, True):
        text = render(LEASEHOLD, *values(**external, **{"etcd.tls.serverTlsOnly": told}))
        assert ("LEASEHOLD_ETCD_CERT" in text, "--sidecar-etcd-server-tls-only" in text) == (not told, told)


@pytest.mark.parametrize("chart", [LEASEHOLD, SINGLETON], ids=lambda each: each.name)
def test_chart_as_a_conditional_part(chart: Path) -> None:
    """A chart may be part of another, under a condition."""
    chosen = OWN if chart == LEASEHOLD else APP
    assert objects(render(chart, *values(**chosen, enabled=True)))


def test_notes_can_be_pasted() -> None:
    """The end of a text that a shell reads stands at the beginning of its line."""
    notes = (LEASEHOLD / "templates" / "NOTES.txt").read_text()
    assert notes.count("<<END") == len(re.findall(r"^END$", notes, re.MULTILINE)) > 0
