"""Running sidecars follow a Lock, field by field, and its status and events tell what came of it; all servers real.

The leases last an hour, so that whatever happens was not a lease's doing.
"""

import threading
import time

import pytest

from tests.cluster import ApiError
from tests.operator.lock_objects import condition, is_held, is_ready, lock
from tests.operator.operator_scene import AN_HOUR, Scene, holders, most_at_once, tokens
from tests.servers import wait_for
from tests.support.exclusion_checker import Witness
from tests.support.sidecars import PATIENCE
from tests.support.stored_lock import StoredLock

LEASE_SECONDS = 15
"""Long enough for the operator to say that it holds a capacity back, before that is over."""


def granted(stored: StoredLock, identity: str) -> int:
    """The TTL that a candidate's lease was granted with."""
    lease = stored.entry_of(identity).lease
    return int(stored.ctl.json("lease", "timetolive", f"{lease:x}")["granted-ttl"])


def test_changed_lease_duration(scene: Scene) -> None:
    """Whoever stands in the queue keeps the lease that was granted, and the lock."""
    scene.declare()
    a = scene.sidecar("a")
    token = a.wait_leading().token
    scene.change(leaseDurationSeconds=77)
    scene.wait_ready()
    scene.sidecar("b")
    db = scene.stored("db")
    assert [granted(db, one) for one in "ab"] == [AN_HOUR, 77]
    assert a.ask().token == token
    a.post("/handover")
    wait_for(lambda: db.identities() == ["b", "a"], "a to queue again", PATIENCE)
    assert granted(db, "a") == 77


def test_capacity_down_and_up_again(scene: Scene) -> None:
    """Lowered under three holders, the younger two hand over; raised at once, it takes effect a lease duration later.

    Until then the status says so, and nobody joins the eldest; at no instant do more hold than were allowed.
    """
    scene.declare(capacity=3, leaseDurationSeconds=LEASE_SECONDS)
    a, b, c = everyone = [scene.sidecar(name) for name in "abc"]
    old = [one.wait_leading().token for one in everyone]
    assert tokens(scene.wait_held("a", "b", "c")) == old
    with Witness(everyone) as witness:
        wait_for(lambda: most_at_once(witness) == 3, "answers of all three that hold at one instant", PATIENCE)
        lowered = time.monotonic()
        scene.change(capacity=1)
        for one in (b, c):
            one.wait_not_leading()
        scene.wait_held("a")
        quiet = time.monotonic()
        scene.change(capacity=2)
        seen = scene.wait(lambda now: condition(now, "Ready")["reason"] == "CapacityHeldBack", "held back")
        assert holders(seen) == ["a"]
        scene.wait_spec(capacity=2)
        raised = time.monotonic()
        wait_for(lambda: b.is_leading() or c.is_leading(), "a second holder", PATIENCE)
    assert raised - lowered >= LEASE_SECONDS
    assert most_at_once(witness) == 3
    early = {
        said.name
        for said in witness.said
        if quiet < said.answer.sent and said.answer.received < lowered + LEASE_SECONDS
    }
    assert early == {"a"}
    assert a.ask().token == old[0]
    scene.wait_ready()
    scene.wait(lambda now: now["status"]["holderCount"] == 2, "held by two")
    acquired = [("LockAcquired", entry.create_revision) for entry in scene.stored("db").entries()[:2]]
    left = [(reason, token) for token in old[1:] for reason in ("LockAcquired", "LockReleased")]
    scene.wait_told(*acquired, *left)


def test_suspension(scene: Scene) -> None:
    """Nobody holds, all stay in the queue; resumed, the next one holds."""
    scene.declare()
    a = scene.sidecar("a")
    first = a.wait_leading().token
    b = scene.sidecar("b")
    with Witness([a, b]) as witness:
        scene.change(suspend=True)
        a.wait_not_leading()
        seen = scene.wait(lambda now: now["status"].get("waiterCount") == 2 and not is_held(now), "suspended")
        assert condition(seen, "Held")["reason"] == "Suspended"
        assert seen["status"]["fencingToken"] == first
        scene.change(suspend=False)
        second = b.wait_leading().token
        scene.wait_held("b")
    assert witness.contradictions() == []
    told = ("Suspended", 0), ("Resumed", 0)
    scene.wait_told(("LockAcquired", first), ("LockReleased", first), ("LockAcquired", second), *told)


def test_preferred_holder_is_changed(scene: Scene) -> None:
    """The one who is named holds, past whoever stands between; each change is one handover in the events."""
    scene.declare()
    a, b, c = everyone = [scene.sidecar(name) for name in "abc"]
    first = a.wait_leading().token
    scene.wait_held("a")
    with Witness(everyone) as witness:
        scene.change(preferredHolder="c")
        second = c.wait_leading().token
        scene.wait_held("c")
        wait_for(lambda: len(scene.stored("db").entries()) == 3, "the others to queue again", PATIENCE)
        assert "b" not in {said.name for said in witness.said}
        scene.change(preferredHolder="b")
        third = b.wait_leading().token
        scene.wait_held("b")
        scene.change(preferredHolder="")
        scene.wait_spec(preferredHolder=None)
    assert witness.contradictions() == []
    assert b.ask().token == third
    changes = [("HandedOver", first), ("LockAcquired", second), ("HandedOver", second), ("LockAcquired", third)]
    scene.wait_told(("LockAcquired", first), *changes)


def test_handover_by_token(scene: Scene) -> None:
    """The holder with that token hands over, once; nobody else does, and the token cannot be taken back."""
    scene.declare()
    a, b = both = [scene.sidecar(name) for name in "ab"]
    first = a.wait_leading().token
    scene.wait_held("a")
    with Witness(both) as witness:
        scene.change(handoverUpToToken=first)
        second = b.wait_leading().token
        scene.wait_held("b")
        a.wait_queued(1)
    assert witness.contradictions() == []
    with pytest.raises(ApiError, match="only grows"):
        scene.change(handoverUpToToken=first - 1)
    assert b.ask().token == second > first
    scene.wait_told(("LockAcquired", first), ("HandedOver", first), ("LockAcquired", second))


def test_a_frozen_holder_is_revoked(scene: Scene) -> None:
    """Its key goes and the next one leads, long before its lease ends; thawed, it queues again behind."""
    scene.declare()
    a, b = [scene.sidecar(name) for name in "ab"]
    first = a.wait_leading().token
    scene.wait_held("a")
    a.pause()
    scene.change(revokeUpToToken=first)
    second = b.wait_leading().token
    assert tokens(scene.wait_held("b")) == [second]
    assert first not in [entry.create_revision for entry in scene.stored("db").entries()]
    scene.wait_told(("LockAcquired", first), ("HolderRevoked", first), ("LockAcquired", second))
    a.resume()
    wait_for(lambda: scene.stored("db").identities() == ["b", "a"], "a to queue again", PATIENCE)
    assert b.ask().token == second


def test_dead_holder_and_stopped_holder(scene: Scene) -> None:
    """A lease that ended is told from a lock that was given up."""
    scene.declare()
    a = scene.sidecar("a")
    first = a.wait_leading().token
    scene.wait_held("a")
    a.kill()
    scene.end_lease("a")
    scene.wait(lambda now: not is_held(now), "vacant")
    scene.wait_told(("LockAcquired", first), ("LockExpired", first))
    b = scene.sidecar("b")
    second = b.wait_leading().token
    scene.wait_held("b")
    assert b.terminate() == 0
    scene.wait(lambda now: not is_held(now), "vacant")
    last = [("LockAcquired", second), ("LockReleased", second)]
    scene.wait_told(("LockAcquired", first), ("LockExpired", first), *last)


def test_two_holders_of_one_name(scene: Scene) -> None:
    """A StatefulSet's pod made anew while the old one's key stands: two leases, two UIDs, one identity, one status."""
    scene.declare(capacity=2, releaseWhenPodEnds=False)
    old = scene.pod("db-0")
    first = scene.sidecar("db-0", pod=old)
    scene.api.delete("pods", "db-0", scene.namespace, now=True)
    scene.api.wait_gone("pods", "db-0", scene.namespace)
    new = scene.pod("db-0")
    second = scene.sidecar("db-0", pod=new)
    found = [first.wait_leading().token, second.wait_leading().token]
    seen = scene.wait_held("db-0", "db-0")
    listed = seen["status"]["holders"]
    assert [one["podUID"] for one in listed] == [pod["metadata"]["uid"] for pod in (old, new)]
    assert [one["leaseID"] for one in listed] == [f"{entry.lease:x}" for entry in scene.stored("db").entries()]
    assert (tokens(seen), seen["status"]["holderCount"]) == (found, 2)
    assert first.terminate() == 0
    assert tokens(scene.wait_held("db-0")) == found[1:]


def test_kubectl_changes_a_running_lock(scene: Scene) -> None:
    """Each way in turn; the finalizer stays, or is put back, and the holder goes on."""
    api, namespace = scene.api, f"--namespace={scene.namespace}"

    def follows(capacity: int) -> None:
        scene.wait_spec(capacity=capacity)
        seen = scene.wait(lambda now: is_ready(now) and now["metadata"].get("finalizers"), "ready, with its finalizer")
        assert seen["metadata"]["finalizers"] == ["leasehold.dev/release"]

    api.apply(lock("db", leaseDurationSeconds=AN_HOUR, capacity=2), namespace=scene.namespace)
    scene.wait_ready()
    a = scene.sidecar("a")
    token = a.wait_leading().token
    api.apply(lock("db", leaseDurationSeconds=AN_HOUR, capacity=3), namespace=scene.namespace)
    follows(3)
    api.kubectl("patch", "lock", "db", namespace, "--type=merge", "-p", '{"spec": {"capacity": 4}}')
    follows(4)
    text = '{"apiVersion": "leasehold.dev/v1alpha1", "kind": "Lock", "metadata": {"name": "db"}, "spec": %s}'
    wanted = text % '{"leaseDurationSeconds": 3600, "capacity": 5}'
    api.kubectl("apply", "--server-side", "--force-conflicts", namespace, "-f", "-", stdin=wanted)
    follows(5)
    api.kubectl("apply", "--server-side", namespace, "-f", "-", stdin=wanted.replace("5}", "6}"))
    follows(6)
    api.kubectl("replace", namespace, "-f", "-", stdin=wanted.replace("5}", "7}"))  # it names no finalizer
    follows(7)
    assert a.ask().token == token


def test_two_writers_at_once(scene: Scene) -> None:
    """However they interleave, what etcd holds in the end is what the resource says in the end."""
    scene.declare()
    a = scene.sidecar("a")
    a.wait_leading()

    def write(field: str, values: range) -> None:
        for value in values:
            scene.api.patch("locks", "db", {"spec": {field: value}}, scene.namespace)

    writers = [
        threading.Thread(target=write, args=("leaseDurationSeconds", range(100, 140))),
        threading.Thread(target=write, args=("capacity", range(2, 42))),
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seen = scene.wait_ready()
    assert seen["metadata"]["generation"] == 81
    scene.wait_spec(leaseDurationSeconds=139, capacity=41, generation=81)
    assert holders(scene.wait_held("a")) == ["a"]
