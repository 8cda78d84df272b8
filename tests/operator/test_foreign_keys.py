"""Keys in etcd that are not this operator's: another cluster's spec key, its own lock, candidates that are not ours."""

from collections.abc import Iterator

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.operator.installed import OPERATOR, OPERATOR_NAMESPACE
from tests.operator.own_etcd import OwnEtcd
from tests.operator.seen import condition, declared, is_ready, lock
from tests.servers import KeyValue, wait_for
from tests.support.sidecars import PATIENCE

OTHER_CLUSTER = "6f1c0b52-7d0e-4c5e-9f0a-2b8a6f3d9c11"


@pytest.fixture(autouse=True)
def no_bug(own: OwnEtcd) -> Iterator[None]:
    """Whatever is found in etcd, no look at a Lock fails by it."""
    yield
    assert own.operator.errors() == 0


def spec_key(own: OwnEtcd, name: str) -> KeyValue | None:
    return own.etcd.ctl.get(own.stored(name).keys.spec)


def test_a_lock_that_another_cluster_declared_is_left_to_it(own: OwnEtcd) -> None:
    """Refused with a reason, a sentence and an event; once the key is gone, the Lock is served."""
    db = own.stored("db")
    db.declare(cluster=OTHER_CLUSTER, uid="their-uid", generation=3, leaseDurationSeconds=33)
    theirs = spec_key(own, "db")
    own.api.apply(lock("db", leaseDurationSeconds=7), namespace=own.namespace)
    seen = own.wait(lambda now: condition(now, "Ready")["reason"] == "KeyCollision", "refused")
    assert condition(seen, "Ready")["status"] == "False"
    assert "another cluster" in condition(seen, "Ready")["message"]
    assert condition(seen, "Held")["status"] == "Unknown"
    own.wait_event("KeyCollision")

    own.change(suspend=True)
    own.wait(lambda now: now["status"]["observedGeneration"] == 2, "seen as changed")
    own.declare("other")  # all others are served as ever
    own.api.delete("locks", "db", own.namespace)
    own.api.wait_gone("locks", "db", own.namespace)
    own.declare("another")
    assert spec_key(own, "db") == theirs

    own.api.apply(lock("db", leaseDurationSeconds=7), namespace=own.namespace)
    own.wait(lambda now: condition(now, "Ready")["reason"] == "KeyCollision", "refused again")
    db.ctl.delete(db.keys.spec)
    own.wait_ready()
    own.wait_spec(leaseDurationSeconds=7, uid=own.wait_ready()["metadata"]["uid"])


def test_a_lock_whose_key_another_cluster_takes_over_is_not_fought_for(own: OwnEtcd) -> None:
    own.declare()
    db = own.stored("db")
    db.declare(**{**declared(db), "cluster": OTHER_CLUSTER})
    theirs = spec_key(own, "db")
    own.wait(lambda now: condition(now, "Ready")["reason"] == "KeyCollision", "refused")
    own.declare("other")
    own.wait_idle()
    assert spec_key(own, "db") == theirs


def test_the_lock_of_the_operator_itself_cannot_be_declared(own: OwnEtcd) -> None:
    """A Lock of that name, say with `suspend`, would take the operator from itself."""
    own.api.apply(lock(OPERATOR, suspend=True), namespace=OPERATOR_NAMESPACE)
    try:
        seen = own.api.wait(
            "locks",
            OPERATOR,
            OPERATOR_NAMESPACE,
            until=lambda now: condition(now, "Ready")["reason"] == "KeyCollision",
            what="refused",
        )
        assert "replicas" in condition(seen, "Ready")["message"]
        own.declare()
        assert own.etcd.ctl.get(Keys(LockName(OPERATOR_NAMESPACE, OPERATOR), own.root).spec) is None
        assert own.operator.is_active()
    finally:
        own.api.delete("locks", OPERATOR, OPERATOR_NAMESPACE)
        own.api.wait_gone("locks", OPERATOR, OPERATOR_NAMESPACE)


def hostile_records(queue: str) -> Iterator[tuple[str | bytes, bytes]]:
    """Candidates without a lease, as anybody may put them into a queue: their keys and their values."""
    for n, value in enumerate((b"", b"\xff\xfe\x00\x80", "\u202e\x1b[31m\r\nred".encode(), b"x" * 200_000, b"{}")):
        yield f"{queue}odd-{n}", value
    yield f"{queue}json", b'{"identity": 7, "incarnation": [], "podUID": {"a": null}}'
    yield f"{queue}deep/er/key", b"[" * 10_000
    yield queue, b"no name at all"
    yield f"{queue}\ufffd\ufffd", b"the name that it is shown by"
    for n in range(40):
        yield f"{queue}{n:x}", b"stranger %d" % n
    yield queue.encode() + b"\xff\xfe", b"a name that is no text, and the one that the next sidecar watches"


def test_a_queue_full_of_foreign_records(own: OwnEtcd) -> None:
    """Told with a reason, a sentence and an event; nobody's key is touched, until they are all revoked."""
    own.declare(capacity=40)
    own.declare("other")
    db = own.stored("db")
    with own.etcd.ctl.process("elect", db.keys.prefix, "elected") as elect:
        assert elect.read_line(PATIENCE)
        own.wait_held("elected")
        own.put(*hostile_records(db.keys.queue))
        a = own.sidecar("a")
        everybody = 1 + len(list(hostile_records("")))
        seen = own.wait(lambda now: now["status"]["waiterCount"] == everybody + 1 - 40, "full")
        status = seen["status"]
        assert status["holderCount"] == 40
        assert status["holderIdentity"] == "elected"
        assert [one["leaseID"] for one in status["holders"]][1:] == ["0"]  # those without a lease are shown as one
        degraded = condition(seen, "Degraded")
        assert (degraded["status"], degraded["reason"]) == ("True", "ForeignHolder")
        assert "not of Leasehold" in degraded["message"]
        own.wait_event("ForeignHolder")

        own.change(capacity=1, suspend=True)  # nobody of them obeys
        own.wait(lambda now: is_ready(now) and now["status"]["holderCount"] == 1, "held by one")
        sidecar = own.sidecar("b", "other")
        sidecar.wait_leading()
        own.wait_held("b", name="other")
        last = db.entries()[-2].create_revision  # the youngest is the sidecar's
        assert own.operator.metric("etcd_writes_total", kind="evict") == 0
        own.change(suspend=False, revokeUpToToken=last)
        a.wait_leading()
    own.wait_held("a")
    own.wait_degraded("AsExpected")
    own.wait_event("HolderRevoked")
    wait_for(lambda: len(db.entries()) == 1, "nobody else to be left", PATIENCE)
    assert own.operator.metric("etcd_writes_total", kind="evict") == everybody
