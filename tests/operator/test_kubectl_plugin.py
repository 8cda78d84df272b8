"""`kubectl leasehold list`, `describe` and its errors, through the real kubectl on a real API server."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.operator.kubectl_plugin import SCRIPTS, Plugin, ago, columns, condition, holder, status_of
from tests.servers import PATIENCE, CertificateAuthority, EtcdServer
from tests.support.sidecars import Sidecar

# --- list ---


def test_list(plugin: Plugin) -> None:
    """One line a Lock, with times as kubectl has them."""
    assert plugin.run("list").stderr == f"No resources found in {plugin.namespace} namespace.\n"
    plugin.make("free", status_of(waiting=0))
    plugin.make("many", status_of(holder("a", 3), holder("b", 5), waiting=2), capacity=2)
    plugin.make("new")
    head, free, many, new = [columns(line) for line in plugin.ok("list").splitlines()]
    assert head == ["NAME", "HELD", "HOLDER", "HOLDERS", "WAITERS", "SINCE", "AGE"]
    assert free[:-1] == ["free", "False", "-", "0", "0", "-"]
    assert many[:-2] == ["many", "True", "a", "+1", "2", "2"]
    assert many[-2].startswith("5m")
    assert new[:-1] == ["new", "Unknown", "-", "0", "0", "-"]
    assert all(row[-1].endswith(("s", "m")) for row in (free, many, new))


def test_list_in_other_forms(plugin: Plugin) -> None:
    plugin.make("one", status_of(holder("a", 3)))
    assert columns(plugin.ok("list", "-o", "wide").splitlines()[1])[-3:] == [
        "3",
        "/leasehold/locks/n/l/queue",
        "Declared",
    ]
    assert plugin.ok("list", "-o", "name") == "lock.leasehold.dev/one\n"
    listed = plugin.data("list", "-n", plugin.namespace)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    assert "managedFields" not in json.dumps(listed)
    assert "  kind: Lock\n" in plugin.ok("list", "--output=yaml")
    everywhere = plugin.ok("list", "-A").splitlines()
    assert columns(everywhere[0])[0] == "NAMESPACE"
    assert [plugin.namespace, "one"] in [columns(line)[:2] for line in everywhere]


# --- describe ---


def test_describe(plugin: Plugin, api: ControlPlane) -> None:
    """Holder, token, since, conditions, and the history from the Lock's Events, the oldest first."""
    status = status_of(holder("db-0", 217, podName="db-0", nodeName="n1"), waiting=2)
    plugin.make("db", status, handoverUpToToken=5, preferredHolder="db-0")
    told(plugin, api, "db", "LockAcquired", 400, "db-0 acquired the lock.")
    told(plugin, api, "db", "HandedOver", 500, "db-1 handed over.")
    lines = plugin.ok("describe", "lock/db").splitlines()
    facts = {columns(line)[0]: line.partition(":")[2].strip() for line in lines if ":   " in line}
    assert facts["Name:"] == "db"
    assert facts["Token:"] == "217"
    assert facts["Since:"].startswith("5m")
    assert facts["Queue:"] == "1 holder, 2 waiting"
    assert facts["Wanted:"] == "lease 15s, capacity 1, preferred holder db-0, handoverUpToToken 5"
    (own,) = [columns(line) for line in lines if line.startswith("  db-0")]
    assert [own[1], own[3], own[4]] == ["217", "db-0", "n1"]
    assert any(columns(line)[:2] == ["Held", "True"] for line in lines)
    history = [columns(line)[2] for line in lines if line.startswith("  ") and " Normal " in line]
    assert history == ["HandedOver", "LockAcquired"]


def told(plugin: Plugin, api: ControlPlane, name: str, reason: str, seconds: float, message: str) -> None:
    """An Event about a Lock, as the operator tells it."""
    found = api.get("locks", name, plugin.namespace)
    assert found is not None
    about = {"kind": "Lock", "apiVersion": "leasehold.dev/v1alpha1", "namespace": plugin.namespace}
    about |= {"name": name, "uid": found["metadata"]["uid"]}
    when = {"firstTimestamp": ago(seconds), "lastTimestamp": ago(seconds), "count": 1}
    event = {"reason": reason, "message": message, "type": "Normal", "involvedObject": about, **when}
    api.create("events", {"metadata": {"generateName": "lock-"}, **event}, plugin.namespace)


def test_describe_for_programs(plugin: Plugin, api: ControlPlane) -> None:
    plugin.make("db", status_of(holder("db-0", 217)))
    told(plugin, api, "db", "LockAcquired", 400, "db-0 acquired the lock.")
    found = plugin.data("describe", "db")
    assert found["lock"]["status"]["fencingToken"] == 217
    assert [event["reason"] for event in found["events"]] == ["LockAcquired"]


def test_no_hostile_text_on_a_terminal(plugin: Plugin) -> None:
    """Identities are whatever somebody wrote into etcd."""
    hostile = "a\x1b[2J\u202eb\nc"
    broken = [condition("Held", "True", "Seen"), condition("Ready", "False", "Odd", "x\x1b]0;t\x07")]
    plugin.make("db", status_of(holder(hostile, 217, podName=hostile)) | {"conditions": broken})
    for words in (("list", "-o", "wide"), ("describe", "db"), ("describe", "db", "-o", "yaml"), ("handover", "db")):
        printed = plugin.ok(*words)
        assert not set(printed) & set("\x1b\x07\u202e"), words


def test_describe_reads_the_queue(
    plugin: Plugin, etcd: EtcdServer, root: str, sidecar_factory: Callable[..., Sidecar]
) -> None:
    """With --etcd the waiters are named too; the root of the keys is taken from the status."""
    lock = f"{plugin.namespace}/db"
    leader = sidecar_factory("one", lock=lock)
    leader.wait_leading()
    sidecar_factory("two", lock=lock).wait_queued()
    plugin.make("db", status_of(holder("one", 7)) | {"key": f"{root}/locks/{lock}/queue"})
    printed = plugin.ok("describe", "db", "--etcd", etcd.url)
    rows = [columns(line) for line in printed.partition("Queue in etcd:")[2].splitlines()]
    assert [row[1:3] for row in rows if row[:1] in (["0"], ["1"])] == [["yes", "one"], ["no", "two"]]
    candidates = plugin.data("describe", "db", "--etcd", etcd.url)["queue"]["candidates"]
    assert [candidate["identity"] for candidate in candidates] == ["one", "two"]
    done = plugin.run("describe", "db", "--etcd", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "The queue cannot be read: " in done.stdout


# --- errors ---


def test_no_such_lock(plugin: Plugin) -> None:
    for words in (("describe", "db"), ("suspend", "db"), ("wait", "db")):
        assert f"in the namespace {plugin.namespace}" in plugin.refused(*words)


def test_forbidden(plugin: Plugin, api: ControlPlane) -> None:
    """A sentence with the API server's own reason: whoever grants rights needs to read it."""
    user = api.service_account("nobody", plugin.namespace)
    assert plugin.refused("list", user=user).startswith(f"You may not list Locks in the namespace {plugin.namespace}: ")
    assert 'cannot get resource "locks"' in plugin.refused("suspend", "db", user=user)


def test_mistakes_ask_no_cluster(plugin: Plugin) -> None:
    """A wrong command line is refused before any cluster is asked."""
    for words in (("wait", "db", "--for", "x"), ("handover",), ("frob",), ("revoke", "db")):
        plugin.refused(*words, code=2)


def test_no_cluster_and_no_context(plugin: Plugin, api: ControlPlane) -> None:
    nowhere = str(api.kubeconfig(server="https://127.0.0.1:1"))
    assert "connect: connection refused." in plugin.refused("list", "--kubeconfig", nowhere)
    assert "kubectl config get-contexts lists" in plugin.refused("list", "--context", "x", code=2)
    plain = str(api.kubeconfig(server=api.url.replace("https:", "http:")))
    assert "Client sent an HTTP request to an HTTPS server." in plugin.refused("list", "--kubeconfig", plain)


def test_untrusted_on_either_side(plugin: Plugin, tmp_path: Path) -> None:
    """Unknown credentials and an untrusted certificate are each told in a sentence."""
    config = json.loads(plugin.config().read_text())
    config["users"][0]["user"]["token"] = "wrong"
    (tmp_path / "config").write_text(json.dumps(config))
    assert "does not know these credentials" in plugin.refused("list", "--kubeconfig", str(tmp_path / "config"))
    other = CertificateAuthority(tmp_path / "other")
    config["clusters"][0]["cluster"]["certificate-authority"] = str(other.path)
    (tmp_path / "config").write_text(json.dumps(config))
    assert "its certificate is not trusted (" in plugin.refused("list", "--kubeconfig", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def bare() -> Iterator[ControlPlane]:
    """A control plane without the CRD, which may be paused."""
    with ControlPlane(name="bare", controllers=False, crd=False) as started:
        yield started


def test_no_crd(bare: ControlPlane) -> None:
    plugin = Plugin(bare, "default")
    for words in (("list", "-A"), ("describe", "db"), ("wait", "db")):
        assert "knows no Locks: install Leasehold's CustomResourceDefinition" in plugin.refused(*words)


def test_an_api_server_that_hangs(bare: ControlPlane) -> None:
    """--request-timeout bounds each request."""
    bare.apiserver.pause()
    try:
        assert "did not answer in time" in Plugin(bare, "default").refused("list", "--request-timeout", "1s")
    finally:
        bare.apiserver.resume()
        bare.apiserver.wait_ready()


# --- completion ---


def completed(plugin: Plugin, *words: str) -> list[str]:
    """What kubectl itself offers next, less the description."""
    done = subprocess.run(
        plugin.command("__complete", *words),
        env=plugin.environ(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_kubectl_completes_it(plugin: Plugin) -> None:
    """kubectl finds `kubectl_complete-leasehold` on the PATH and asks it."""
    plugin.make("alpha")
    plugin.make("beta")
    assert completed(plugin, "leaseh") == ["leasehold", ":4"]
    assert completed(plugin, "leasehold", "su") == ["suspend", ":4"]
    assert completed(plugin, "leasehold", "wait", "") == ["alpha", "beta", ":4"]
    assert completed(plugin, "leasehold", "wait", "alpha", "--for", "h") == ["held", "holder=", ":4"]
    assert completed(plugin, "leasehold", "list", "--output=js") == ["--output=json", ":4"]
    assert plugin.namespace in completed(plugin, "leasehold", "wait", "-n", "")
    assert completed(plugin, "leasehold", "list", "--context", "")[-1] == ":4"
    assert completed(plugin, "leasehold", "list", "--kubeconfig", "") == [":0"]


def test_bash_completion(plugin: Plugin) -> None:
    """bash completes the program itself, too."""
    plugin.make("alpha")
    script = plugin.ok("completion", "bash")
    ask = (
        'COMP_LINE="$1"; COMP_POINT=${#1}; COMP_WORDBREAKS="=: "; _kubectl_leasehold; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    for line, expected in (
        ("kubectl-leasehold res", "resume"),
        ("kubectl-leasehold wait ", "alpha"),
        ("kubectl-leasehold wait alpha --output=na", "name"),
    ):
        words = ["bash", "--norc", "-c", script + ask, "bash", line]
        done = subprocess.run(words, env=plugin.environ(), capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert done.stdout.split() == [expected], (line, done)


def test_the_programs_are_installed() -> None:
    """kubectl finds them by these very names."""
    assert all(os.access(SCRIPTS / name, os.X_OK) for name in ("kubectl-leasehold", "kubectl_complete-leasehold"))
