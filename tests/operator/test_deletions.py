"""A Lock is deleted while it is held: by its policy the holder hands over first, or goes on as if nothing had been."""

import json
from collections.abc import Iterator

from leasehold.lock.record import Record
from tests.operator.scene import Scene
from tests.operator.seen import condition, declared
from tests.servers import wait_for
from tests.support.sidecars import PATIENCE


def history(scene: Scene, since: int) -> Iterator[tuple[str, str, str]]:
    """What etcd recorded of the Lock from that revision on: PUT or DELETE, the key's last part, and its value."""
    keys = scene.stored("db").keys
    prefix = keys.spec.removesuffix("spec")
    with scene.stored("db").ctl.process("watch", "--prefix", prefix, f"--rev={since}") as watch:
        while True:
            kind, key, value = (watch.read_line(PATIENCE) for _ in range(3))
            yield kind, key.removeprefix(prefix), value


def stubborn(scene: Scene, identity: str = "stubborn") -> int:
    """A candidate of ours whose sidecar never does what it is asked; its token."""
    db = scene.stored("db")
    db.stranger(Record(identity, incarnation="one").encode().decode())
    return db.entry_of(identity).create_revision


def test_a_held_lock_is_released_before_its_key_goes(scene: Scene) -> None:
    """The holder hands over at once, whatever its lease; nobody follows it; and only then the spec key is deleted."""
    scene.declare()
    a, b = scene.sidecar("a"), scene.sidecar("b")
    token = a.wait_leading().token
    scene.wait_held("a")
    since = scene.stored("db").ctl.revision() + 1
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    steps = []
    for kind, key, value in history(scene, since):
        steps.append((kind, key.partition("/")[0]))
        if kind == "PUT" and key == "spec":
            written = json.loads(value)
            assert (written["suspend"], written["deleting"]) == (True, True)
        if (kind, key) == ("DELETE", "spec"):
            break
    assert steps[0] == ("PUT", "spec")
    assert ("DELETE", "queue") in steps[:-1]
    wait_for(lambda: a.is_leading() or b.is_leading(), "the lock to go on undeclared, by its plain name", PATIENCE)
    assert max(a.ask().token, b.ask().token) > token


def test_a_release_waits_one_lease_duration_at_most(scene: Scene) -> None:
    """A holder that does not hand over cannot keep a Lock from going; its own key is not touched."""
    scene.declare(leaseDurationSeconds=5)
    token = stubborn(scene)
    scene.wait_held("stubborn")
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    db = scene.stored("db")
    assert declared(db) == {}
    assert [one.create_revision for one in db.entries()] == [token]


def test_a_release_that_takes_too_long_can_be_cut_short(scene: Scene) -> None:
    """The annotation lets the Lock go; what it leaves in etcd says that nobody may hold, and goes as an orphan does."""
    scene.declare()
    stubborn(scene)
    scene.wait_held("stubborn")
    scene.api.delete("locks", "db", scene.namespace)
    seen = scene.wait(lambda now: condition(now, "Ready")["reason"] == "Deleting", "said to be released")
    assert condition(seen, "Ready")["status"] == "False"
    scene.api.patch(
        "locks", "db", {"metadata": {"annotations": {"leasehold.dev/force-delete": "true"}}}, scene.namespace
    )
    scene.api.wait_gone("locks", "db", scene.namespace)
    assert declared(scene.stored("db"))["deleting"] is True
    scene.stored("db").ctl.delete(scene.stored("db").entry_of("stubborn").key)
    wait_for(lambda: declared(scene.stored("db")) == {}, "its spec key to be swept", PATIENCE)


def test_an_orphaned_lock_goes_on_and_is_adopted(scene: Scene) -> None:
    """With `deletionPolicy: Orphan` the key stays, also over a restart of the operator, and the holder notices nothing.

    A Lock that is created anew takes it up as it stands.
    """
    old = scene.declare(deletionPolicy="Orphan")["metadata"]["uid"]
    a = scene.sidecar("a")
    token = a.wait_leading().token
    scene.wait_held("a")
    scene.api.delete("locks", "db", scene.namespace)
    scene.api.wait_gone("locks", "db", scene.namespace)
    left = declared(scene.stored("db"))
    assert left["leaseDurationSeconds"] == 3600
    assert not {"uid", "cluster", "suspend", "deleting"} & left.keys()
    scene.operator.kill()
    scene.operator.start()
    scene.operator.wait_active()
    scene.declare("other")
    scene.wait_idle()
    assert declared(scene.stored("db")) == left
    assert a.ask().token == token

    new = scene.declare(leaseDurationSeconds=77)["metadata"]["uid"]
    assert new != old
    scene.wait_spec(uid=new, leaseDurationSeconds=77)
    assert scene.wait_held("a")["status"]["fencingToken"] == a.wait_leading().token == token
