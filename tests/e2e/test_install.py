"""From nothing to a leader: the chart is installed, a Lock declared, and exactly one pod works."""

from collections.abc import Callable

from tests.cluster import Cluster
from tests.e2e.installation import APPS, CLIENT, Installation, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.servers import wait_for

Make = Callable[..., Workload]


def test_chart_gets_ready(installed: Installation) -> None:
    """The chart becomes ready, and its notes say what to do next."""
    assert [ready(pod) for pod in installed.pods("operator")] == [True, True]
    assert [ready(pod) for pod in installed.pods("etcd")] == [True]
    assert "kind: Lock" in installed.notes
    assert "kubectl get locks" in installed.notes


def test_namespace_gets_one_certificate(installed: Installation) -> None:
    """A namespace of sidecars has the clients' certificate and no other."""
    cluster = installed.cluster
    assert cluster.get("secrets", CLIENT, APPS) is not None
    assert cluster.get("secrets", CLIENT, "default") is None
    ca = cluster.get("secrets", "leasehold-etcd-ca", installed.namespace)
    given = cluster.get("secrets", CLIENT, APPS)
    assert ca is not None
    assert given is not None
    assert ca["data"]["tls.key"] not in given["data"].values()


def test_helm_test(installed: Installation) -> None:
    """`helm test` declares, takes and releases a lock."""
    printed = installed.test()
    assert "was declared, and is held with token" in printed, printed
    wait_for(lambda: installed.cluster.get("locks", "leasehold-test", installed.namespace) is None, "the Lock to go")


def test_one_pod_is_ready_and_routed_to(workload: Make, cluster: Cluster) -> None:
    """Exactly one pod is Ready, and exactly one endpoint is routed to."""
    one = workload()
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install()
        (name,) = one.wait_ready()
        held = one.wait_held(by=name)
        said = witness.wait_leads(name)
        assert said.answer.token == held["fencingToken"]
        wait_for(lambda: len(one.endpoints()) == 1, "one endpoint")
        assert witness.contradictions() == []
