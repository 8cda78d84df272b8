"""What tools that wait make of a Lock in each of its states: by kstatus, Helm and kubectl, on a real API server.

The result of each state is a row of the table in manifests/README.md.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leasehold.lock.kube_names import FINALIZER
from leasehold.operator.last_known import last_known
from leasehold.operator.plan.model import EtcdState, Memory
from leasehold.operator.plan.plan import plan
from tests.cluster import ControlPlane
from tests.cluster.helm import HelmFailed
from tests.cluster.objects import Object
from tests.operator.appliers import Target, helm, manifest
from tests.operator.kubectl_plugin import Plugin
from tests.operator.lock_objects import condition, is_ready, lock
from tests.operator.operator_on_own_etcd import OwnEtcd
from tests.operator.operator_process import Operator
from tests.operator.test_foreign_keys import OTHER_CLUSTER
from tests.servers import PATIENCE, program
from tests.support.documentation import table
from tests.unit.operator import planned
from tests.unit.operator.test_operator_readme import reasons

HEAD = "`Ready` | kstatus | a tool that waits"
LIMIT = f"--timeout={PATIENCE:g}s"
HIGH = EtcdState(True, 1000, 0.0, "")
AWAY = EtcdState(False, 1000, 0.0, "")


def kstatus(*objects: Object) -> list[dict[str, str]]:
    """Status and message of each, by the library."""
    done = subprocess.run(
        [program("gitops"), "kstatus"],
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return list(json.loads(done.stdout))


def statuses() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each reason of Ready that the operator has, and a status that its plan, or its removal, makes with it."""
    lowered = Memory(uid="u1", capacity=1, raise_from=200.0, tokens=())
    wrong = replace(planned.lock(), mistakes=("spec.capacity is 0: use a whole number from 1 to 1000",))
    situations = {
        "Declaring": planned.situation(planned.lock()),
        "Declared": planned.situation(planned.lock(), planned.declared()),
        "CapacityHeldBack": planned.situation(planned.lock(capacity=3), planned.declared(), memory=lowered),
        "InvalidSpec": planned.situation(wrong, planned.declared()),
        "KeyCollision": planned.situation(planned.lock(), planned.declared(cluster="another")),
        "EtcdUnreachable": planned.situation(planned.lock(), planned.declared(), etcd=AWAY),
        "Deleting": planned.situation(
            planned.lock(deleting=True), planned.declared(), planned.candidate(10), memory=Memory(tokens=(10,))
        ),
    }
    for reason, situation in situations.items():
        status = plan(situation).status
        assert status is not None
        yield reason, dict(status)
        if reason == "Declared":
            removed = last_known(status, "2026-01-01T00:00:00Z")
            assert removed is not None
            yield "OperatorRemoved", removed


@pytest.fixture
def states(api: ControlPlane, namespace: str) -> dict[str, Object]:
    """A Lock for each reason of Ready, as the API server has stored it."""
    found = {"Pending": api.create("locks", lock("pending"), namespace)}
    for reason, status in statuses():
        name, deleting = reason.lower(), reason == "Deleting"
        body = lock(name)
        body["metadata"]["finalizers"] = [FINALIZER] if deleting else []
        api.create("locks", body, namespace)
        found[reason] = api.patch("locks", name, {"status": status}, namespace, subresource="status")
        if deleting:
            api.delete("locks", name, namespace)
            found[reason] = api.wait("locks", name, namespace)
    return found


def test_every_state_by_kstatus(api: ControlPlane, namespace: str, states: dict[str, Object]) -> None:
    """As the table says; what is said of a Lock that isn't Current is what the Lock's condition says."""
    try:
        results = dict(zip(states, kstatus(*states.values()), strict=True))
    finally:
        api.patch("locks", "deleting", {"metadata": {"finalizers": []}}, namespace)
    told = {word: row[1] for row in table(HEAD, "manifests/README.md") for word in re.findall(r"`(\w+)`", row[0])}
    assert {reason: one["status"] for reason, one in results.items()} == told
    assert told.keys() == {reason for kind, _, reason in reasons() if kind == "Ready"}
    for reason, seen in states.items():
        assert condition(seen, "Ready")["reason"] == reason
        if told[reason] in ("InProgress", "Failed") and "observedGeneration" in seen["status"]:
            assert condition(seen, "Ready")["message"] in results[reason]["message"]


def test_a_changed_spec_is_in_progress(api: ControlPlane, namespace: str, states: dict[str, Object]) -> None:
    """Until the operator has seen it; also of a Lock that failed."""
    for reason in ("Declared", "KeyCollision"):
        changed = api.patch("locks", reason.lower(), {"spec": {"leaseDurationSeconds": 30}}, namespace)
        assert [one["status"] for one in kstatus(changed)] == ["InProgress"]
    api.patch("locks", "deleting", {"metadata": {"finalizers": []}}, namespace)


def test_locks_of_an_older_release(api: ControlPlane, namespace: str) -> None:
    """Stored without a status, and with tokens of 0: read they wait for the operator, and any token may be set."""
    api.create("locks", lock("old"), namespace)
    key = f"/registry/leasehold.dev/locks/{namespace}/old"
    stored = api.etcd.ctl.get(key)
    assert stored is not None
    body = json.loads(stored.value)
    body.pop("status", None)
    body["spec"] |= {"handoverUpToToken": 0, "revokeUpToToken": 0}
    api.etcd.ctl.put(key, json.dumps(body))
    (seen,) = api.list("locks", namespace)
    assert (condition(seen, "Ready")["status"], condition(seen, "Ready")["reason"]) == ("Unknown", "Pending")
    assert [one["status"] for one in kstatus(seen)] == ["InProgress"]
    changed = api.patch("locks", "old", {"spec": {"handoverUpToToken": 7}}, namespace)
    assert changed["spec"]["handoverUpToToken"] == 7


# --- tools -----------------------------------------------------------------------------------------------------------


def wait_words(plugin: Plugin) -> Sequence[str]:
    return plugin.command("wait", "--for=condition=Ready", "lock/db", LIMIT)


def test_helm_and_kubectl_wait_for_an_operator(
    api: ControlPlane, namespace: str, operator_factory: Callable[..., Operator], tmp_path: Path
) -> None:
    """They wait for as long as there is none, and succeed once one has declared the Lock; Helm names what lacks."""
    plugin = Plugin(api, namespace)
    target = Target(api, namespace, plugin.config(), tmp_path)
    with pytest.raises(HelmFailed, match="waiting for the operator"):
        helm("--wait", "--timeout=6s")(target, manifest(1))
    waiting = subprocess.Popen(wait_words(plugin), env=plugin.environ(), stdout=subprocess.PIPE, text=True)
    with waiting:
        assert waiting.poll() is None
        operator_factory().wait_active()
        helm("--wait", LIMIT)(target, manifest(2))
        assert waiting.communicate(timeout=PATIENCE)[0] == "lock.leasehold.dev/db condition met\n"
    assert is_ready(api.wait("locks", "db", namespace))


def test_helm_fails_at_once_on_a_collision(own: OwnEtcd, tmp_path: Path) -> None:
    """With the Lock's own sentence, and not by the time-out."""
    own.stored("db").declare(cluster=OTHER_CLUSTER, uid="their-uid")
    target = Target(own.api, own.namespace, Plugin(own.api, own.namespace).config(), tmp_path)
    with pytest.raises(HelmFailed, match="another cluster declares its keys in etcd") as failed:
        helm("--wait", "--timeout=1h")(target, manifest(1))
    assert "not done after" not in str(failed.value)
