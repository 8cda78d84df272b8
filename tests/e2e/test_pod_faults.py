"""What befalls a pod: deleted, its sidecar killed, its app killed. And what its app writes meanwhile."""

import os
import signal
from collections.abc import Callable

from tests.cluster import Cluster, Object
from tests.e2e.witness import PodWitness, Recorder
from tests.e2e.workload import Workload
from tests.servers import wait_for

Make = Callable[..., Workload]


def kill(one: Workload, pod: str, container: str) -> None:
    """SIGKILL to the container's first process, on the node."""
    first, *_ = one.cluster.pids(pod, one.namespace, container)
    os.kill(first, signal.SIGKILL)


def restarts(one: Workload, pod: str, container: str) -> int:
    found: Object = one.cluster.get("pods", pod, one.namespace) or {}
    status = found.get("status", {})
    everything = [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
    return sum(each["restartCount"] for each in everything if each["name"] == container)


def test_deleted_pod_stops_its_app_first(workload: Make, cluster: Cluster) -> None:
    """The app works for a second after TERM. None of its writes comes after one of the next leader."""
    one = workload()
    with Recorder(cluster) as store, PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install({"RECORDER": store.address, "WORK": "1"})
        (old,) = one.wait_ready()
        token = witness.wait_leads(old).answer.token
        store.wait_write(token)
        one.kubectl("delete", "pod", old)
        new = witness.wait_leader(but=old)
        store.wait_write(new.answer.token)
        writes = store.writes()
        assert [write.token for write in writes] == sorted(write.token for write in writes)
        assert all(write.taken for write in writes)
        assert {write.pod for write in writes if write.token == token} == {old}
        assert witness.contradictions() == []


def test_handover_leaves_no_late_write(workload: Make, cluster: Cluster) -> None:
    """Both apps live on and write: the store refuses what comes late, as guarantee 4 has it."""
    one = workload("pair", replicas=2, **{"leasehold.gate": "label"})
    with Recorder(cluster) as store, PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install({"RECORDER": store.address})
        one.wait_ready(2)
        for _ in range(3):
            leader = witness.wait_leader()
            store.wait_write(leader.answer.token)
            status = one.wait_held(by=leader.name)
            patch = f'{{"spec": {{"handoverUpToToken": {status["fencingToken"]}}}}}'
            one.kubectl("patch", "lock", "pair", "--type=merge", f"--patch={patch}")
            witness.wait_leader(but=leader.name)
        taken = [write.token for write in store.writes() if write.taken]
        assert taken == sorted(taken)
        assert len(set(taken)) >= 3
        assert witness.contradictions() == []


def test_killed_sidecar_resumes_its_term(workload: Make, cluster: Cluster) -> None:
    """The same token, so no failover. The lease outlasts the kubelet's restart of the container."""
    one = workload()
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install()
        (name,) = one.wait_ready()
        token = witness.wait_leads(name).answer.token
        kill(one, name, "leasehold")
        wait_for(lambda: restarts(one, name, "leasehold") == 1, "the container to be restarted")
        assert witness.wait_leads(name).answer.token == token
        assert one.wait_ready() == [name]
        assert witness.tokens() == [token]


def test_killed_app_leads_on(workload: Make, cluster: Cluster) -> None:
    """Its restart takes less than the three bad answers after which it would count as unhealthy."""
    one = workload()
    with PodWitness(cluster, one.namespace, one.labels) as witness:
        one.install()
        (name,) = one.wait_ready()
        token = witness.wait_leads(name).answer.token
        kill(one, name, "app")
        wait_for(lambda: restarts(one, name, "app") == 1, "the app to be restarted")
        assert one.wait_ready() == [name]
        witness.wait_leads(name)
        assert witness.contradictions() == []
        assert witness.tokens()[0] == token
