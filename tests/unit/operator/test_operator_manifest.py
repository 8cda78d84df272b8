"""The Deployment in manifests/operator.yaml runs the operator of this package. No server is needed."""

import re
from pathlib import Path
from typing import Any

import yaml

import leasehold
from leasehold.operator.config import OWN_LOCK, operator_config
from leasehold.operator.watch.transform import LEADER_LABEL, LEADER_OF

ROOT = Path(__file__).parents[3]
OBJECTS = list(yaml.safe_load_all((ROOT / "manifests" / "operator.yaml").read_text()))
[DEPLOYMENT] = [found for found in OBJECTS if found["kind"] == "Deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
PROBES: list[dict[str, Any]] = [CONTAINER["livenessProbe"], CONTAINER["readinessProbe"]]


def test_the_operator_accepts_its_arguments(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    command, *arguments = CONTAINER["args"]
    fields = {variable["name"]: variable.get("value", "from-the-pod") for variable in CONTAINER["env"]}
    namespace = DEPLOYMENT["metadata"]["namespace"]
    config = operator_config(arguments, {**fields, "POD_NAMESPACE": namespace, "KUBECONFIG": str(kubeconfig)})
    assert command == "operator"
    assert config.warnings == ()
    assert str(config.lock) == f"{namespace}/{OWN_LOCK}"
    assert (config.record.pod, config.record.pod_uid, config.record.node) == ("from-the-pod",) * 3
    assert [config.listen.port] == [port["containerPort"] for port in CONTAINER["ports"]]


def test_probes_use_the_listening_port() -> None:
    names = {port["name"] for port in CONTAINER["ports"]}
    assert [probe["httpGet"]["path"] for probe in PROBES] == ["/livez", "/readyz"]
    assert {probe["httpGet"]["port"] for probe in PROBES} == names


def test_image_and_user_match_this_version() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert (str(POD["securityContext"]["runAsUser"]), str(POD["securityContext"]["runAsGroup"])) == user.groups()
    assert CONTAINER["image"].endswith(f":{leasehold.__version__}")


def test_references_name_existing_objects() -> None:
    """One service account in one namespace: in the bindings, the Deployment and the policy."""
    account = next(found for found in OBJECTS if found["kind"] == "ServiceAccount")["metadata"]
    subjects = [subject for found in OBJECTS for subject in found.get("subjects", [])]
    assert {(subject["name"], subject["namespace"]) for subject in subjects} == {
        (account["name"], account["namespace"])
    }
    assert POD["serviceAccountName"] == account["name"]
    policy = next(found for found in OBJECTS if found["kind"] == "ValidatingAdmissionPolicy")
    [condition] = policy["spec"]["matchConditions"]
    assert f"'system:serviceaccount:{account['namespace']}:{account['name']}'" in condition["expression"]
    roles = {(found["kind"], found["metadata"]["name"]) for found in OBJECTS if "rules" in found}
    assert {(found["roleRef"]["kind"], found["roleRef"]["name"]) for found in OBJECTS if "roleRef" in found} <= roles


def test_the_policy_allows_the_labels() -> None:
    policy = next(found for found in OBJECTS if found["kind"] == "ValidatingAdmissionPolicy")
    labels, annotations, _ = [validation["expression"] for validation in policy["spec"]["validations"]]
    assert labels.count(f"k == '{LEADER_LABEL}'") == 2
    assert annotations.count(f"k == '{LEADER_OF}'") == 2
