"""The life of a Lock: applied, declared in etcd, held, changed, repaired, released; on real servers throughout."""

from collections.abc import Callable

import pytest

from tests.cluster import ControlPlane
from tests.operator.lock_objects import condition, declared, is_held, is_ready, lock
from tests.operator.operator_process import Operator
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Stored = Callable[[str], StoredLock]
Start = Callable[..., Operator]


@pytest.fixture
def operator(operator_factory: Start) -> Operator:
    started = operator_factory()
    started.wait_active()
    return started


def test_life_of_a_lock(
    api: ControlPlane, namespace: str, operator: Operator, stored: Stored, sidecar_factory: Callable[..., Sidecar]
) -> None:
    """A lock is declared, held, changed and released."""
    db = stored("db")
    api.apply(lock("db", leaseDurationSeconds=7), namespace=namespace)
    seen = api.wait("locks", "db", namespace, until=is_ready, what="ready")
    assert condition(seen, "Held")["status"] == "False"
    spec = declared(db)
    assert spec["leaseDurationSeconds"] == 7
    assert (spec["uid"], spec["generation"]) == (seen["metadata"]["uid"], 1)
    assert spec["cluster"] == api.wait("namespaces", "kube-system")["metadata"]["uid"]

    sidecar = sidecar_factory("db-0", lock=f"{namespace}/db", ttl=None)
    token = sidecar.wait_leading().token
    seen = api.wait("locks", "db", namespace, until=is_held, what="held")
    status = seen["status"]
    assert (status["holderIdentity"], status["fencingToken"], status["holderCount"]) == ("db-0", token, 1)
    assert db.entries()[0].create_revision == token
    assert 0 <= db.ctl.time_to_live(db.entries()[0].lease) <= 7

    api.apply(lock("db", leaseDurationSeconds=9, suspend=True), namespace=namespace)
    sidecar.wait_not_leading()
    seen = api.wait("locks", "db", namespace, until=lambda now: is_ready(now) and not is_held(now), what="vacant")
    assert declared(db)["suspend"] is True
    assert declared(db)["leaseDurationSeconds"] == 9
    assert "holderIdentity" not in seen["status"]

    api.apply(lock("db", leaseDurationSeconds=9, suspend=False), namespace=namespace)
    sidecar.wait_leading()
    api.delete("locks", "db", namespace)
    api.wait_gone("locks", "db", namespace)
    assert declared(db) == {}
    assert operator.errors() == 0


def test_drift_in_etcd_is_repaired(api: ControlPlane, namespace: str, operator: Operator, stored: Stored) -> None:
    """A spec key that was overwritten, spoilt or lost is put back."""
    db = stored("db")
    api.apply(lock("db", leaseDurationSeconds=7), namespace=namespace)
    api.wait("locks", "db", namespace, until=is_ready, what="ready")
    good = declared(db)
    db.declare(**{**good, "leaseDurationSeconds": 11})
    wait_for(lambda: declared(db) == good, "the overwritten key to be put back", PATIENCE)
    db.write_spec("not JSON at all")
    wait_for(lambda: declared(db) == good, "the spoilt key to be put back", PATIENCE)
    db.ctl.delete(db.keys.spec)
    wait_for(lambda: declared(db) == good, "the lost key to be put back", PATIENCE)
    assert operator.errors() == 0


def test_edited_status_is_restored(api: ControlPlane, namespace: str, operator: Operator) -> None:
    """A status that somebody edited is restored."""
    api.apply(lock("db"), namespace=namespace)
    before = api.wait("locks", "db", namespace, until=is_ready, what="ready")["status"]
    api.patch("locks", "db", {"status": {"holderIdentity": "me", "holderCount": 3}}, namespace, subresource="status")
    api.wait("locks", "db", namespace, until=lambda now: now["status"] == before, what="as before")
    assert operator.errors() == 0


def test_orphan_is_swept_at_the_start(
    api: ControlPlane, namespace: str, operator_factory: Start, stored: Stored
) -> None:
    """A Lock that went while no operator ran, its finalizer taken off by hand."""
    first = operator_factory("first")
    first.wait_active()
    for name in ("db", "kept"):
        api.apply(lock(name), namespace=namespace)
        api.wait("locks", name, namespace, until=is_ready, what="ready")
    first.kill()
    api.patch("locks", "db", {"metadata": {"finalizers": None}}, namespace)
    api.delete("locks", "db", namespace)
    kept = declared(stored("kept"))
    second = operator_factory("second")
    wait_for(lambda: declared(stored("db")) == {}, "the orphan to be swept", PATIENCE)
    assert declared(stored("kept")) == kept
    assert second.errors() == 0


def test_restart_writes_nothing(
    api: ControlPlane, namespace: str, operator_factory: Start, sidecar_factory: Callable[..., Sidecar]
) -> None:
    """A restart writes nothing when nothing has changed."""
    first = operator_factory("operator")
    first.wait_active()
    for name in ("db", "held"):
        api.apply(lock(name), namespace=namespace)
        api.wait("locks", name, namespace, until=is_ready, what="ready")
    sidecar_factory("held-0", lock=f"{namespace}/held", ttl=None).wait_leading()
    api.wait("locks", "held", namespace, until=is_held, what="held")
    wait_for(first.is_idle, "the operator to be idle", PATIENCE)
    versions = [one["metadata"]["resourceVersion"] for one in api.list("locks", namespace)]
    assert first.terminate() == 0
    first.start()
    first.wait_active()
    wait_for(lambda: first.metric("locks") >= 2 and first.is_idle(), "the operator to have seen all", PATIENCE)
    assert [one["metadata"]["resourceVersion"] for one in api.list("locks", namespace)] == versions
    assert (first.api_writes(), first.etcd_writes()) == (0, 0)
