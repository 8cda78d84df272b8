"""The harness itself: two real nodes run pods, reach each other, fail and come back, and leave nothing behind."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster import Cluster, KubectlFailed, images, why_unavailable
from tests.servers import wait_for

FETCH = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=2).read().decode())"


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if reason := why_unavailable():
            pytest.skip(f"{reason} Not tested: the cluster with nodes.")
        made = Cluster(2)
        images_ready = images.app()
    with made:
        made.load(*images_ready)
        yield made


@pytest.fixture
def own(cluster: Cluster) -> Iterator[str]:
    name = cluster.make_namespace()
    yield name
    cluster.remove_namespace(name)


def server(name: str, node: int, **more: Any) -> dict[str, Any]:
    """A pod that serves its own name."""
    script = f"echo {name} > index.html && exec python3 -m http.server 8080"
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    container = {"name": "app", "image": images.APP, "command": ["sh", "-c", script], "readinessProbe": probe}
    container |= {"workingDir": "/tmp"}
    tolerations = [{"operator": "Exists", "effect": "NoExecute"}]  # a lost node's pods stay: this is about the node
    spec = {"nodeName": f"node-{node}", "containers": [container], "tolerations": tolerations, **more}
    return {"metadata": {"name": name, "labels": {"app": "server"}}, "spec": spec}


def is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def make_ready(cluster: Cluster, own: str, *pods: dict[str, Any]) -> None:
    for pod in pods:
        cluster.create("pods", pod, own)
    for pod in pods:
        cluster.wait("pods", pod["metadata"]["name"], own, until=is_ready, what="ready")


def fetch(cluster: Cluster, own: str, pod: str, url: str) -> str:
    with contextlib.suppress(KubectlFailed):
        return cluster.kubectl("exec", "-n", own, pod, "--", "python3", "-c", FETCH, url).strip()
    return ""


def test_service_is_reached_by_name(cluster: Cluster, own: str) -> None:
    """Pods reach a Service by its name, on their own node and on the other."""
    make_ready(cluster, own, server("one", 1), server("two", 2))
    spec = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]}
    cluster.create("services", {"metadata": {"name": "web"}, "spec": spec}, own)
    for pod in ("one", "two"):
        unseen = {"one", "two"}
        wait_for(lambda: answered(cluster, own, pod, unseen), "both to answer")  # noqa: B023 - called in this round


def answered(cluster: Cluster, own: str, pod: str, unseen: set[str]) -> bool:
    """Whether all of these have answered by now."""
    unseen.discard(fetch(cluster, own, pod, "http://web"))
    return not unseen


def test_logs_and_processes_of_a_pod(cluster: Cluster, own: str) -> None:
    """`logs` gives a container's own, and its processes are found."""
    make_ready(cluster, own, server("one", 1))
    wait_for(lambda: "GET /" in cluster.kubectl("logs", "-n", own, "one"), "the probe's question in the log")
    (process,) = (psutil.Process(pid) for pid in cluster.pids("one", own, "app"))
    assert process.cmdline()[-2:] == ["http.server", "8080"]


def test_sidecar_starts_first_and_ends_last(cluster: Cluster, own: str) -> None:
    """A native sidecar starts before the app and stops after it."""
    wait = "trap 'sleep 1; date +%s%N > /shared/{0}-ended; exit' TERM; date +%s%N > /shared/{0}; sleep infinity & wait"
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    side, app = (
        {"name": name, "image": images.APP, "command": ["sh", "-c", wait.format(name)], "volumeMounts": mounts}
        for name in ("side", "app")
    )
    place = cluster.nodes[0].directory / "shared"
    place.mkdir()
    volume = {"name": "shared", "hostPath": {"path": str(place)}}
    started = {"exec": {"command": ["test", "-e", "/shared/side"]}, "periodSeconds": 1}
    native = {**side, "restartPolicy": "Always", "startupProbe": started}  # else the app may be the first to write
    spec = {"initContainers": [native], "containers": [app], "volumes": [volume]}
    cluster.create("pods", {"metadata": {"name": "pair"}, "spec": {"nodeName": "node-1", **spec}}, own)
    wait_for((place / "app").exists, "the app to start")
    cluster.delete("pods", "pair", own)
    cluster.wait_gone("pods", "pair", own)
    assert instant(place / "side") < instant(place / "app")
    assert instant(place / "app-ended") < instant(place / "side-ended")


def instant(file: Path) -> int:
    return int(file.read_text())


def test_node_loses_power(cluster: Cluster, own: str) -> None:
    """A node that loses power is noticed, and comes back."""
    make_ready(cluster, own, server("one", 1), server("two", 2))
    lost = cluster.nodes[1]
    (process,) = (psutil.Process(pid) for pid in cluster.pids("two", own, "app"))
    lost.kill()
    assert not process.is_running()
    cluster.wait_node(lost, ready=False)
    lost.start()
    lost.join()
    cluster.wait_node(lost)
    cluster.wait("pods", "two", own, until=is_ready, what="ready again")


def test_node_is_cut_off(cluster: Cluster, own: str) -> None:
    """A node is cut off from one address and from no other, until it is healed."""
    make_ready(cluster, own, server("one", 1), server("two", 2))
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in cluster.list("pods", own)}
    node = cluster.nodes[0]
    node.cut_off(addresses["two"], 8080)
    assert fetch(cluster, own, "one", f"http://{addresses['two']}:8080") == ""
    wait_reached(cluster, own, "one", addresses)
    node.heal()
    wait_reached(cluster, own, "two", addresses)
    node.cut_off()
    cluster.wait_node(node, ready=False)
    node.heal()
    cluster.wait_node(node)


def wait_reached(cluster: Cluster, own: str, name: str, addresses: dict[str, str]) -> None:
    """Return when the pod `one` has that pod's answer, which may come too late on a busy machine."""
    wait_for(lambda: fetch(cluster, own, "one", f"http://{addresses[name]}:8080") == name, f"{name} to be reached")


def test_node_is_frozen(cluster: Cluster, own: str) -> None:
    """A frozen node stands still, and its pods with it."""
    make_ready(cluster, own, server("one", 1))
    node = cluster.nodes[0]
    node.pause()
    (process,) = (psutil.Process(pid) for pid in cluster.pids("one", own, "app"))
    try:
        cluster.wait_node(node, ready=False)
        used = process.cpu_times()
        assert process.cpu_times() == used
    finally:
        node.resume()
    cluster.wait_node(node)


def test_nothing_is_left_behind() -> None:
    """After it is closed, no process, mount or file is left."""
    if reason := why_unavailable():
        pytest.skip(reason)
    with Cluster(1) as closed:
        pids = closed.nodes[0].cgroup.pids()
        assert pids
        namespaces = [place.path for place in (closed.network.hub, *closed.network.nodes)]
        groups = closed.nodes[0].cgroup.places()
        assert all(place.exists() for place in (*namespaces, *groups))
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not [place for place in (*namespaces, *groups, closed.directory) if place.exists()]
    assert str(closed.directory) not in Path("/proc/self/mountinfo").read_text()
