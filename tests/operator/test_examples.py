"""The examples of manifests/examples: a strict API server takes them as they stand, and an operator serves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from leasehold.injector import patch
from leasehold.operator.watch.transform import LEADER_LABEL
from leasehold.settings.config import run_config
from leasehold.settings.exec import exec_config
from tests.cluster import ControlPlane
from tests.operator.lock_objects import is_ready
from tests.operator.operator_process import Operator
from tests.unit.injector.pods import SIDECAR

EXAMPLES = sorted((Path(__file__).parents[2] / "manifests" / "examples").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    """The objects of one example."""
    return list(yaml.safe_load_all(path.read_text()))


def test_examples_are_applied(api: ControlPlane, namespace: str, operator_factory: Callable[..., Operator]) -> None:
    """The API server takes every example, and the operator declares its Locks."""
    operator = operator_factory()
    operator.wait_active()
    assert {path.stem for path in EXAMPLES} == {"hello", "injected", "job", "lock", "standbys", "statefulset"}
    for path in EXAMPLES:
        api.kubectl("apply", "--namespace", namespace, "--validate=strict", "--filename", str(path))
        for one in documents(path):
            if one["kind"] == "Lock":
                api.wait("locks", one["metadata"]["name"], namespace, until=is_ready, what="ready")
    assert operator.errors() == 0


@pytest.mark.parametrize("name", ["hello", "injected", "statefulset"])
def test_injector_takes_the_labelled(name: str) -> None:
    """Its pods stand for the example's own Lock, with the revision that their controller will give them."""
    by_kind = {one["kind"]: one for one in documents(EXAMPLES[0].with_name(f"{name}.yaml"))}
    (workload,) = (one for kind, one in by_kind.items() if kind in ("Deployment", "StatefulSet"))
    template = workload["spec"]["template"]
    label = "pod-template-hash" if workload["kind"] == "Deployment" else "controller-revision-hash"
    template["metadata"]["labels"][label] = "x"
    asked = patch.injection_request(template, "default", require_lock=True)
    assert asked.lock.name == by_kind["Lock"]["metadata"]["name"]
    assert patch.patch(template, asked, SIDECAR)


def test_settings_of_the_job_exist() -> None:
    """The command of the Job's example is given flags and variables that exist."""
    (job,) = (one for one in documents(EXAMPLES[0].with_name("job.yaml")) if one["kind"] == "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    words: list[str] = [*container["command"], *container["args"]]
    config = exec_config(words[2:], {one["name"]: one.get("value", "x") for one in container["env"]})
    assert (words[:2], config.sidecar.lock.name) == (["leasehold", "exec"], "nightly")
    assert (config.command, config.sidecar.warnings) == (("/usr/local/bin/nightly",), ())


def standbys() -> dict[str, dict[str, Any]]:
    """What the example with standbys wants, by kind."""
    return {one["kind"]: one["spec"] for one in documents(EXAMPLES[0].with_name("standbys.yaml"))}


def test_service_selects_the_leader() -> None:
    """The Service's selector is the Deployment's labels and the leader's."""
    found = standbys()
    assert found["Lock"]["podLabel"] is True
    marked = found["Deployment"]["template"]["metadata"]["labels"] | {LEADER_LABEL: "true"}
    assert found["Service"]["selector"].items() <= marked.items()


def test_settings_of_the_sidecar_exist() -> None:
    """A misspelt variable would be a warning, a misspelt flag an error."""
    (sidecar,) = standbys()["Deployment"]["template"]["spec"]["initContainers"]
    environ = {one["name"]: one.get("value", "x") for one in sidecar["env"]}
    command, *arguments = (word for word in sidecar["args"] if "state-dir" not in word)  # a volume of the pod
    config = run_config(arguments, environ)
    assert (command, config.lock.name, config.warnings) == ("run", "orders", ())
