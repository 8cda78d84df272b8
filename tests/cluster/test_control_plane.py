"""The harness itself: a real API server that keeps its data over faults, refuses what RBAC doesn't give, and ends."""

import json
import os
import signal
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.cluster import ApiError, ControlPlane, KubectlFailed
from tests.servers import Process, program, wait_for


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    program("kube-apiserver")  # minutes on a fresh machine, which are not the tests' own


# Its own, not `api`: that one would run idle beside all tests between these and those of the operator.
@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(name="harness") as started:
        yield started


@pytest.fixture
def own(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = control_plane.make_namespace()
    yield name
    control_plane.remove_namespace(name)


def _config_map(value: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"value": value}}


def test_kubectl_and_api_agree(control_plane: ControlPlane, own: str) -> None:
    """What kubectl applies is what the API answers."""
    control_plane.apply(_config_map("one"), namespace=own)
    control_plane.patch("configmaps", "kept", {"data": {"value": "two"}}, own)
    seen = json.loads(control_plane.kubectl("get", "configmap", "kept", "-n", own, "-o", "json"))
    assert seen["data"] == {"value": "two"}
    kept = control_plane.get("configmaps", "kept", own)
    assert kept is not None
    assert kept["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]
    control_plane.delete("configmaps", "kept", own)
    assert control_plane.get("configmaps", "kept", own) is None


def test_roles_bound_a_service_account(control_plane: ControlPlane, own: str) -> None:
    """A service account may do what its role gives, and nothing else."""
    user = control_plane.service_account("reader", own)
    with pytest.raises(ApiError) as refused:
        control_plane.as_user(user).list("configmaps", own)
    assert refused.value.status == 403
    with pytest.raises(KubectlFailed, match="Forbidden"):
        control_plane.kubectl("get", "configmaps", "-n", own, user=user)
    control_plane.kubectl("create", "role", "read", "--verb=list", "--resource=configmaps", "-n", own)
    control_plane.kubectl("create", "rolebinding", "read", "--role=read", f"--serviceaccount={own}:reader", "-n", own)
    wait_for(lambda: _may_list(control_plane, user, own), "the role to count")
    with pytest.raises(KubectlFailed, match="Forbidden"):
        control_plane.kubectl("get", "secrets", "-n", own, user=user)


def _may_list(control_plane: ControlPlane, user: str, namespace: str) -> bool:
    try:
        control_plane.as_user(user).list("configmaps", namespace)
    except ApiError:
        return False
    return True


def test_controllers_make_pods(control_plane: ControlPlane, own: str) -> None:
    """Controllers make the pods of a Deployment, and the tests say how these fare."""
    control_plane.kubectl("create", "deployment", "app", "--image=none", "--replicas=2", "-n", own)
    wait_for(lambda: len(control_plane.list("pods", own, labels="app=app")) == 2, "two pods")
    for pod in control_plane.list("pods", own):
        control_plane.set_pod(pod["metadata"]["name"], own, "Running")
    ready = control_plane.wait(
        "deployments", "app", own, until=lambda seen: seen["status"].get("readyReplicas") == 2, what="ready"
    )
    assert ready["status"]["replicas"] == 2
    control_plane.delete("deployments", "app", own)
    wait_for(lambda: not control_plane.list("pods", own), "the pods to be collected")


def test_pod_terminates_until_confirmed(control_plane: ControlPlane, own: str) -> None:
    """A pod on a node is terminating until somebody confirms that it is gone."""
    control_plane.make_pod("held", own, node="nowhere", labels={"app": "x"})
    control_plane.set_pod("held", own, "Running")
    control_plane.delete("pods", "held", own)
    control_plane.wait("pods", "held", own, until=lambda pod: "deletionTimestamp" in pod["metadata"])
    control_plane.delete("pods", "held", own, now=True)
    control_plane.wait_gone("pods", "held", own)


def test_api_server_killed_and_frozen(control_plane: ControlPlane, own: str) -> None:
    """The API server keeps its data over a kill, and answers nothing while it is frozen."""
    control_plane.apply(_config_map("kept"), namespace=own)
    control_plane.apiserver.kill()
    with pytest.raises(OSError, match="refused"):
        control_plane.get("configmaps", "kept", own)
    control_plane.apiserver.start()
    kept = control_plane.get("configmaps", "kept", own)
    assert kept is not None
    assert kept["data"] == {"value": "kept"}
    control_plane.apiserver.pause()
    with pytest.raises(TimeoutError):
        control_plane.rest.text("/readyz", timeout=1)
    control_plane.apiserver.resume()
    control_plane.apiserver.wait_ready()


def test_compaction_ends_old_watches(control_plane: ControlPlane, own: str) -> None:
    """After a compaction and a restart, no watch can resume from before."""
    control_plane.apply(_config_map("old"), namespace=own)
    old = control_plane.wait("configmaps", "kept", own)["metadata"]["resourceVersion"]
    control_plane.patch("configmaps", "kept", {"data": {"value": "new"}}, own)
    assert control_plane.compact() > int(old)
    control_plane.apiserver.restart()
    path = f"/api/v1/namespaces/{own}/configmaps?watch=true&timeoutSeconds=10&resourceVersion={old}"
    event = json.loads(control_plane.rest.text(path))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_nothing_is_left_behind() -> None:
    """After it is closed, no process, mount or file is left."""
    with ControlPlane(controllers=False, crd=False) as closed:
        assert closed.controllers is None
        assert closed.get("namespaces", "kube-system") is not None
        servers = [psutil.Process(process.pid) for process in (closed.apiserver.process, closed.etcd.process)]
    assert not [server for server in servers if server.is_running()]
    assert not closed.directory.exists()


def test_started_by_hand() -> None:
    """It prints its kubeconfig, and a signal stops all of it."""
    with Process([sys.executable, "-m", "tests.cluster", "--no-controller-manager"], lines=True) as by_hand:
        lines = iter(lambda: by_hand.read_line(120), "")
        config = next(line for line in lines if line.startswith("export KUBECONFIG=")).partition("=")[2]
        servers = psutil.Process(by_hand.pid).children(recursive=True)
        assert {server.name() for server in servers} == {"etcd", "kube-apiserver"}
        assert os.path.exists(config)
        by_hand.signal(signal.SIGTERM)
        assert by_hand.wait() == 128 + signal.SIGTERM
        assert not [server for server in servers if server.is_running()]
        assert not os.path.exists(config)
