from typing import Any

import pytest

from leasehold.lock.names import LockName
from leasehold.operator.watch.pods import ChangedPod, Pods
from leasehold.operator.watch.transform import Kind, trim
from tests.unit.operator.bodies import Body, entry, pod, replicaset, statefulset, terminated

LOCK = LockName("team", "main")


def index(*objects: tuple[Kind, Body]) -> Pods:
    pods = Pods()
    for kind, body in objects:
        pods.apply(kind, trim(kind, body), deleted=False)
    return pods


def test_the_newest_revision_is_preferred() -> None:
    """Even if none of its pods is in the queue yet."""
    pods = index(
        ("ReplicaSet", replicaset("old", "deployment", 9, "hash-9")),
        ("ReplicaSet", replicaset("new", "deployment", 10, "hash-10")),
        ("ReplicaSet", replicaset("elsewhere", "another", 99, "hash-99")),
        ("Pod", pod("a", "old")),
    )
    assert pods.preferred_group([entry(pod("a", "old"))]) == "hash-10"


def test_an_undone_rollout_prefers_the_old_group() -> None:
    pods = index(
        ("ReplicaSet", replicaset("old", "deployment", 1, "hash-1")),
        ("ReplicaSet", replicaset("new", "deployment", 2, "hash-2")),
        ("Pod", pod("a", "old")),
        ("Pod", pod("b", "new")),
    )
    queue = [entry(pod("a", "old")), entry(pod("b", "new"))]
    assert pods.preferred_group(queue) == "hash-2"
    affected = pods.apply("ReplicaSet", replicaset("old", "deployment", 3, "hash-1", version=2), deleted=False)
    assert affected.pods == {"a", "b"}, "the pods of both revisions"
    assert pods.preferred_group(queue) == "hash-1"


def test_a_statefulset_prefers_its_update_revision() -> None:
    pods = index(("StatefulSet", statefulset("set", "web-7")), ("Pod", pod("a", "set")))
    assert pods.preferred_group([entry(pod("a", "set"))]) == "web-7"
    assert pods.apply("StatefulSet", statefulset("set", "web-8", version=2), deleted=False).pods == {"a"}
    assert pods.preferred_group([entry(pod("a", "set"))]) == "web-8"


@pytest.mark.parametrize(
    "queue",
    [
        [],
        [entry(None)],
        [entry(pod("unknown"))],
        [entry(pod("bare"))],
        [entry(pod("a")), entry(pod("unknown"))],
        [entry(pod("a")), entry(pod("b"))],
        [entry(pod("orphan"))],
        [entry(pod("a"), pod_namespace="elsewhere")],
        [entry(pod("a"), pod="pod-b")],
        [entry(pod("a"), pod_uid="")],
    ],
    ids=["nobody", "foreign", "unknown", "no owner", "one unknown", "two owners", "unknown set", "lie", "name", "none"],
)
def test_no_preference_without_one_owner(queue: list[Any]) -> None:
    """All pods must be known and have the same owner."""
    pods = index(
        ("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")),
        ("ReplicaSet", replicaset("two", "another", 1, "hash-2")),
        ("Pod", pod("a", "one")),
        ("Pod", pod("b", "two")),
        ("Pod", pod("bare")),
        ("Pod", pod("orphan", "never-seen")),
    )
    assert pods.preferred_group([entry(pod("a")), entry(None)]) == "hash-1", "a foreign candidate does not count"
    assert pods.preferred_group(queue) == ""


def test_a_broken_replicaset_is_not_preferred() -> None:
    """It has no Deployment, or no valid revision."""
    pods = index(
        ("ReplicaSet", replicaset("bare", "", 1, "hash-1")),
        ("ReplicaSet", replicaset("good", "deployment", 1, "hash-2")),
        ("Pod", pod("a", "bare")),
        ("Pod", pod("b", "good")),
    )
    broken = replicaset("broken", "deployment", 1, "hash-3")
    broken["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "٣"
    pods.apply("ReplicaSet", trim("ReplicaSet", broken), deleted=False)
    assert pods.preferred_group([entry(pod("a"))]) == ""
    assert pods.preferred_group([entry(pod("b"))]) == "hash-2"


def test_a_deleted_pods_owner_still_counts() -> None:
    """As long as its key is in the queue: otherwise the preference would flap with each pod that is killed."""
    pods = index(("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")), ("Pod", pod("a", "one")))
    assert pods.apply("Pod", trim("Pod", pod("a", "one")), deleted=True) == ChangedPod(frozenset({"a"}))
    assert pods.preferred_group([entry(pod("a"))]) == "hash-1"
    assert pods.uids("Pod") == frozenset()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_has_ended_with_all_containers(phase: str) -> None:
    """Its phase and every container must say so."""
    pods = index(("Pod", pod("a", phase=phase)))
    assert pods.ended(LOCK, [entry(pod("a"))]) == {"a"}


def unfinished(change: str) -> Body:
    body = pod("a", phase="Failed")
    status = body["status"]
    if change == "running":
        status["phase"] = "Running"
    elif change == "init runs":
        status["initContainerStatuses"][0]["state"] = {"running": {}}
    elif change == "not reported":
        status["initContainerStatuses"] = None
    elif change == "never started":
        status["containerStatuses"] = status["initContainerStatuses"] = []
    elif change == "not found":
        status["containerStatuses"][0]["state"] = terminated("ContainerStatusUnknown")
    elif change == "debugged":
        body["spec"]["ephemeralContainers"] = [{"name": "debug"}]
    elif change == "no status":
        del body["status"]
    else:
        body["spec"] = {}
    return body


@pytest.mark.parametrize(
    "change",
    ["running", "init runs", "not reported", "never started", "not found", "debugged", "no status", "no containers"],
)
def test_one_running_container_is_no_end(change: str) -> None:
    """The control plane fails the pods of a lost node although no kubelet has confirmed it."""
    pods = index(("Pod", unfinished(change)))
    assert pods.ended(LOCK, [entry(pod("a"))]) == frozenset()


def test_a_deletion_is_no_end() -> None:
    """A force-deleted pod has not ended; one that was deleted after its end has."""
    pods = index(("Pod", pod("forced")), ("Pod", pod("done")))
    pods.apply("Pod", trim("Pod", pod("forced", version=2)), deleted=True)
    pods.apply("Pod", trim("Pod", pod("done", phase="Succeeded", version=2)), deleted=True)
    assert pods.ended(LOCK, [entry(pod("forced")), entry(pod("done"))]) == {"done"}


def test_only_matching_records_are_trusted() -> None:
    """A record must match a pod of the Lock's own namespace."""
    pods = index(("Pod", pod("a", phase="Failed")), ("Pod", pod("b", phase="Failed", namespace="elsewhere")))
    lies = [entry(pod("a"), pod_namespace="elsewhere"), entry(pod("a"), pod="else"), entry(pod("b"), pod_uid="a")]
    assert pods.ended(LOCK, [*lies, entry(None), entry(pod("b", namespace="elsewhere"))]) == frozenset()
    assert pods.ended(LockName("elsewhere", "x"), [entry(pod("b", namespace="elsewhere"))]) == {"b"}


def test_a_pod_can_be_labelled_for_two_locks() -> None:
    pods = index(("Pod", pod("a", leads="main,other,Not a lock,")))
    other = LockName("team", "other")
    assert pods.labelled(LOCK) == pods.labelled(other) == {("team", "pod-a", "a")}
    affected = pods.apply("Pod", trim("Pod", pod("a", leads="other", version=2)), deleted=False)
    assert affected == ChangedPod(frozenset({"a"}), frozenset({LOCK, other}))
    assert pods.labelled(LOCK) == frozenset()
    pods.apply("Pod", trim("Pod", pod("a", leads="other", version=3)), deleted=True)
    assert pods.labelled(other) == frozenset()


def test_a_removed_label_counts_as_removed() -> None:
    body = pod("a", leads="main")
    body["metadata"]["labels"]["leasehold.dev/leader"] = "no"
    assert index(("Pod", body)).labelled(LOCK) == frozenset()


def test_irrelevant_changes_affect_nothing() -> None:
    pods = index(
        ("Pod", pod("a", "one")),
        ("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")),
        ("StatefulSet", statefulset("set", "web-1")),
    )
    assert not pods.apply("Pod", pod("a", "one", version=2), deleted=False)
    assert not pods.apply("ReplicaSet", replicaset("one", "deployment", 1, "hash-1", version=2), deleted=False)
    assert not pods.apply("StatefulSet", statefulset("set", "web-1", version=2), deleted=False)


def test_an_older_body_changes_nothing() -> None:
    """A list and a watch may overtake each other."""
    pods = index(
        ("Pod", pod("a", "one", phase="Failed", version=5)),
        ("ReplicaSet", replicaset("one", "deployment", 3, "new", version=5)),
        ("StatefulSet", statefulset("set", "web-2", version=5)),
        ("Pod", pod("b", "set")),
    )
    assert not pods.apply("Pod", pod("a", version=4), deleted=False)
    assert not pods.apply("ReplicaSet", replicaset("one", "deployment", 2, "old", version=4), deleted=False)
    assert not pods.apply("StatefulSet", statefulset("set", "web-1", version=4), deleted=False)
    assert pods.ended(LOCK, [entry(pod("a"))]) == {"a"}
    assert pods.preferred_group([entry(pod("a"))]) == "new"
    assert pods.preferred_group([entry(pod("b"))]) == "web-2"
    pods.apply("Pod", pod("a", version=6), deleted=True)
    assert not pods.apply("Pod", pod("a", version=5), deleted=False), "a UID never comes back"
    assert pods.uids("Pod") == {"b"}


def test_missed_deletions_are_made_up_for() -> None:
    """The objects are forgotten together with everything that depends on them."""
    pods = index(
        ("Pod", pod("a", "one", leads="main")),
        ("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")),
        ("StatefulSet", statefulset("set", "web-1")),
        ("Pod", pod("b", "set")),
    )
    assert pods.forget("Pod", {"a", "never-seen"}) == ChangedPod(frozenset({"a"}), frozenset({LOCK}))
    assert pods.forget("StatefulSet", pods.uids("StatefulSet")).pods == {"b"}
    assert not pods.forget("ReplicaSet", pods.uids("ReplicaSet")), "its one pod is gone"
    assert pods.uids("ReplicaSet") == pods.uids("StatefulSet") == frozenset()
    assert pods.labelled(LOCK) == frozenset()
    assert not pods.forget("ReplicaSet", {"one"})


def test_the_cache_does_not_grow() -> None:
    """After many objects have come and gone, only the last deleted pods are kept."""
    pods = Pods()
    for number in range(6000):
        pods.apply("ReplicaSet", replicaset("one", f"deployment-{number}", 1, "x", version=number), deleted=False)
        pods.apply("Pod", pod(f"p{number}", "one", leads="main"), deleted=False)
        pods.apply("Pod", pod(f"p{number}", "one", leads="main", version=2), deleted=True)
    pods.apply("ReplicaSet", replicaset("one", "deployment-5999", 1, "x"), deleted=True)
    assert pods.sizes == {
        "pods": 0,
        "deleted": 4096,
        "replicasets": 0,
        "statefulsets": 0,
        "owned": 0,
        "labelled": 0,
        "naming": 0,
    }
