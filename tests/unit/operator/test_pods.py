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


def test_the_group_of_the_newest_revision_is_preferred_even_if_no_pod_of_it_queues_yet() -> None:
    pods = index(
        ("ReplicaSet", replicaset("old", "deployment", 9, "hash-9")),
        ("ReplicaSet", replicaset("new", "deployment", 10, "hash-10")),
        ("ReplicaSet", replicaset("elsewhere", "another", 99, "hash-99")),
        ("Pod", pod("a", "old")),
    )
    assert pods.preferred_group([entry(pod("a", "old"))]) == "hash-10"


def test_an_undone_rollout_raises_the_old_revision_and_so_its_group() -> None:
    pods = index(
        ("ReplicaSet", replicaset("old", "deployment", 1, "hash-1")),
        ("ReplicaSet", replicaset("new", "deployment", 2, "hash-2")),
        ("Pod", pod("a", "old")),
        ("Pod", pod("b", "new")),
    )
    queue = [entry(pod("a", "old")), entry(pod("b", "new"))]
    assert pods.preferred_group(queue) == "hash-2"
    touched = pods.apply("ReplicaSet", replicaset("old", "deployment", 3, "hash-1", version=2), deleted=False)
    assert touched.pods == {"a", "b"}, "the pods of both revisions"
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
def test_there_is_no_preference_unless_all_pods_are_known_and_have_one_owner(queue: list[Any]) -> None:
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


def test_a_replicaset_without_a_deployment_or_with_a_broken_revision_gives_no_wrong_preference() -> None:
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


def test_a_deleted_pods_owner_still_counts_while_its_key_stands_in_the_queue() -> None:
    """Otherwise the preference would come and go with each pod that is killed."""
    pods = index(("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")), ("Pod", pod("a", "one")))
    assert pods.apply("Pod", trim("Pod", pod("a", "one")), deleted=True) == ChangedPod(frozenset({"a"}))
    assert pods.preferred_group([entry(pod("a"))]) == "hash-1"
    assert pods.known("Pod") == frozenset()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_has_ended_when_its_phase_and_every_container_say_so(phase: str) -> None:
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
def test_a_pod_has_not_ended_while_one_container_may_run(change: str) -> None:
    """The control plane fails the pods of a lost node without the kubelet's word."""
    pods = index(("Pod", unfinished(change)))
    assert pods.ended(LOCK, [entry(pod("a"))]) == frozenset()


def test_a_force_deleted_pod_has_not_ended_and_one_deleted_after_its_end_has() -> None:
    pods = index(("Pod", pod("forced")), ("Pod", pod("done")))
    pods.apply("Pod", trim("Pod", pod("forced", version=2)), deleted=True)
    pods.apply("Pod", trim("Pod", pod("done", phase="Succeeded", version=2)), deleted=True)
    assert pods.ended(LOCK, [entry(pod("forced")), entry(pod("done"))]) == {"done"}


def test_only_records_that_fit_a_pod_of_the_locks_own_namespace_are_believed() -> None:
    pods = index(("Pod", pod("a", phase="Failed")), ("Pod", pod("b", phase="Failed", namespace="elsewhere")))
    lies = [entry(pod("a"), pod_namespace="elsewhere"), entry(pod("a"), pod="else"), entry(pod("b"), pod_uid="a")]
    assert pods.ended(LOCK, [*lies, entry(None), entry(pod("b", namespace="elsewhere"))]) == frozenset()
    assert pods.ended(LockName("elsewhere", "x"), [entry(pod("b", namespace="elsewhere"))]) == {"b"}


def test_a_pod_is_labelled_for_every_lock_on_its_list() -> None:
    pods = index(("Pod", pod("a", leads="main,other,Not a lock,")))
    other = LockName("team", "other")
    assert pods.labelled(LOCK) == pods.labelled(other) == {("team", "pod-a", "a")}
    touched = pods.apply("Pod", trim("Pod", pod("a", leads="other", version=2)), deleted=False)
    assert touched == ChangedPod(frozenset({"a"}), frozenset({LOCK, other}))
    assert pods.labelled(LOCK) == frozenset()
    pods.apply("Pod", trim("Pod", pod("a", leads="other", version=3)), deleted=True)
    assert pods.labelled(other) == frozenset()


def test_a_pod_whose_label_was_removed_by_hand_counts_as_not_labelled() -> None:
    body = pod("a", leads="main")
    body["metadata"]["labels"]["leasehold.dev/leader"] = "no"
    assert index(("Pod", body)).labelled(LOCK) == frozenset()


def test_nothing_is_touched_when_nothing_that_counts_has_changed() -> None:
    pods = index(
        ("Pod", pod("a", "one")),
        ("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")),
        ("StatefulSet", statefulset("set", "web-1")),
    )
    assert not pods.apply("Pod", pod("a", "one", version=2), deleted=False)
    assert not pods.apply("ReplicaSet", replicaset("one", "deployment", 1, "hash-1", version=2), deleted=False)
    assert not pods.apply("StatefulSet", statefulset("set", "web-1", version=2), deleted=False)


def test_an_older_body_that_comes_later_changes_nothing() -> None:
    """A list and a watch may cross on their way."""
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
    assert pods.known("Pod") == {"b"}


def test_objects_whose_deletion_was_missed_are_forgotten_with_all_that_hung_on_them() -> None:
    pods = index(
        ("Pod", pod("a", "one", leads="main")),
        ("ReplicaSet", replicaset("one", "deployment", 1, "hash-1")),
        ("StatefulSet", statefulset("set", "web-1")),
        ("Pod", pod("b", "set")),
    )
    assert pods.forget("Pod", {"a", "never-seen"}) == ChangedPod(frozenset({"a"}), frozenset({LOCK}))
    assert pods.forget("StatefulSet", pods.known("StatefulSet")).pods == {"b"}
    assert not pods.forget("ReplicaSet", pods.known("ReplicaSet")), "its one pod is gone"
    assert pods.known("ReplicaSet") == pods.known("StatefulSet") == frozenset()
    assert pods.labelled(LOCK) == frozenset()
    assert not pods.forget("ReplicaSet", {"one"})


def test_an_index_that_saw_much_come_and_go_holds_nothing_but_the_last_of_the_gone() -> None:
    pods = Pods()
    for number in range(6000):
        pods.apply("ReplicaSet", replicaset("one", f"deployment-{number}", 1, "x", version=number), deleted=False)
        pods.apply("Pod", pod(f"p{number}", "one", leads="main"), deleted=False)
        pods.apply("Pod", pod(f"p{number}", "one", leads="main", version=2), deleted=True)
    pods.apply("ReplicaSet", replicaset("one", "deployment-5999", 1, "x"), deleted=True)
    sizes = {name: len(value) for name, value in vars(pods).items() if isinstance(value, dict)}
    assert sizes.pop("_gone") == 4096
    assert set(sizes.values()) == {0}, sizes
