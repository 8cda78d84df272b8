"""What the chart renders for other people's clusters: their images, names, users, networks."""

import base64
import re
from typing import Any

import yaml

from tests.charts.rendered import LEASEHOLD, objects, render, values

OWN = {"etcd.enabled": True}


def images(text: str) -> set[str]:
    """Every image that is named, the sidecar's included."""
    return set(re.findall(r"image[:=] ?\"?([^\s\"]+)", text))


def test_images_are_named_once_for_all() -> None:
    """A registry for all, by the chart's value or the whole installation's; a digest; a name with its own registry."""
    digest = f"sha256:{'0' * 64}"
    plain = {"leasehold-operator:0.1.0", "leasehold:0.1.0", "etcd:v3.7.3"}
    assert images(render(LEASEHOLD)) == plain
    mine = {f"mine.example:5000/x/{name.rpartition('/')[2]}" for name in plain}
    assert images(render(LEASEHOLD, *values(imageRegistry="mine.example:5000/x/"))) == mine
    assert images(render(LEASEHOLD, *values(**{"global.imageRegistry": "mine.example:5000/x"}))) == mine
    own = {"image.repository": "other.example/team/op", "image.digest": digest, "imageRegistry": "mine.example:5000/x"}
    assert f"other.example/team/op:0.1.0@{digest}" in images(render(LEASEHOLD, *values(**own)))


def test_secrets_for_pulling() -> None:
    """They are the chart's and the whole installation's, and go to injected pods unless others are named for these."""
    chosen = {"imagePullSecrets": [{"name": "a"}, "b"], "global.imagePullSecrets": ["b", {"name": "c"}]}
    everything = objects(render(LEASEHOLD, *values(**chosen)))
    specs = [each["spec"]["template"]["spec"] for each in everything if each["kind"] in ("Deployment", "StatefulSet")]
    assert len(specs) == 4
    assert all(spec["imagePullSecrets"] == [{"name": name} for name in "abc"] for spec in specs)
    assert "--sidecar-pull-secrets=a,b,c" in render(LEASEHOLD, *values(**chosen))
    assert "--sidecar-pull-secrets=d\n" in render(LEASEHOLD, *values(**chosen, **{"sidecar.imagePullSecrets": ["d"]}))
    assert "--sidecar-pull-secrets" not in render(LEASEHOLD, *values(**chosen, **{"sidecar.imagePullSecrets": []}))


def pod_specs(everything: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the component's name."""
    kinds = ("Deployment", "StatefulSet", "Job")
    pods = {each["metadata"]["name"]: each["spec"]["template"] for each in everything if each["kind"] in kinds}
    pods |= {each["metadata"]["name"]: each for each in everything if each["kind"] == "Pod"}
    return {name.partition("-")[2]: pod["spec"] for name, pod in pods.items()}


def test_platform_that_chooses_users() -> None:
    """Nothing fixes a user or a group where the platform has its own, which OpenShift is known by."""
    usual = render(LEASEHOLD, *values(**{"crds.keep": False}))
    assert "runAsUser: 65532" in usual
    assert "fsGroup: 65532" in usual
    for chosen in (values(openshift=True), ["--api-versions=security.openshift.io/v1"]):
        text = render(LEASEHOLD, *values(**{"crds.keep": False}), *chosen)
        assert "65532" not in text
        assert "--sidecar-any-user" in text
        assert text.count("runAsNonRoot: true") == usual.count("runAsNonRoot: true")


def test_injector_on_its_nodes_network() -> None:
    """Where the API server reaches nodes and no pods, at a port that a firewall lets through."""
    everything = objects(render(LEASEHOLD, *values(**{"injector.hostNetwork": True, "injector.port": 10250})))
    spec = pod_specs(everything)["injector"]
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    (container,) = spec["containers"]
    assert {"name": "https", "containerPort": 10250} in container["ports"]
    assert "--listen=:10250" in container["args"]


def test_policies_for_what_goes_out() -> None:
    """Each component reaches names; all but etcd the API server; the operator etcd, wherever that is."""
    on = {"networkPolicy.egress.enabled": True}

    def ports(**chosen: Any) -> dict[str, set[int]]:
        found = [
            each for each in objects(render(LEASEHOLD, *values(**on, **chosen))) if each["kind"] == "NetworkPolicy"
        ]
        assert all("Egress" in each["spec"]["policyTypes"] for each in found)
        return {
            each["metadata"]["name"].rpartition("-")[2]: {
                port["port"] for rule in each["spec"]["egress"] for port in rule["ports"]
            }
            for each in found
        }

    api = {53, 5353, 443, 6443}
    assert ports(**{"ui.enabled": True})["ui"] == api | {2379}
    assert ports() == {"operator": api | {2379}, "injector": api, "certificates": api, "etcd": {53, 5353, 2380}}
    external = {"etcd.endpoints": ["https://etcd:2390", "https://other"], "etcd.tls.secretName": "etcd"}
    assert ports(**external) == {"operator": api | {2390, 443}, "injector": api}


def test_each_component_has_a_policy() -> None:
    """What runs for as long as the release is there lets in only what it serves; the page, nobody."""
    everything = objects(render(LEASEHOLD, *values(**{"ui.enabled": True, "injector.mode": "webhook"})))
    policies = [each["spec"] for each in everything if each["kind"] == "NetworkPolicy"]
    for each in everything:
        if each["kind"] in ("Deployment", "StatefulSet"):
            labels = each["spec"]["template"]["metadata"]["labels"].items()
            chosen = [one for one in policies if one["podSelector"]["matchLabels"].items() <= labels]
            assert len(chosen) == 1, each["metadata"]["name"]
            assert bool(chosen[0]["ingress"]) == (not each["metadata"]["name"].endswith("-ui"))


def test_names_labels_and_accounts() -> None:
    """Overrides reach every object, and accounts of the user's get the rights."""
    chosen = {"fullnameOverride": "locks", "commonLabels": {"team": "platform"}, "ipFamilyPolicy": "PreferDualStack"}
    chosen |= {"operator.serviceAccount": {"create": False, "name": "mine"}}
    text = render(LEASEHOLD, *values(**chosen))
    everything = [each for each in objects(text) if each["kind"] != "CustomResourceDefinition"]
    assert all(each["metadata"]["labels"]["team"] == "platform" for each in everything)
    assert all(each["metadata"]["labels"]["helm.sh/chart"] == "leasehold-0.1.0" for each in everything)
    assert {each["spec"]["ipFamilyPolicy"] for each in everything if each["kind"] == "Service"} == {"PreferDualStack"}
    shared = {"leasehold-view", "leasehold-edit", "leasehold-etcd-client"}
    assert all(each["metadata"]["name"] in shared or "locks" in each["metadata"]["name"] for each in everything)
    subjects = [s["name"] for each in everything if "Binding" in each["kind"] for s in each.get("subjects", ())]
    assert "mine" in subjects
    assert "locks-operator" not in subjects
    assert "system:serviceaccount:leasehold-system:mine'" in text


def test_certificates_of_somebody_else() -> None:
    """The chart makes no Secret for them, and asks for no right to write them."""
    file = LEASEHOLD / "ci" / "own-secrets-values.yaml"
    everything = objects(render(LEASEHOLD, "--values", file))
    by = {(each["kind"], each["metadata"]["name"]): each for each in everything}
    secrets = {name for kind, name in by if kind == "Secret"}
    assert secrets == {"leasehold-etcd-server", "leasehold-etcd-operator", "leasehold-etcd-admin"}
    args = pod_specs(everything)["certificates"]["containers"][0]["args"]
    assert {"--authority=my-etcd-ca", "--keep-authority"} <= set(args)
    mounted = {
        each["secret"]["secretName"] for each in pod_specs(everything)["operator"]["volumes"] if "secret" in each
    }
    assert "my-etcd-ca" in mounted
    spec = pod_specs(everything)["injector"]
    assert spec["volumes"][0]["secret"]["secretName"] == "my-webhook"
    assert "--tls-cert=/tls/tls.crt" in spec["containers"][0]["args"]
    webhooks = by["MutatingWebhookConfiguration", "leasehold-injector"]["webhooks"]
    pem = yaml.safe_load(file.read_text())["injector"]["tls"]["caBundle"]
    assert {base64.b64decode(each["clientConfig"]["caBundle"]).decode() for each in webhooks} == {pem}
    assert ("Role", "leasehold-injector") not in by
    assert "mutatingwebhookconfigurations" not in str(by["ClusterRole", "leasehold-injector"])


def test_etcd_that_is_not_named() -> None:
    """It is the chart's own, in the same words at each render: who renders makes no key and no certificate."""
    text = render(LEASEHOLD)
    assert "kind: StatefulSet" in text
    assert text == render(LEASEHOLD) == render(LEASEHOLD, *values(**OWN))
    assert not [each for each in objects(text) if each["kind"] == "Secret" and each.get("data")]
    assert "StatefulSet" not in render(LEASEHOLD, *values(**{"etcd.endpoints": ["http://etcd:2379"]}))


def test_metadata_for_artifact_hub() -> None:
    """The images are those that are rendered, the example is a Lock, the CRD is the one that is there."""
    notes = yaml.safe_load((LEASEHOLD / "Chart.yaml").read_text())["annotations"]
    listed = {each["image"] for each in yaml.safe_load(notes["artifacthub.io/images"])}
    assert listed == images(render(LEASEHOLD))
    (example,) = yaml.safe_load(notes["artifacthub.io/crdsExamples"])
    (crd,) = yaml.safe_load(notes["artifacthub.io/crds"])
    there = yaml.safe_load((LEASEHOLD / "files" / "crd.yaml").read_text())
    assert crd["name"] == there["metadata"]["name"]
    assert example["apiVersion"] == f"{there['spec']['group']}/{crd['version']}"
    kinds = {each["kind"] for each in yaml.safe_load(notes["artifacthub.io/changes"])}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}


def test_alerts_name_their_runbooks() -> None:
    """And the etcd of this release, wherever the runbooks can be read."""
    chosen = {"prometheusRule": {"enabled": True, "runbookUrl": "https://docs.example/books"}, "fullnameOverride": "lh"}
    (rule,) = (each for each in objects(render(LEASEHOLD, *values(**chosen))) if each["kind"] == "PrometheusRule")
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    assert len(rules) > 10
    assert all(each["annotations"]["runbook_url"].startswith("https://docs.example/books#") for each in rules)
    jobs = {job for each in rules for job in re.findall(r'job="([^"]*)"', each["expr"])}
    assert jobs == {"lh-etcd"}
