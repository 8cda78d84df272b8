"""Who is missing from a queue: the status names the pods of its Lock that are not in it, and what keeps them from it.

Pods are real objects whose states the tests report as a kubelet would; the sidecars are real, and the operator asks
them at their pods' addresses.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.objects import Object
from tests.operator.lock_objects import condition
from tests.operator.operator_scene import Scene, downward
from tests.servers import reserve_port
from tests.support.run_bench import App


def naming_pod(scene: Scene, name: str, port: int, **status: Any) -> Object:
    """A pod with a sidecar for the Lock `db`, on a node that does not exist."""
    sidecar = {"name": "leasehold", "image": "none", "restartPolicy": "Always"}
    sidecar["args"] = ["run", "--lock=db", f"--listen=:{port}"]  # type: ignore[assignment]  # an object of JSON
    app = {"name": "app", "image": "none"}
    spec = {"containers": [app], "initContainers": [sidecar], "nodeName": "nowhere"}
    scene.api.create("pods", {"metadata": {"name": name}, "spec": spec}, scene.namespace)
    scene.api.set_pod(name, scene.namespace, **{"phase": "Running", **status})
    return scene.api.wait("pods", name, scene.namespace)


def absent(seen: Object) -> dict[str, str]:
    """The reason of each pod that is missing."""
    return {one["podName"]: one["reason"] for one in seen.get("status", {}).get("absent", [])}


def messages(seen: Object) -> dict[str, str]:
    """What is said of each pod that is missing."""
    return {one["podName"]: one["message"] for one in seen.get("status", {}).get("absent", [])}


def at_loopback() -> dict[str, Any]:
    return {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}


def test_an_unhealthy_app_is_named(scene: Scene) -> None:
    """As its sidecar says it, until it is well: nobody can come, and then it leads."""
    scene.declare()
    port = reserve_port()
    with App(500) as app:
        pod = naming_pod(scene, "db-0", port, **at_loopback())
        flags = ["--listen", f"127.0.0.1:{port}", "--app-health", app.url]
        sidecar = scene._start_sidecar("db-0", lock=f"{scene.namespace}/db", ttl=None, env=downward(pod), flags=flags)
        why = f"the app has not answered as healthy yet: {app.url} answered 500"
        seen = scene.wait(lambda now: messages(now) == {"db-0": why}, "db-0 missing, for what its app answers")
        assert absent(seen) == {"db-0": "app-starting"}
        assert seen["status"]["absentCount"] == 1
        names_it = f"db-0 ({why})"
        seen = scene.wait(lambda now: names_it in condition(now, "Degraded")["message"], "degraded")
        assert (condition(seen, "Degraded")["status"], condition(seen, "Degraded")["reason"]) == ("True", "NoCandidate")
        app.status = 200
        sidecar.wait_leading()
        seen = scene.wait(lambda now: absent(now) == {} and now["status"]["holderCount"] == 1, "held, nobody missing")
        assert condition(seen, "Degraded")["reason"] == "AsExpected"
    assert scene.told()["NoCandidate", 0] == 1


def test_what_keeps_a_pod_from_running(scene: Scene) -> None:
    """Nobody can be asked there: the API server shows why; a waiter is named beside them."""
    scene.declare()
    for name in ("w-0", "w-1"):
        scene.sidecar(name, pod=scene.pod(name))
    port = reserve_port()
    pulling = {"name": "leasehold", "ready": False, "restartCount": 0, "image": "none", "imageID": ""}
    pulling["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    naming_pod(scene, "a-pulling", port, phase="Pending", initContainerStatuses=[pulling])
    naming_pod(scene, "b-silent", port, **at_loopback())
    expected = {"a-pulling": "container-waiting", "b-silent": "silent"}
    seen = scene.wait(lambda now: absent(now) == expected, f"{expected}")
    said = messages(seen)
    assert said["a-pulling"] == "its container leasehold does not run: ImagePullBackOff: no such image"
    assert f"127.0.0.1:{port} does not answer" in said["b-silent"]
    assert [one["identity"] for one in seen["status"]["waiters"]] == ["w-1"]
    assert condition(seen, "Degraded")["reason"] == "SomeAbsent"
