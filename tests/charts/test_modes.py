"""From one mode of injection to the other, by the real helm on a real API server that has no nodes."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts.rendered import LEASEHOLD, NAMESPACE, values
from tests.cluster import ControlPlane, run_helm
from tests.servers import wait_for

VALUES = {"etcd.endpoints": ["http://etcd:2379"], "crds.enabled": False}


@pytest.fixture
def api() -> Iterator[ControlPlane]:
    with ControlPlane(name="modes") as made:
        made.create("namespaces", {"metadata": {"name": NAMESPACE}})
        yield made


def test_mode_changes_in_two_upgrades(api: ControlPlane) -> None:
    """What injects stays until the other one is there, and is known to work."""

    def upgrade(mode: str) -> list[str]:
        words: list[str | Path] = ["upgrade", "--install", "leasehold", LEASEHOLD, f"--namespace={NAMESPACE}"]
        run_helm(*words, *values(**VALUES, **{"injector.mode": mode}), kubeconfig=api.kubeconfig())
        kinds = ("mutatingadmissionpolicy", "mutatingwebhookconfiguration", "deployment")
        found = api.kubectl("get", ",".join(kinds), f"--namespace={NAMESPACE}", "-o", "name").splitlines()
        return sorted(each.partition(".")[0] for each in found if each.endswith("/leasehold-injector"))

    policy, webhook = ["mutatingadmissionpolicy"], ["deployment", "mutatingwebhookconfiguration"]
    both = sorted([*policy, *webhook])
    assert upgrade("auto") == policy
    assert [upgrade("webhook"), upgrade("webhook")] == [both, both], "no injector is ready here"
    serve_webhook(api)
    assert [upgrade("webhook"), upgrade("auto"), upgrade("auto")] == [webhook, both, policy]


def serve_webhook(api: ControlPlane) -> None:
    """Let the injector look ready: no node runs one here."""
    authority = base64.b64encode(api.authority.path.read_bytes()).decode()
    bundle = {"webhooks": [{"name": "inject.leasehold.dev", "clientConfig": {"caBundle": authority}}]}
    words = ["mutatingwebhookconfiguration", "leasehold-injector", "--type=strategic"]
    api.kubectl("patch", *words, f"--patch={json.dumps(bundle)}")
    ready = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    labels = "app.kubernetes.io/component=injector"

    def is_ready() -> bool:
        for pod in api.list("pods", NAMESPACE, labels=labels):
            api.kubectl(
                "patch",
                "pod",
                pod["metadata"]["name"],
                f"--namespace={NAMESPACE}",
                "--subresource=status",
                f"-p={ready}",
            )
        found = api.get("deployments", "leasehold-injector", NAMESPACE)
        return bool(found and found["status"].get("readyReplicas"))

    wait_for(is_ready, "the injector to look ready")
