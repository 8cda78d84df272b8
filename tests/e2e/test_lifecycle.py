"""The chart's own life: upgraded and restarted under load under one leader, uninstalled with its Locks or not."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster, KubectlFailed, images, why_unavailable
from tests.cluster.helm import build_dependencies
from tests.cluster.node import PATIENCE
from tests.e2e.installation import CHARTS, Installation, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.servers import Process, program, wait_for
from tests.support.documentation import ROOT, example

LEADER = "leasehold.dev/leader=true"

REGISTRY = images.DOCKER.rstrip("/")


@pytest.fixture(scope="module")
def another() -> Iterator[Cluster]:
    """A cluster on which Leasehold comes and goes."""
    if reason := why_unavailable():
        pytest.skip(f"{reason} Not tested: upgrading and uninstalling the chart.")
    made = Cluster(1, name="life")
    with contextlib.closing(made):
        made.start()
        images.load_all(made)
        build_dependencies(CHARTS / "singleton")
        yield made


def test_quick_start(another: Cluster, spawn: Callable[..., Process], tmp_path: Path) -> None:
    """The front door's, pasted as it stands: an app that exists leads, and `kubectl get locks` names its pod.

    The nodes have the images already, so `docker` does nothing here, and the registry is where they have them from.
    """
    script = example("quick start, Kubernetes").replace(
        "export REGISTRY=registry.example", f"export REGISTRY={REGISTRY}"
    )
    tools = os.pathsep.join(str(program(name).parent) for name in ("kubectl", "helm"))
    environ = {"KUBECONFIG": str(another.kubeconfig()), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environ |= {f"HELM_{name}_HOME": str(tmp_path / name) for name in ("CACHE", "CONFIG", "DATA")}
    pasted = spawn(["bash", "-euc", f"docker() {{ :; }}\n{script}"], name="pasted", cwd=ROOT, env=environ)
    assert pasted.wait(PATIENCE) == 0, pasted.log
    head, line = pasted.log.splitlines()[-2:]
    assert head.split()[:3] == ["NAME", "HELD", "HOLDER"]
    name, held, holder = line.split()[:3]
    assert (name, held) == ("hello", "True")
    assert holder in {pod["metadata"]["name"] for pod in another.list("pods", "default", labels="app=hello")}
    another.kubectl("--namespace=default", "delete", "deployment/hello", "lock/hello")
    another.helm("uninstall", "leasehold", "--namespace=leasehold-system", "--wait")
    another.kubectl("delete", "namespace", "leasehold-system", timeout=PATIENCE)


def test_upgrade_and_uninstall(another: Cluster) -> None:
    """An upgrade under load changes no leader; uninstalling keeps the Locks, or not, as it was told."""
    installation = Installation(another)
    own = another.make_namespace()
    installation.install()
    one = Workload(another, own)
    with PodWitness(another, own, one.labels) as witness:
        one.install()
        (name,) = one.wait_ready()
        token = witness.wait_leads(name).answer.token
        operators = {pod["metadata"]["uid"] for pod in installation.pods("operator")}
        installation.upgrade(**{"operator.podAnnotations": {"example.com/upgraded": "yes"}})
        wait_for(lambda: not operators & {pod["metadata"]["uid"] for pod in installation.pods("operator")}, "new ones")
        witness.wait_leads(name)
        assert witness.tokens() == [token]
        assert witness.contradictions() == []
    # Kept, as told: the Lock is there without any operator, and one that comes back goes on with it.
    another.patch("locks", "one", {"spec": {"podLabel": True}}, own)
    wait_for(lambda: another.list("pods", own, labels=LEADER), "the leader's pod to be labelled", PATIENCE)
    installation.uninstall()
    assert another.list("pods", own, labels=LEADER) == [], "nobody would move the label any more"
    lock = another.get("locks", "one", own)
    assert lock is not None
    installation.install_again(**{"crds.keep": False})
    wait_for(lambda: one.lock().get("observedGeneration"), "the Lock to be looked at again")
    # Not kept: all Locks are released and deleted while the operator is still there.
    installation.uninstall()
    wait_for(lambda: another.get("customresourcedefinitions", "locks.leasehold.dev") is None, "the CRD to be gone")


def test_etcd_members_are_replaced(another: Cluster) -> None:
    """Restarted one after the other; and one that lost its volume, by what the chart's page says then."""
    installation = Installation(another, "leasehold-three")
    own = another.make_namespace()
    installation.install(**{"etcd.replicas": 3})
    one = Workload(another, own)
    # Long enough a lease that a busy machine may take its time over a member's restart.
    values: dict[str, Any] = {"leasehold.etcd.endpoints": installation.etcd_urls(3), "lock.leaseDurationSeconds": 15}
    with PodWitness(another, own, one.labels) as witness:
        one.install(**values)
        (name,) = one.wait_ready()
        token = witness.wait_leads(name).answer.token
        members = {pod["metadata"]["uid"] for pod in installation.pods("etcd")}
        assert len(members) == 3
        rollout = ["-n", installation.namespace, "rollout"]
        another.kubectl(*rollout, "restart", "statefulset/leasehold-etcd")
        another.kubectl(*rollout, "status", "statefulset/leasehold-etcd", "--timeout=8m", timeout=510)
        assert not members & {pod["metadata"]["uid"] for pod in installation.pods("etcd")}
        assert [ready(pod) for pod in installation.pods("etcd")] == [True] * 3
        lose_a_volume(installation, "leasehold-etcd-1")
        replace_a_member(installation, "leasehold-etcd-1")
        assert [ready(pod) for pod in installation.pods("etcd")] == [True] * 3
        witness.wait_leads(name)
        assert witness.tokens() == [token]
        assert witness.contradictions() == []


def lose_a_volume(installation: Installation, member: str) -> None:
    """As by a disk that fails: the member ends, and its pod's next one cannot start."""
    cluster, there = installation.cluster, ["-n", installation.namespace]
    claim = cluster.get("persistentvolumeclaims", f"data-of-3-{member}", installation.namespace)
    assert claim is not None
    installation.lose_volume(claim["spec"]["volumeName"])
    cluster.kubectl(*there, "delete", "pod", member)
    wait_for(
        lambda: "is not a directory" in cluster.kubectl(*there, "get", "events"), "the pod to miss its volume", PATIENCE
    )


def replace_a_member(installation: Installation, member: str) -> None:
    """The commands of the chart's page, in their order."""
    cluster, there = installation.cluster, ["-n", installation.namespace]
    etcdctl = [*there, "exec", "leasehold-etcd-0", "--", "etcdctl", "member"]
    (identity,) = (line.split(",")[0] for line in cluster.kubectl(*etcdctl, "list").splitlines() if member in line)
    cluster.kubectl(*etcdctl, "remove", identity)
    replacement = "leasehold-etcd-replacement"
    cluster.kubectl(*there, "create", "configmap", replacement, "--from-literal=initial-cluster-state=existing")
    installation.make_volume(cluster.nodes[0], "spare")
    cluster.kubectl(*there, "delete", "pvc", f"data-of-3-{member}", "--wait=false")
    cluster.kubectl(*there, "delete", "pod", member)
    peer = f"https://{member}.leasehold-etcd.{installation.namespace}.svc:2380"

    def added() -> bool:
        try:
            cluster.kubectl(*etcdctl, "add", member, f"--peer-urls={peer}")
        except KubectlFailed as refusal:
            if "unhealthy cluster" in str(refusal):  # etcd lets its members change only after 5 s of health
                return False
            raise
        return True

    wait_for(added, "etcd to take the new member", PATIENCE)
    cluster.kubectl(*there, "rollout", "status", "statefulset/leasehold-etcd", "--timeout=8m", timeout=510)
    cluster.kubectl(*there, "delete", "configmap", replacement)
