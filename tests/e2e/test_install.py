"""From nothing to a leader: the chart is installed, a Lock declared, and exactly one pod works."""

import base64
import json
import os
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.cluster import Cluster
from tests.e2e.first_steps import FirstSteps
from tests.e2e.installation import CLIENT, Installation, common_name, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.servers import Process, program, wait_for
from tests.support.sidecars import request

Make = Callable[..., Workload]


def test_two_commands_from_nothing(first: FirstSteps, record_property: Callable[[str, object], None]) -> None:
    """Without a value: the chart becomes ready, with an etcd of its own, and the example's pod leads."""
    record_property("seconds", first.seconds)
    lines = [f"{seconds:6.1f} s  {step}" for step, seconds in first.steps]
    print("\n".join([*lines, f"{first.seconds:6.1f} s  both commands, until the pod is Ready"]))  # noqa: T201  # the figures
    assert "kind: Lock" in first.notes
    assert "kubectl get locks" in first.notes
    assert [each["name"] for each in first.pod["spec"]["initContainers"]] == ["leasehold"]
    restarts = [each["restartCount"] for each in first.pod["status"]["initContainerStatuses"]]
    assert restarts == [0]
    pods = [pod for part in ("operator", "injector", "certificates", "etcd") for pod in first.installation.pods(part)]
    assert {status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]} == {0}


def test_chart_gets_ready(installed: Installation) -> None:
    """The chart is ready after an upgrade, too."""
    assert [ready(pod) for pod in installed.pods("operator")] == [True, True]
    assert [ready(pod) for pod in installed.pods("etcd")] == [True]


def test_a_new_namespace_leads_at_once(installed: Installation, workload: Make, own: str) -> None:
    """Nothing is prepared: the Lock comes with the workload, and the pod finds the namespace's own certificate.

    The authority's key stays where it is.
    """
    one = workload()
    with PodWitness(installed.cluster, own, one.labels) as witness:
        one.install()
        (name,) = one.wait_ready()
        witness.wait_leads(name)
    given = installed.cluster.get("secrets", CLIENT, own)
    ca = installed.cluster.get("secrets", "leasehold-etcd-ca", installed.namespace)
    assert given is not None
    assert ca is not None
    assert common_name(given) == f"leasehold:ns/{own}"
    assert ca["data"]["tls.key"] not in given["data"].values()
    assert installed.cluster.get("secrets", CLIENT, "kube-public") is None
    wait_for(lambda: installed.isolation()["reason"] in ("SharedCertificateInUse", "Isolated"), "authentication")


# Asks a member for its peers, as another member would; prints the HTTP status, or that TLS was refused.
_ASK_AS_A_PEER = """
import http.client, ssl, sys
address, port, folder = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
context.check_hostname = False  # its certificate names the member, not its address
context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
connection = http.client.HTTPSConnection(address, int(port), timeout=30, context=context)
try:
    connection.request("GET", "/members")
    print(connection.getresponse().status, flush=True)
except (ssl.SSLError, ConnectionError):
    print("refused", flush=True)
"""


@pytest.mark.parametrize(("secret", "answer"), [("leasehold-etcd-admin", "refused"), ("leasehold-etcd-server", "200")])
def test_etcds_peer_port_admits_members_only(secret: str, answer: str, installed: Installation, tmp_path: Path) -> None:
    """Clients and members have one authority; the peer port has no users, so a client there could do anything."""
    found = installed.cluster.get("secrets", secret, installed.namespace)
    assert found is not None
    for name, value in found["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    (member,) = installed.pods("etcd")
    first, *_ = installed.cluster.pids(member["metadata"]["name"], installed.namespace, "etcd")
    # From the member's own address: etcd compares a certificate's addresses, if it has any, with the caller's.
    inside = ["nsenter", f"--net=/proc/{first}/ns/net"]
    words = [*inside, sys.executable, "-c", _ASK_AS_A_PEER, "127.0.0.1", "2380", str(tmp_path)]
    with installed.cluster.process(words, name="peer", lines=True) as peer:
        assert peer.read_line() == answer


def test_helm_test(installed: Installation) -> None:
    """`helm test` declares, takes and releases a lock."""
    printed = installed.test()
    assert "was declared, and is held with token" in printed, printed
    wait_for(lambda: installed.cluster.get("locks", "leasehold-test", installed.namespace) is None, "the Lock to go")


def test_page_through_a_forwarded_port(workload: Make, installed: Installation) -> None:
    """`kubectl leasehold ui` forwards a port to the page's pod, whose loopback has it; it shows the workload's lock.

    With the page's own account: it may read Locks, and nothing else. If its pod goes, the next one is forwarded to.
    """
    one = workload()
    one.install()
    (name,) = one.wait_ready()
    kubectl = program("kubectl")
    path = os.pathsep.join((str(Path(sys.executable).parent), str(kubectl.parent), "/usr/bin", "/bin"))
    env = {"PATH": path, "KUBECONFIG": str(installed.cluster.kubeconfig())}
    with Process([kubectl, "leasehold", "ui", "--no-open"], name="kubectl-ui", env=env, lines=True) as plugin:
        url = plugin.read_line().partition(" at ")[2].partition(" ")[0]
        lock = f"{url}lock?name={one.namespace}/{one.name}"
        wait_for(lambda: _leaders(lock) == [name], "the page to show who leads")
        wait_for(lambda: json.loads(request("GET", lock)[1]).get("absent") == [], "the Lock's status to miss no pod")
        (page,) = installed.pods("ui")
        installed.cluster.kubectl("delete", "pod", page["metadata"]["name"], f"--namespace={installed.namespace}")
        wait_for(lambda: _leaders(lock) == [name], "the next page to show who leads")
    assert page["metadata"]["name"] not in [one["metadata"]["name"] for one in installed.pods("ui")]


def _leaders(lock: str) -> list[str]:
    """Who leads, as the page says; none while no page answers."""
    try:
        status, body = request("GET", lock)
    except (OSError, HTTPException):
        return []
    return [str(one["identity"]) for one in json.loads(body)["holders"]] if status == 200 else []


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
