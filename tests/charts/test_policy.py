"""What a real API server admits: pods whose sidecar is missing, and what quotas say of those that have one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.charts.rendered import LEASEHOLD, objects, render, values
from tests.cluster import ApiError, ControlPlane
from tests.servers import wait_for
from tests.unit.injector.pods import injected, pod

INJECT = {"labels": {"leasehold.dev/inject": "true"}}
LOCK = {"annotations": {"leasehold.dev/lock": "reports"}}
SIDECAR = {"name": "leasehold", "image": "leasehold:1", "restartPolicy": "Always"}
KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


@pytest.fixture(scope="module")
def api() -> Iterator[ControlPlane]:
    """An API server with the policy and no injector, once the policy is in force."""
    with ControlPlane(name="policy") as made:
        create(made, "default", metadata=INJECT)  # before there is a policy
        for each in objects(render(LEASEHOLD, *values(**{"etcd.enabled": True, "injector.enabled": False}))):
            if each["kind"] in KINDS:
                made.apply(each)
        wait_for(lambda: refusal(made, "kube-public", **INJECT), "the policy to be in force")
        yield made


def create(
    api: ControlPlane, namespace: str, *sidecars: dict[str, Any], metadata: dict[str, Any], dry_run: bool = False
) -> None:
    spec = {"initContainers": list(sidecars), "containers": [{"name": "app", "image": "none"}]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"} | metadata, "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.rest.call("POST", f"{path}?dryRun=All" if dry_run else path, made)


def refusal(api: ControlPlane, namespace: str, *sidecars: dict[str, Any], **metadata: Any) -> str:
    """Why such a pod would be refused; "" if it would not."""
    try:
        create(api, namespace, *sidecars, metadata=metadata, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("metadata", [INJECT, {**INJECT, **LOCK}, {"labels": {"leasehold.dev/inject": "false"}}])
def test_labelled_pod_without_a_sidecar(api: ControlPlane, metadata: dict[str, Any]) -> None:
    """A labelled pod that nobody gave a sidecar is refused."""
    own = api.make_namespace()
    assert "nobody gave it a sidecar: the injector is not installed" in refusal(api, own, **metadata)


@pytest.mark.parametrize("labels", [{}, {"leasehold.dev/injected": "true"}], ids=["none", "misspelt"])
def test_annotated_pod_without_the_label(api: ControlPlane, labels: dict[str, str]) -> None:
    """An annotated pod without the label is refused."""
    own = api.make_namespace()
    assert 'not the label leasehold.dev/inject: "true"' in refusal(api, own, **LOCK, labels=labels)


def test_ending_init_container_is_none(api: ControlPlane) -> None:
    """An init container that ends is no sidecar."""
    own, ends = api.make_namespace(), {"name": "leasehold", "image": "busybox"}
    assert "nobody gave it a sidecar" in refusal(api, own, ends, **INJECT)


def test_other_pods_are_made(api: ControlPlane) -> None:
    """Pods with a sidecar are made, and pods that ask for none."""
    own = api.make_namespace()
    assert refusal(api, own, SIDECAR, **INJECT, **LOCK) == ""
    assert refusal(api, own, SIDECAR, **LOCK) == "", "made by hand"
    assert refusal(api, own, labels={"app": "reports"}) == ""
    assert refusal(api, "kube-system", **INJECT) == "", "a cluster must be able to start"


def test_existing_pod_cannot_be_labelled(api: ControlPlane) -> None:
    """A pod that is there cannot come to look as if it were protected."""
    own = api.make_namespace()
    create(api, own, metadata={})
    with pytest.raises(ApiError, match="a pod that exists cannot be given a sidecar"):
        api.patch("pods", "one", {"metadata": INJECT}, own)
    api.patch("pods", "one", {"metadata": {"labels": {"app": "reports"}}}, own)


def test_older_pods_can_be_changed(api: ControlPlane) -> None:
    """A pod that was there before the policy can still be changed."""
    api.patch("pods", "one", {"metadata": {"labels": {"leasehold.dev/leader": "true"}}}, "default")


# --- quotas, a LimitRange, and pods with resources for all their containers ----------------------------------

RANGE = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "range"},
    "spec": {"limits": [{"type": "Container", "min": {"cpu": "100m"}, "maxLimitRequestRatio": {"memory": "1"}}]},
}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "quota"},
    "spec": {"hard": {"limits.cpu": "4", "limits.memory": "4Gi", "requests.cpu": "4", "requests.memory": "4Gi"}},
}
APP = {"containers": [{"name": "app", "image": "none", "resources": {"limits": {"cpu": "1", "memory": "64Mi"}}}]}
ENOUGH = {"cpu-request": "100m", "cpu-limit": "200m", "memory-request": "96Mi"}


def answer(api: ControlPlane, own: str, pod: dict[str, Any]) -> str:
    """What the API server says to this pod; "" if it takes it."""
    whole = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**pod["metadata"], "name": "one"}}
    try:
        api.rest.call("POST", f"/api/v1/namespaces/{own}/pods?dryRun=All", whole)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("limits", "refused_for"),
    [(RANGE, "minimum cpu usage per Container is 100m"), (QUOTA, "must specify limits.cpu for: leasehold")],
    ids=["range", "quota"],
)
def test_resources_of_a_namespace(api: ControlPlane, limits: dict[str, Any], refused_for: str) -> None:
    """What a namespace demands of every container is met by its annotations, or by the pod's."""
    own = api.make_namespace()
    api.apply(limits, namespace=own)
    hard = QUOTA["spec"]["hard"]  # type: ignore[index]  # an object of JSON
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    if limits is QUOTA:
        api.kubectl(
            "patch", "resourcequota", "quota", "-n", own, "--subresource=status", f"--patch={json.dumps(status)}"
        )
    wait_for(lambda: refused_for in answer(api, own, injected(pod(spec=APP))), "the sidecar to be refused")
    by_namespace = {f"leasehold.dev/{name}": text for name, text in ENOUGH.items()}
    assert answer(api, own, injected(pod(spec=APP), namespace=by_namespace)) == ""
    by_pod = {name.replace("-", "_"): text for name, text in ENOUGH.items()}
    assert answer(api, own, injected(pod(None, APP, **by_pod))) == ""


@pytest.mark.parametrize(
    "own_resources",
    [
        {"requests": {"cpu": "10m", "memory": "32Mi"}},
        {"limits": {"cpu": "1", "memory": "64Mi"}},
        {"limits": {"cpu": "1"}},
    ],
)
def test_resources_of_a_whole_pod(api: ControlPlane, own_resources: dict[str, Any]) -> None:
    """Sums that leave no room for the sidecar's own requests and limits."""
    spec = {"containers": [{"name": "app", "image": "none"}], "resources": own_resources}
    own = api.make_namespace()
    assert answer(api, own, injected(pod(spec=spec))) == ""
