"""An operator that has nothing to do does nothing, whatever odd things stand about."""

import json
from collections.abc import Callable

from tests.cluster import ControlPlane
from tests.operator.lock_objects import declared, is_held, is_ready, lock
from tests.operator.operator_process import Operator
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE
from tests.support.stored_lock import StoredLock

Stored = Callable[[str], StoredLock]
Start = Callable[..., Operator]


def candidate(identity: str, **fields: str) -> str:
    """The record of a sidecar, as it stands in its key."""
    return json.dumps({"identity": identity, "incarnation": "1", **fields})


def test_holder_without_a_pod_is_quiet(
    api: ControlPlane, namespace: str, operator_factory: Start, stored: Stored
) -> None:
    """A pod that was force-deleted leaves its candidate behind for a lease duration; there is nobody to label then.

    The operator asked for that pod a hundred times a second.
    """
    operator = operator_factory()
    operator.wait_active()
    for name in ("db", "other"):
        api.create("locks", lock(name, podLabel=True), namespace)
    stored("db").stranger(candidate("db-0", pod="db-0", podNamespace=namespace, podUID="gone"))
    api.wait("locks", "db", namespace, until=is_held, what="held")
    for name in ("other", "db"):  # some more rounds, of any length
        api.patch("locks", name, {"spec": {"leaseDurationSeconds": 7}}, namespace)
        api.wait("locks", name, namespace, until=is_ready, what="ready")
    wait_for(operator.is_idle, "the operator to be idle", PATIENCE)
    assert operator.metric("api_writes_total", kind="label") <= 5
    assert operator.errors() == 0


def test_restart_keeps_the_preference(
    api: ControlPlane, namespace: str, operator_factory: Start, stored: Stored
) -> None:
    """Which group is preferred is unknown until all pods and their owners are; it is not taken for none meanwhile."""
    db = stored("db")
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "none"}]}}
    spec = {"serviceName": "db", "replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    api.create("statefulsets", {"metadata": {"name": "db"}, "spec": spec}, namespace)
    pod = api.wait("pods", "db-0", namespace)
    operator = operator_factory()
    operator.wait_active()
    api.create("locks", lock("db"), namespace)
    api.wait("locks", "db", namespace, until=is_ready, what="ready")
    db.stranger(candidate("db-0", pod="db-0", podNamespace=namespace, podUID=pod["metadata"]["uid"]))
    wait_for(lambda: declared(db).get("preferredGroup", ""), "a group to be preferred", PATIENCE)
    api.wait("locks", "db", namespace, until=is_held, what="held")
    wait_for(operator.is_idle, "the operator to be idle", PATIENCE)
    before = db.ctl.get(db.keys.spec)
    for _ in range(3):
        operator.kill()
        operator.start()
        operator.wait_active()
        wait_for(lambda: operator.metric("declared") >= 1 and operator.is_idle(), "the operator to be idle", PATIENCE)
        assert db.ctl.get(db.keys.spec) == before
    assert operator.errors() == 0
