"""The API server goes away, freezes, forgets and refuses under a running operator: no Lock is lost sight of."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from leasehold.lock.kube_names import CANARY
from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.conftest import operator_user
from tests.operator.faulty_scene import CHURNED, Faulty
from tests.operator.lock_objects import condition, declared, is_held
from tests.operator.operator_manifest import OPERATOR_NAMESPACE
from tests.operator.operator_process import Operator
from tests.servers import EtcdServer, Toxiproxy, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import stored_lock

OUTAGE = 120.0
"""Seconds."""
NEVER = ["--compare-every", "86400"]
"""The full comparison that is due now and then must not be what heals."""


@pytest.fixture(scope="module")
def harmed() -> Iterator[ControlPlane]:
    """A control plane that these tests harm, one after the other, and mend again."""
    with ControlPlane(name="harmed", controllers=False) as plane:
        plane.create("namespaces", {"metadata": {"name": OPERATOR_NAMESPACE}})
        plane.create("serviceaccounts", {"metadata": {"name": "default"}}, OPERATOR_NAMESPACE)
        yield plane


@pytest.fixture
def faulty(
    harmed: ControlPlane,
    etcd: EtcdServer,
    root: str,
    toxiproxy: Toxiproxy,
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
) -> Iterator[Faulty]:
    namespace = harmed.make_namespace()
    line = toxiproxy.proxy(harmed.port)
    config = harmed.kubeconfig(operator_user(harmed), server=f"https://127.0.0.1:{line.port}")
    operator = operator_factory(control_plane=harmed, kubeconfig=config, flags=NEVER)
    operator.wait_active()

    stored = partial(stored_lock, etcd.ctl, root, namespace)
    scene = Faulty(harmed, namespace, operator, stored, sidecar_factory)
    scene.line = line
    yield scene
    operator.kill()
    harmed.remove_namespace(namespace)


def test_two_minutes_without_an_api_server(faulty: Faulty) -> None:
    """All in one outage: what goes on, what is still repaired, and what is caught up with when it is over.

    The Locks are changed, created and deleted before the operator reaches the new API server, so that no watch of its
    tells of it.
    """
    operator, api = faulty.operator, faulty.api
    for name in ("held", "vacant", *CHURNED):
        faulty.declare(name)
    holder = faulty.sidecar("held-0", "held")
    token = holder.wait_leading().token
    faulty.wait_held("held-0", name="held")
    good = faulty.spec("vacant")
    started = operator.pid

    api.apiserver.kill()
    began = time.monotonic()
    faulty.stored("vacant").write_spec("not JSON at all")
    wait_for(lambda: declared(faulty.stored("vacant")) == good, "drift to be repaired without an API server", PATIENCE)
    faulty.stored("held").ctl.delete(faulty.stored("held").keys.spec)
    wait_for(lambda: faulty.spec("held"), "a lost key to be put back", PATIENCE)
    next_holder = faulty.sidecar("vacant-0", "vacant")
    next_token = next_holder.wait_leading().token
    holder.terminate()
    wait_for(lambda: time.monotonic() > began + OUTAGE, "two minutes to pass", OUTAGE + 60)
    assert (operator.pid, operator.is_live(), operator.is_active()) == (started, True, True)
    assert next_holder.is_leading()
    assert all(faulty.spec(name) for name in ("held", "vacant", *CHURNED))  # nothing was taken for an orphan

    faulty.line.cut()
    api.apiserver.start()
    faulty.churn()
    faulty.line.heal()
    faulty.wait_churned()
    seen = faulty.wait_held("vacant-0", name="vacant")
    assert seen["status"]["fencingToken"] == next_token
    seen = faulty.wait(lambda now: not is_held(now), "vacant again", "held")
    assert seen["status"]["fencingToken"] == token
    assert next_holder.ask().token == next_token
    assert (operator.pid, operator.is_live(), operator.is_ready()) == (started, True, True)
    assert operator.errors() == 0


def test_api_server_killed(faulty: Faulty) -> None:
    """An API server that is killed and started again costs no Lock and no change."""
    for name in CHURNED:
        faulty.declare(name)
    faulty.api.apiserver.kill()
    faulty.api.apiserver.start()
    faulty.churn()
    faulty.wait_churned()
    assert faulty.operator.errors() == 0


def test_an_api_server_that_freezes(faulty: Faulty) -> None:
    """Calls that are never answered in time are made again; etcd is served meanwhile."""
    faulty.check_outage(faulty.api.apiserver.pause, faulty.api.apiserver.resume)


def test_api_server_without_its_etcd(faulty: Faulty) -> None:
    """It is there, and answers every write with an error; the operator's etcd is another, and is served meanwhile."""

    def mend() -> None:
        faulty.api.etcd.start()
        faulty.api.apiserver.wait_ready()

    faulty.check_outage(faulty.api.etcd.kill, mend)


def test_compaction_under_a_broken_watch(faulty: Faulty) -> None:
    """The watch cannot be resumed (410); the list that replaces it says nothing of a Lock that is gone."""
    for name in CHURNED:
        faulty.declare(name)
    faulty.line.cut()
    faulty.churn()
    faulty.api.compact()
    faulty.api.apiserver.restart()
    faulty.line.heal()
    faulty.wait_churned()
    assert faulty.operator.errors() == 0


def test_compaction_while_it_is_down(faulty: Faulty) -> None:
    """History that is compacted while the operator is down is made up for by its first list."""
    for name in (*CHURNED, "edited"):
        faulty.declare(name)
    before = faulty.wait_ready("edited")["status"]
    faulty.operator.kill()
    faulty.churn()
    _edit_status(faulty, "edited")
    faulty.api.patch("locks", "changed", {"metadata": {"finalizers": None}}, faulty.namespace)
    faulty.api.compact()
    faulty.api.apiserver.restart()
    faulty.operator.start()
    faulty.wait_churned()
    faulty.wait(lambda seen: seen["status"] == before, "as before", "edited")
    faulty.wait(lambda seen: seen["metadata"].get("finalizers"), "under its finalizer again", "changed")
    assert faulty.operator.errors() == 0


def _edit_status(faulty: Faulty, name: str) -> None:
    status = {"holderIdentity": "me", "holderCount": 3, "key": None}
    faulty.api.patch("locks", name, {"status": status}, faulty.namespace, subresource="status")


OLD_BACKUP, BUMPED = "old backup", "bumped"
BUMP = ["--bump-revision=1000000000", "--mark-compacted"]


@pytest.mark.parametrize("restore", [OLD_BACKUP, BUMPED])
def test_an_api_server_restored_from_a_backup(faulty: Faulty, restore: str) -> None:
    """What it showed after the backup no longer counts: the Locks are declared as they stand in it.

    The operator would take them for old news, for their versions are lower than those it has seen. So it ends, and is
    started again, here by the test. It notices by its canary; if the revision is bumped, all is listed again at once.
    """
    operator, api = faulty.operator, faulty.api
    for name in ("changed", "gone"):
        faulty.declare(name, leaseDurationSeconds=7)
    backup = api.etcd.save_snapshot()
    faulty.change("changed", leaseDurationSeconds=9)
    faulty.wait_spec("changed", leaseDurationSeconds=9)
    faulty.remove_for_good("gone")
    faulty.wait_undeclared("gone")
    faulty.declare("late")
    if restore == OLD_BACKUP:
        _write_more_than_a_start(faulty)

    api.apiserver.kill()
    api.etcd.kill()
    api.etcd.restore_snapshot(backup, *(BUMP if restore == BUMPED else ()))
    api.etcd.start()
    api.apiserver.start()
    wait_for(lambda: not operator.running, "the operator to end", PATIENCE)
    assert "the API server was restored from a backup" in operator.log_tail()
    operator.start()
    for name in ("changed", "gone"):
        faulty.wait_spec(name, leaseDurationSeconds=7)
        faulty.wait_ready(name)
    faulty.wait_undeclared("late")
    faulty.change("changed", leaseDurationSeconds=8)
    faulty.wait_spec("changed", leaseDurationSeconds=8)


def _write_more_than_a_start(faulty: Faulty) -> None:
    """Else the versions have caught up before the first canary: an API server writes some hundred objects itself."""
    for number in range(500):
        faulty.change("late", leaseDurationSeconds=7 + number % 2)
    newest = int(faulty.change("late", leaseDurationSeconds=9)["metadata"]["resourceVersion"])
    wait_for(lambda: _version_of_canary(faulty.api) > newest, "the next canary", PATIENCE)


def _version_of_canary(api: ControlPlane) -> int:
    canary = api.get("locks", CANARY, OPERATOR_NAMESPACE)
    return int(canary["metadata"]["resourceVersion"]) if canary else 0


def test_line_that_keeps_breaking(faulty: Faulty) -> None:
    """Connections that are reset while calls are under way: what became of them is not known, and done all the same."""
    names = [f"lock-{number}" for number in range(10)]
    for name in names:
        faulty.declare(name)
    for seconds in (6, 7, 8):
        faulty.line.reset_peer()
        for name in names:
            faulty.change(name, leaseDurationSeconds=seconds)
        wait_for(lambda: faulty.operator.metric("queue_length") == 0, "the Locks to have been looked at", PATIENCE)
        faulty.line.heal()
    for name in names:
        faulty.wait_spec(name, leaseDurationSeconds=8)
        faulty.wait_ready(name)
    assert faulty.operator.errors() == 0


def test_crd_deleted_and_made_again(faulty: Faulty) -> None:
    """Its Locks went with it: their spec keys go, the operator goes on, and serves those that are made then."""
    for name in ("db", "old"):
        faulty.declare(name)
    first = faulty.wait_ready()["metadata"]["uid"]
    faulty.api.delete("customresourcedefinitions", "locks.leasehold.dev")
    wait_for(lambda: not _crd(faulty.api), "the CRD to be gone", PATIENCE)
    for name in ("db", "old"):
        faulty.wait_undeclared(name)
    faulty.api.install_crd()
    second = faulty.declare()["metadata"]["uid"]
    assert second != first
    faulty.wait_spec(uid=second)
    assert condition(faulty.wait_ready(), "Degraded")["status"] == "False"
    assert faulty.operator.is_live()
    assert faulty.operator.errors() == 0


def _crd(api: ControlPlane) -> Object | None:
    return api.get("customresourcedefinitions", "locks.leasehold.dev")


def test_finalizer_is_put_back(faulty: Faulty) -> None:
    """A finalizer that was taken off by hand is put back."""
    faulty.declare()
    faulty.api.patch("locks", "db", {"metadata": {"finalizers": None}}, faulty.namespace)
    faulty.wait(lambda seen: seen["metadata"].get("finalizers") == ["leasehold.dev/release"], "under it again")
    faulty.api.delete("locks", "db", faulty.namespace)
    faulty.api.wait_gone("locks", "db", faulty.namespace)
    faulty.wait_undeclared("db")
    assert faulty.operator.errors() == 0
