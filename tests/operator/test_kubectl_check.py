"""`kubectl leasehold check` on a real API server: each thing that is broken is one row, with its cure."""

import json
import socket
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import pytest

from leasehold.lock.kube_names import INJECT_LABEL, PREFIX
from tests.cluster import ADMIN, ControlPlane
from tests.operator.kubectl_plugin import Plugin, condition, holder, running, status_of
from tests.operator.operator_manifest import OPERATOR, install_operator
from tests.servers import wait_for

Found = dict[str, list[dict[str, Any]]]
IMAGE = "registry.example/app:1"


def check(plugin: Plugin, *words: str, user: str = ADMIN) -> tuple[int, Found]:
    """The exit code, and the rows that are not well, by their check's name."""
    done = plugin.run("check", "-o", "json", *words, user=user)
    assert done.stderr == ""
    found: Found = {}
    for row in json.loads(done.stdout)["rows"]:
        assert row["cure"] or row["level"] == "ok"
        if row["level"] != "ok":
            found.setdefault(row["check"], []).append(row)
    return done.returncode, found


def about(rows: list[dict[str, Any]]) -> list[str]:
    """What the rows are about, without the namespace."""
    return sorted(row["about"].rpartition("/")[2] for row in rows)


def template(name: str, lock: str, *, labelled: bool = True, **annotations: str) -> dict[str, Any]:
    """A pod template that names a lock."""
    labels = {"app": name, **({INJECT_LABEL: "true"} if labelled else {})}
    noted = {f"{PREFIX}{key}": value for key, value in {"lock": lock, **annotations}.items()}
    pod = {"containers": [{"name": "app", "image": IMAGE}]}
    return {"metadata": {"labels": labels, "annotations": noted}, "spec": pod}


def workload(plugin: Plugin, name: str, made: Mapping[str, Any], **spec: Any) -> None:
    """A Deployment, or with a `serviceName` a StatefulSet."""
    kind = "statefulsets" if "serviceName" in spec else "deployments"
    selector = {"matchLabels": {"app": name}}
    body = {"metadata": {"name": name}, "spec": {"replicas": 0, "selector": selector, "template": made, **spec}}
    plugin.api.create(kind, body, plugin.namespace)


def budget(plugin: Plugin, name: str, **spec: Any) -> None:
    """A PodDisruptionBudget of the workload of this name."""
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": name}}, **spec}}
    plugin.api.create("poddisruptionbudgets", body, plugin.namespace)


def test_workloads_that_cannot_work(plugin: Plugin) -> None:
    """Each flaw is found where it is, and nothing in what is set up well."""
    plugin.make("one", status_of(holder("a", 5)))
    workload(plugin, "well", template("well", "one"), replicas=1)
    workload(plugin, "standbys", template("standbys", "one"), replicas=2)
    workload(plugin, "bare", template("bare", "one", labelled=False))
    workload(plugin, "lost", template("lost", "none"), serviceName="lost")
    workload(plugin, "label", template("label", "one", gate="label"), replicas=3)
    budget(plugin, "well", minAvailable=1)
    budget(plugin, "standbys", maxUnavailable=1)
    code, found = check(plugin)
    assert code == 1
    expected = {"gate": ["standbys"], "no-sidecar": ["bare"], "no-lock": ["lost"], "pod-label": ["label"]}
    assert {name: about(found[name]) for name in expected} == expected
    assert about(found["budget"]) == ["well"]
    assert "lock-held" not in found


def test_pods_that_cannot_queue(plugin: Plugin, api: ControlPlane) -> None:
    """One whose sidecar cannot start, for want of a Secret, and of a node."""
    sidecar = {"name": "leasehold", "image": IMAGE, "restartPolicy": "Always", "args": ["run", "--lock=one"]}
    volume = {"name": "leasehold-etcd", "secret": {"secretName": "leasehold-etcd-client"}}
    spec = {"initContainers": [sidecar], "containers": [{"name": "app", "image": IMAGE}], "volumes": [volume]}
    api.create("pods", {"metadata": {"name": "waits"}, "spec": spec}, plugin.namespace)
    code, found = check(plugin)
    assert code == 1
    assert about(found["pod-not-running"]) == ["waits"]
    assert about(found["secret"]) == ["leasehold-etcd-client"]
    secret = {"metadata": {"name": "leasehold-etcd-client"}, "data": {}}
    api.create("secrets", secret, plugin.namespace)
    assert "secret" not in check(plugin)[1]


def _noted(lock: str) -> dict[str, Any]:
    return {"annotations": {f"{PREFIX}lock": lock}}


@pytest.mark.parametrize(
    ("made", "row", "reason"),
    [
        (None, "lock-ready", ""),
        (status_of(), "lock-held", "Seen"),
        (status_of(conditions=[condition("Ready", "False", "EtcdUnreachable")]), "lock-ready", "EtcdUnreachable"),
        (status_of(conditions=[condition("Ready", "False", "KeyCollision")]), "lock-ready", "KeyCollision"),
        (
            status_of(
                holder("a", 1),
                conditions=[
                    condition("Ready", "True", "Declared"),
                    condition("Held", "True", "Held"),
                    condition("Degraded", "True", "StoreRolledBack"),
                ],
            ),
            "lock-degraded",
            "StoreRolledBack",
        ),
    ],
)
def test_locks_in_trouble(plugin: Plugin, made: Mapping[str, Any] | None, row: str, reason: str) -> None:
    """The condition's own words, and what to do."""
    plugin.make("db", made)
    found = check(plugin, "db")[1]
    assert [name for name in found if name.startswith("lock-")] == [row]
    assert not reason or reason in found[row][0]["found"]


def test_suspended_and_missing(plugin: Plugin) -> None:
    plugin.make("db", status_of(), suspend=True)
    assert [name for name in check(plugin, "db")[1] if name.startswith("lock-")] == ["lock-suspended"]
    assert "no-lock" in check(plugin, "other")[1]


def make_operator(plugin: Plugin, account: str) -> None:
    """The Deployment of one whose pods have this account."""
    labels = {"app.kubernetes.io/name": "leasehold", "app.kubernetes.io/component": "operator"}
    made = template("operator", "")
    made["metadata"]["annotations"] = {}
    made["spec"]["serviceAccountName"] = account
    body = {"metadata": {"name": "operator", "labels": labels}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "operator"}}, "template": made}
    plugin.api.create("deployments", {**body, "spec": spec}, plugin.namespace)


def test_parts_that_are_missing(plugin: Plugin) -> None:
    """No operator; then one whose account has no rights, and which is not ready."""
    found = check(plugin)[1]
    assert found["operator"][0]["found"].startswith("no Deployment of the operator")
    make_operator(plugin, "nobody")
    found = check(plugin)[1]
    assert found["operator"][0]["found"] == "none of its 1 replicas is ready"
    assert {"the operator may not patch locks", "the operator may not patch locks/status"} <= {
        row["found"] for row in found["rights"]
    }


def test_rights_of_the_manifest_are_enough(plugin: Plugin, api: ControlPlane) -> None:
    """An account that its role is bound to lacks none."""
    install_operator(api)
    name = f"operator-of-{plugin.namespace}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": OPERATOR}
    account = {"kind": "ServiceAccount", "name": "bound", "namespace": plugin.namespace}
    api.create("clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [account]})
    make_operator(plugin, "bound")
    try:
        wait_for(lambda: "rights" not in check(plugin)[1], "the role to be in force")
    finally:
        api.delete("clusterrolebindings", name)


def test_what_cannot_be_asked_is_told(plugin: Plugin, api: ControlPlane) -> None:
    """A user without rights; a server that refuses, one that says nothing: rows with the reason, in time."""
    code, found = check(plugin, user=api.service_account("nobody", plugin.namespace))
    assert (code, {row["level"] for rows in found.values() for row in rows}) == (1, {"unknown"})
    assert {"resource", "operator", "policy", "workloads", "pods"} <= set(found)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for server, why in (("127.0.0.1:1", "connection refused"), (f"127.0.0.1:{port}", "in time")):
            config = str(api.kubeconfig(server=f"https://{server}"))
            code, found = check(plugin, "--kubeconfig", config)
            assert code == 1
            assert why in found["kubernetes"][0]["found"]


def test_list_is_live(plugin: Plugin) -> None:
    """`list -w` prints a Lock's line again once it has changed."""
    plugin.make("db", status_of())
    with running(plugin, "list", "-w") as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline().split()[:3] for _ in range(2)]
        plugin.set("db", status_of(holder("a", 5)))
        lines.append(watching.stdout.readline().split()[:3])
    assert lines == [["NAME", "HELD", "HOLDER"], ["db", "False", "-"], ["db", "True", "a"]]


def test_check_is_live(plugin: Plugin) -> None:
    """`check NAME --watch` prints all rows again once one of them differs, and not before."""
    plugin.make("db", status_of())
    with running(plugin, "check", "db", "--watch") as watching:
        assert watching.stdout is not None
        lines = iter(watching.stdout.readline, "")
        first = list(takewhile(lambda line: not line.endswith(" ok.\n"), lines))
        plugin.set("db", status_of(holder("a", 5)))
        again = list(takewhile(lambda line: not line.endswith(" ok.\n"), lines))
    assert any("/db: " in line for line in first)  # nobody holds it
    assert again
    assert not any("/db: " in line for line in again)
