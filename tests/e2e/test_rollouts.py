"""New revisions take the lock over from old ones: every kind of rollout ends by itself, and one pod works all along."""

from collections.abc import Callable

import pytest

from tests.cluster import Cluster, KubectlFailed
from tests.cluster.node import PATIENCE
from tests.e2e.installation import Installation
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.servers import wait_for

HAND_OVER = "import urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:4041/handover', method='POST'))"

Make = Callable[..., Workload]


def leader_version(one: Workload) -> str:
    """The version of the app that the pod of the lock's holder runs."""
    holder = one.wait_held()["holderIdentity"]
    found = one.cluster.get("pods", holder, one.namespace)
    if found is None:
        return ""
    (app,) = found["spec"]["containers"]
    return next((each["value"] for each in app.get("env", ()) if each["name"] == "VERSION"), "")


def led_by_version(one: Workload, version: str) -> None:
    wait_for(lambda: leader_version(one) == version, f"version {version} to lead", PATIENCE)


def test_rolling_updates_of_a_singleton(workload: Make, cluster: Cluster) -> None:
    """Rolling updates of a readiness-gated singleton complete without help."""
    one = workload()
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install({"VERSION": "1"})
        one.wait_ready()
        for version in ("2", "3"):
            before = witness.tokens()[-1]
            one.upgrade({"VERSION": version})
            assert "successfully rolled out" in one.rollout()
            (name,) = one.wait_ready()
            witness.wait_leads(name)
            led_by_version(one, version)
            assert witness.first_above(before).name == name, "nobody else led in between"
        one.rollback()
        assert "successfully rolled out" in one.rollout()
        led_by_version(one, "2")
        one.kubectl("rollout", "restart", "deployment/one")
        assert "successfully rolled out" in one.rollout()
        one.kubectl("rollout", "undo", "deployment/one", "--to-revision=1")
        assert "successfully rolled out" in one.rollout()
        led_by_version(one, "1")
        assert witness.contradictions() == []


def test_service_follows_the_label(workload: Make, cluster: Cluster) -> None:
    """Three label-gated replicas are all Ready, and the Service follows the leader."""
    three = workload("three", replicas=3, **{"leasehold.gate": "label"})
    with PodWitness(cluster, three.namespace, three.labels) as witness:
        three.install({"VERSION": "1"})
        assert "successfully rolled out" in three.rollout()
        three.wait_ready(3)
        routed_to_the_leader(three)
        three.upgrade({"VERSION": "2"})
        assert "successfully rolled out" in three.rollout()
        three.wait_ready(3)
        led_by_version(three, "2")
        routed_to_the_leader(three)
        three.kubectl("rollout", "undo", "deployment/three")
        three.rollout()
        led_by_version(three, "1")
        assert witness.contradictions() == []


def test_label_without_an_operator(workload: Make, cluster: Cluster, installed: Installation) -> None:
    """Nobody takes the label off a pod that has lost the lock: it is unready, and the Service routes to nobody else's.

    Meanwhile no pod is labelled as the new leader; an operator that comes back labels it.
    """
    two = workload("two", replicas=2, **{"leasehold.gate": "label"})
    two.install()
    two.wait_ready(2)
    routed_to_the_leader(two)
    before = two.wait_held()
    holder = before["holderIdentity"]
    operator = ["-n", installed.namespace, "scale", f"deployment/{installed.release}-operator"]
    cluster.kubectl(*operator, "--replicas=0")
    try:
        wait_for(lambda: not installed.pods("operator"), "no operator to be there", PATIENCE)
        two.kubectl("exec", holder, "-c", "leasehold", "--", "python3", "-c", HAND_OVER)
        wait_for(lambda: two.endpoints() == [], "the Service to route there no more", PATIENCE)
        assert [name for name in two.ready_pods() if name != holder], "the pod that leads now is ready"
    finally:
        cluster.kubectl(*operator, "--replicas=2")
    wait_for(
        lambda: two.wait_held()["fencingToken"] > before["fencingToken"], "the operator to see the new term", PATIENCE
    )
    routed_to_the_leader(two)
    two.wait_ready(2)


def routed_to_the_leader(one: Workload) -> None:
    def routed() -> bool:
        found = one.cluster.get("pods", one.wait_held()["holderIdentity"], one.namespace)
        return found is not None and one.endpoints() == [found["status"].get("podIP")]

    wait_for(routed, "the Service to route to the leader alone", PATIENCE)


def test_stateful_set_of_one_is_updated(workload: Make, cluster: Cluster) -> None:
    """A StatefulSet of one replica is updated without help."""
    one = workload("ledger", kind="StatefulSet")
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install({"VERSION": "1"})
        one.wait_ready()
        before = one.wait_held(by="ledger-0")["fencingToken"]
        one.upgrade({"VERSION": "2"})
        assert "roll out complete" in one.rollout("statefulset")
        wait_for(lambda: one.wait_held(by="ledger-0")["fencingToken"] > before, "the new pod's term")
        assert witness.contradictions() == []


def test_stateful_set_keeps_a_leader_too_many_until_a_handover(workload: Make, cluster: Cluster) -> None:
    """Kubernetes tells a pod that is not wanted any more to end when the wanted ones are Ready, so when they lead."""
    one = workload("ledger", kind="StatefulSet")
    one.install()
    assert one.wait_ready() == ["ledger-0"]
    token = one.wait_held(by="ledger-0")["fencingToken"]
    one.kubectl("patch", "statefulset/ledger", "--type=merge", '--patch={"spec": {"ordinals": {"start": 1}}}')
    wait_for(lambda: one.lock().get("waiterCount") == 1, "ledger-1 to queue", PATIENCE)
    assert one.ready_pods() == ["ledger-0"]
    one.kubectl("patch", "lock/ledger", "--type=merge", f'--patch={{"spec": {{"handoverUpToToken": {token}}}}}')
    one.wait_held(by="ledger-1")
    assert one.wait_ready() == ["ledger-1"]


@pytest.mark.parametrize("broken", ["unhealthy", "no image"])
def test_broken_version_never_leads(workload: Make, cluster: Cluster, broken: str) -> None:
    """The old pod keeps the lock: its token stays what it was, all the time."""
    one = workload()
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install({"VERSION": "1"})
        (old,) = one.wait_ready()
        token = witness.wait_leads(old).answer.token
        if broken == "unhealthy":
            one.upgrade({"VERSION": "2", "UNHEALTHY": "yes"})
        else:
            one.upgrade({"VERSION": "2"}, **{"app.image": "leasehold.test/missing:1"})
        with pytest.raises(KubectlFailed, match=r"timed out|exceeded"):
            one.kubectl("rollout", "status", "deployment/one", "--timeout=15s")
        assert len(one.pods()) == 2
        assert one.ready_pods() == [old]
        one.kubectl("rollout", "undo", "deployment/one")
        assert "successfully rolled out" in one.rollout()
        one.wait_ready()
        assert witness.tokens() == [token]
        assert witness.contradictions() == []
