"""What becomes of a pod, and what becomes of its candidate: ends, the leader's label, and whose revision is preferred.

Pods are real objects whose states the tests report as a kubelet would; those of Deployments and StatefulSets are made
by the real controllers. Sidecar processes stand for them. Leases last an hour unless a test ends one by hand.
"""

import pytest

from tests.cluster.objects import Object
from tests.operator.lock_objects import is_held
from tests.operator.operator_scene import Scene
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE, Sidecar

TWO_AND_INIT = {
    "containers": [{"name": "app", "image": "none"}, {"name": "log", "image": "none"}],
    "initContainers": [{"name": "prepare", "image": "none"}],
    "nodeName": "nowhere",
}


def frozen_in(scene: Scene, pod: Object) -> Sidecar:
    """A holder of that pod that cannot give up by itself any more, as when its node is gone."""
    sidecar = scene.sidecar(pod["metadata"]["name"], pod=pod)
    sidecar.wait_leading()
    sidecar.pause()
    return sidecar


def queue_of(scene: Scene, lock: str = "db") -> list[str]:
    return scene.stored(lock).identities()


# --- releaseWhenPodEnds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_ended_pod_frees_the_lock(scene: Scene, phase: str) -> None:
    """At once, whatever the lease; but not while one of its containers, an init one too, may run."""
    scene.declare()
    body = {"metadata": {"name": "db-0"}, "spec": TWO_AND_INIT}
    pod = scene.api.create("pods", body, scene.namespace)
    frozen_in(scene, pod)
    first = scene.stored("db").entry_of("db-0").create_revision
    scene.wait_held("db-0")
    for still in ("log", "prepare"):
        scene.end_pod("db-0", phase, **{still: True})
        scene.wait_seen()
        assert queue_of(scene) == ["db-0"]
    scene.end_pod("db-0", phase)
    wait_for(lambda: queue_of(scene) == [], "the key to go", PATIENCE)
    scene.wait_told(("LockAcquired", first), ("HolderRevoked", first))


def test_force_deleted_pod_has_not_ended(scene: Scene) -> None:
    """Nobody has confirmed that it stopped: its lease runs out."""
    scene.declare()
    sidecar = scene.sidecar("db-0", pod=scene.pod("db-0", node="nowhere"))
    token = sidecar.wait_leading().token
    scene.wait_held("db-0")
    scene.api.delete("pods", "db-0", scene.namespace, now=True)
    scene.wait_seen()
    assert queue_of(scene) == ["db-0"]
    sidecar.kill()
    scene.end_lease("db-0")
    scene.wait(lambda now: not is_held(now), "vacant")
    scene.wait_told(("LockAcquired", token), ("LockExpired", token))
    assert scene.operator.metric("etcd_writes_total", kind="evict") == 0


def test_ended_pod_keeps_the_lock_if_asked(scene: Scene) -> None:
    """Switched on again, it is evicted with nothing else to call for it."""
    scene.declare(releaseWhenPodEnds=False)
    frozen_in(scene, scene.pod("db-0", node="nowhere"))
    scene.wait_held("db-0")
    scene.end_pod("db-0")
    scene.wait_seen()
    assert queue_of(scene) == ["db-0"]
    scene.change(releaseWhenPodEnds=True)
    wait_for(lambda: queue_of(scene) == [], "the key to go", PATIENCE)


def test_record_counts_for_its_pod_only(scene: Scene) -> None:
    """Whoever names an ended pod by another name, UID or namespace is no candidate of that pod: nobody is evicted.

    Nor is a pod labelled that no record names rightly, and the operator rests, with a label wanted that it cannot put.
    """
    scene.declare(capacity=4, podLabel=True)
    ended, other = scene.pod("ended", node="nowhere"), scene.pod("other")
    scene.end_pod("ended")
    uid = ended["metadata"]["uid"]
    lies = [
        {"POD_NAME": "other", "POD_NAMESPACE": scene.namespace, "POD_UID": uid},
        {"POD_NAME": "ended", "POD_NAMESPACE": scene.namespace, "POD_UID": other["metadata"]["uid"]},
        {"POD_NAME": "ended", "POD_NAMESPACE": "default", "POD_UID": uid},
        {"POD_NAME": "ended", "POD_NAMESPACE": scene.namespace, "POD_UID": "11111111-2222-3333-4444-555555555555"},
    ]
    for number, env in enumerate(lies):
        scene.sidecar(f"liar-{number}", env=env).wait_leading()
    scene.wait_held(*(f"liar-{number}" for number in range(4)))
    scene.wait_seen()
    assert queue_of(scene) == [f"liar-{number}" for number in range(4)]
    assert [scene.leader_of(name) for name in ("ended", "other")] == [None, None]
    attempts = scene.operator.metric("api_writes_total", kind="label")
    assert attempts < 20, "the operator tries for ever to label what is not there"


# --- podLabel ------------------------------------------------------------------------------------------------------


def test_the_label_goes_with_the_holder(scene: Scene) -> None:
    """Put on and moved, taken off when the option is turned off and when the Lock is deleted."""
    scene.declare(podLabel=True)
    pods = [scene.pod(name) for name in ("a-0", "a-1")]
    a, b = [scene.sidecar(pod["metadata"]["name"], pod=pod) for pod in pods]
    scene.wait_labelled(a_0="db", a_1=None)
    assert a.terminate() == 0
    b.wait_leading()
    scene.wait_labelled(a_0=None, a_1="db")
    scene.change(podLabel=False)
    scene.wait_labelled(a_1=None)
    scene.change(podLabel=True)
    scene.wait_labelled(a_1="db")
    scene.api.patch("pods", "a-1", {"metadata": {"labels": {"leasehold.dev/leader": None}}}, scene.namespace)
    scene.wait_labelled(a_1="db")  # put back
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    scene.wait_labelled(a_1=None)


def test_two_locks_label_one_pod(scene: Scene) -> None:
    """The label stays until it leads neither."""
    pod = scene.pod("a-0")
    for name in ("db", "mail"):
        scene.declare(name, podLabel=True)
    sidecars = [scene.sidecar("a-0", name, pod=pod) for name in ("db", "mail")]
    scene.wait_labelled(a_0="db,mail")
    assert sidecars[0].terminate() == 0
    scene.wait_labelled(a_0="mail")
    assert sidecars[1].terminate() == 0
    scene.wait_labelled(a_0=None)
    scene.wait_idle()


# --- the preferred group -------------------------------------------------------------------------------------------


def workload(kind: str, image: str, **spec: object) -> Object:
    """A Deployment or StatefulSet `web` of one replica whose pods never come to run by themselves."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    wanted = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": wanted}


def new_pod(scene: Scene, known: set[str]) -> Object:
    """The pod of `web` that its controller has made since; `known` are the UIDs of those before."""
    found: list[Object] = []

    def made() -> bool:
        pods = scene.api.list("pods", scene.namespace, labels="app=web")
        found[:] = [one for one in pods if one["metadata"]["uid"] not in known]
        return bool(found)

    wait_for(made, "a new pod of the workload", PATIENCE)
    (pod,) = found
    known.add(pod["metadata"]["uid"])
    return pod


def candidate(scene: Scene, pod: Object, label: str) -> tuple[Sidecar, str]:
    """The sidecar of a workload's pod, and its group."""
    group = pod["metadata"]["labels"][label]
    return scene.sidecar(pod["metadata"]["name"], pod=pod, group=group), group


def test_new_revision_of_a_deployment(scene: Scene) -> None:
    """A new template, an undo, a restart: each time the pods of the current revision are to lead, and do."""
    hash_label, known = "pod-template-hash", set[str]()
    rollout = ("rollout", f"--namespace={scene.namespace}")
    scene.declare()
    scene.api.apply(workload("Deployment", "one"), namespace=scene.namespace)
    first, old = candidate(scene, new_pod(scene, known), hash_label)
    held = [first.wait_leading().token]
    scene.wait_spec(preferredGroup=old)

    scene.api.apply(workload("Deployment", "two"), namespace=scene.namespace)
    second, new = candidate(scene, new_pod(scene, known), hash_label)
    held.append(second.wait_leading().token)
    scene.wait_spec(preferredGroup=new)
    assert new != old
    assert scene.wait_held(second.name)["status"]["holders"][0]["group"] == new

    scene.api.kubectl(*rollout, "undo", "deployment/web")
    scene.wait_spec(preferredGroup=old)
    held.append(first.wait_leading().token)
    scene.wait_held(first.name)

    scene.api.kubectl(*rollout, "restart", "deployment/web")
    third, newest = candidate(scene, new_pod(scene, known), hash_label)
    held.append(third.wait_leading().token)
    scene.wait_spec(preferredGroup=newest)
    assert newest not in (old, new)
    scene.wait_held(third.name)
    acquired = [("LockAcquired", token) for token in held]
    scene.wait_told(*acquired, *(("HandedOver", token) for token in held[:-1]))


def test_new_revision_of_a_statefulset(scene: Scene) -> None:
    """The pod of the update revision takes over from one of the revision before, though it comes last."""
    label, known = "controller-revision-hash", set[str]()
    scene.declare()
    parallel = {"replicas": 2, "serviceName": "web", "podManagementPolicy": "Parallel"}
    scene.api.apply(workload("StatefulSet", "one", **parallel), namespace=scene.namespace)
    old = []
    for name in ("web-0", "web-1"):
        pod = scene.api.wait("pods", name, scene.namespace)
        known.add(pod["metadata"]["uid"])
        scene.api.set_pod(name, scene.namespace, "Running")
        old.append(candidate(scene, pod, label))
    old[0][0].wait_leading()
    scene.wait_spec(preferredGroup=old[0][1])

    scene.api.apply(workload("StatefulSet", "two", **parallel), namespace=scene.namespace)
    pod = new_pod(scene, known)  # made anew by the controller: the last one comes first
    assert pod["metadata"]["name"] == "web-1"
    assert old[1][0].terminate() == 0  # as the kubelet would have done
    sidecar, group = candidate(scene, pod, label)
    sidecar.wait_leading()
    scene.wait_spec(preferredGroup=group)
    assert scene.wait_held("web-1")["status"]["holders"][0]["podUID"] == pod["metadata"]["uid"]
