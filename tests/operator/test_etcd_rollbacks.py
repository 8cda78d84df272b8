"""etcd loses its data under a running operator: what was declared is declared again, and old tokens hit nobody new."""

import pytest

from tests.cluster import ApiError
from tests.cluster.objects import Object
from tests.operator.lock_objects import condition, is_held
from tests.operator.operator_on_own_etcd import OwnEtcd
from tests.operator.operator_scene import AN_HOUR
from tests.support.sidecars import wait_leader


def change(own: OwnEtcd, field: str, token: int) -> None:
    own.api.patch("locks", "db", {"spec": {field: token}}, own.namespace)


def lowered(own: OwnEtcd, before: Object, field: str) -> None:
    """Lower a token of before, which the API server allows just now; then the Lock is as any other."""
    change(own, field, 0)
    seen = own.wait_degraded("AsExpected")
    assert condition(seen, "Degraded")["status"] == "False"
    assert seen["metadata"]["uid"] == before["metadata"]["uid"]
    own.wait_ready()
    assert own.operator.errors() == 0


def only_grows(own: OwnEtcd, field: str, token: int) -> None:
    """The API server refuses to lower the token, now that nothing is the matter."""
    with pytest.raises(ApiError, match="only grows"):
        change(own, field, token - 1)


def test_a_wiped_etcd(own: OwnEtcd) -> None:
    """Every Lock is declared again; `handoverUpToToken` of before is ignored until it is lowered, and then works."""
    before, other = own.declare(), own.declare("other")
    own.age()
    a = own.sidecar("a")
    token = a.wait_leading().token
    b = own.sidecar("b")
    own.change(handoverUpToToken=token)
    b.wait_leading()
    own.wait_held("b")

    own.etcd.kill()
    own.etcd.wipe()
    own.etcd.start()
    own.wait_degraded("StoreRolledBack")
    own.wait_event("StoreRolledBack")
    for name, seen in {"db": before, "other": other}.items():
        own.wait_spec(name, uid=seen["metadata"]["uid"], handoverUpToToken=None)
        own.wait_ready(name)
    own.wait_degraded("NobodyQueued", "other")
    seen = own.wait(lambda now: is_held(now) and now["status"]["fencingToken"] < token, "held anew")
    assert condition(seen, "Degraded")["reason"] == "StoreRolledBack"
    fresh = seen["status"]["fencingToken"]
    assert wait_leader([a, b]).ask().token == fresh

    lowered(own, before, "handoverUpToToken")
    assert wait_leader([a, b]).ask().token == fresh
    own.change(handoverUpToToken=fresh)
    own.wait(lambda now: is_held(now) and now["status"]["fencingToken"] > fresh, "handed over")
    only_grows(own, "handoverUpToToken", fresh)
    assert own.operator.errors() == 0


def test_an_etcd_restored_from_a_backup(own: OwnEtcd) -> None:
    """What was declared and changed since the backup is declared again; `revokeUpToToken` of since is ignored.

    The operator is started after all that, and so knows what was before from the statuses alone.
    """
    before = own.declare()
    own.etcd.stop()
    backup = own.etcd.save_data()
    own.etcd.start()
    own.age()
    later = own.declare("later")
    a = own.sidecar("a")
    token = a.wait_leading().token
    own.wait_held("a")
    own.change(revokeUpToToken=token, leaseDurationSeconds=AN_HOUR - 1)
    own.wait_event("HolderRevoked")
    own.wait(lambda seen: is_held(seen) and seen["status"]["fencingToken"] > token, "held again")

    own.operator.kill()
    own.etcd.kill()
    own.etcd.restore_data(backup)
    own.etcd.start()
    own.operator.start()
    own.wait_degraded("StoreRolledBack")
    own.wait_spec(uid=before["metadata"]["uid"], leaseDurationSeconds=AN_HOUR - 1)
    own.wait_spec("later", uid=later["metadata"]["uid"])
    seen = own.wait(lambda now: is_held(now) and now["status"]["fencingToken"] < token, "held anew")
    fresh = seen["status"]["fencingToken"]
    assert condition(seen, "Degraded")["reason"] == "StoreRolledBack"

    lowered(own, before, "revokeUpToToken")
    assert own.operator.metric("etcd_writes_total", kind="evict") == 0
    assert a.wait_leading().token == fresh
    own.change(revokeUpToToken=fresh)
    own.wait(lambda now: is_held(now) and now["status"]["fencingToken"] > fresh, "revoked and held again")
    assert own.operator.metric("etcd_writes_total", kind="evict") == 1
    only_grows(own, "revokeUpToToken", fresh)
    assert own.operator.errors() == 0
