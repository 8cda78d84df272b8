"""`kubectl leasehold handover`, `suspend`, `resume` and `revoke`, and who comes between, on a real API server.

The status is the test's: it plays the operator.
"""

import contextlib
from collections.abc import Iterator

import pexpect
import pytest

from leasehold.kubectl import change
from leasehold.kubectl.change import RefusedError
from leasehold.kubectl.cluster import Cluster
from leasehold.kubectl.errors import NotThereError
from leasehold.lock.names import LockName
from tests.operator.kubectl_plugin import Plugin, condition, ended, holder, running, status_of
from tests.servers import PATIENCE, wait_for

A, B = holder("a", 217), holder("b", 230)


# --- handover ---


def test_handover(plugin: Plugin) -> None:
    """The present holder's token is what is asked of it; asking twice changes nothing."""
    plugin.make("db", status_of(A, waiting=1))
    assert plugin.ok("handover", "db") == "lock.leasehold.dev/db a (token 217) asked to hand over\n"
    assert plugin.spec("db")["handoverUpToToken"] == 217
    assert "had already been asked" in plugin.ok("handover", "db")
    plugin.set("db", status_of(B))
    assert plugin.data("handover", "db")["spec"]["handoverUpToToken"] == 230


def test_handover_of_one_among_several(plugin: Plugin) -> None:
    plugin.make("db", status_of(A, B), capacity=2)
    assert "No holder of the Lock" in plugin.refused("handover", "db", "--up-to-token", "999")
    assert "No holder of the Lock" in plugin.refused("handover", "db", "--up-to-token", "9")
    assert "a (token 217) asked" in plugin.ok("handover", "db", "--up-to-token", "217")
    assert plugin.spec("db")["handoverUpToToken"] == 217
    assert "a (token 217), b (token 230) asked" in plugin.ok("handover", "db")
    assert plugin.spec("db")["handoverUpToToken"] == 230


def test_handover_waits_for_the_next(plugin: Plugin) -> None:
    """`handover --wait` ends when the next holder is there."""
    plugin.make("db", status_of(A, waiting=1))
    with running(plugin, "handover", "db", "--wait", "--timeout", "10m") as process:
        assert process.stderr is not None
        begun = process.stderr.readline()  # it asks for the handover before it says so
        assert "Waiting up to 10m, since a (token 217) did not hand over yet" in begun
        assert plugin.spec("db")["handoverUpToToken"] == 217
        plugin.set("db", status_of(B, generation=2))
        code, said = ended(process)
    assert code == 0
    assert "lock.leasehold.dev/db is held by b (token 230)" in said.splitlines()


def test_handover_that_does_not_happen(plugin: Plugin) -> None:
    plugin.make("db", status_of(A))
    done = plugin.run("handover", "db", "--wait", "--timeout", "500ms")
    assert done.returncode == 1
    assert "After 0.5 seconds a (token 217) did not hand over: the Lock" in done.stderr


def test_handover_to_a_preferred_one(plugin: Plugin) -> None:
    plugin.make("db", status_of(A, waiting=1))
    with running(plugin, "handover", "db", "--to", "b", "--wait", "--timeout", "10m") as process:
        wait_for(lambda: plugin.spec("db")["preferredHolder"] == "b", "the preference", PATIENCE)
        plugin.set("db", status_of(B, generation=2))
        assert ended(process)[0] == 0
    assert "b was preferred already" in plugin.ok("handover", "db", "--to", "b")
    assert "b no longer preferred" in plugin.ok("handover", "db", "--to", "")
    assert plugin.spec("db")["preferredHolder"] == ""


def test_nobody_to_hand_over(plugin: Plugin) -> None:
    """Neither a vacant lock, nor one whose holder is not known, nor tokens that a rollback made meaningless."""
    plugin.make("db", status_of())
    assert "is held by nobody" in plugin.refused("handover", "db")
    plugin.set("db", status_of(A, held="Unknown"))
    assert "has an unknown holder" in plugin.refused("revoke", "db", "--yes")
    rolled_back = [condition("Held", "True", "Seen"), condition("Degraded", "True", "StoreRolledBack")]
    plugin.set("db", status_of(A) | {"conditions": rolled_back})
    assert "etcd has lost data" in plugin.refused("handover", "db")
    assert "handoverUpToToken" not in plugin.spec("db")


# --- suspend, resume ---


def test_suspend_and_resume(plugin: Plugin) -> None:
    plugin.make("db", status_of(A))
    assert plugin.ok("suspend", "db") == "lock.leasehold.dev/db suspended\n"
    assert plugin.spec("db")["suspend"] is True
    assert plugin.ok("suspend", "db") == "lock.leasehold.dev/db suspended already\n"
    assert plugin.ok("resume", "db", "-o", "name") == "lock.leasehold.dev/db\n"
    assert plugin.spec("db")["suspend"] is False
    assert plugin.ok("resume", "db") == "lock.leasehold.dev/db not suspended\n"


# --- revoke ---


def test_revoke_says_what_it_gives_up(plugin: Plugin) -> None:
    """Without a terminal it needs --yes."""
    plugin.make("db", status_of(A), leaseDurationSeconds=20)
    assert "give --yes" in plugin.refused("revoke", "db", code=2)
    done = plugin.run("revoke", "db", "--yes")
    assert (done.returncode, done.stdout) == (0, "lock.leasehold.dev/db a (token 217) revoked\n")
    assert "Revoking deletes the key of a (token 217) in etcd" in done.stderr
    assert "up to 20 more seconds" in done.stderr
    assert plugin.spec("db")["revokeUpToToken"] == 217


def test_revoke_asks_on_a_terminal(plugin: Plugin) -> None:
    plugin.make("db", status_of(A))
    for answer, code, token in (("", 1, 0), ("n", 1, 0), ("y", 0, 217)):
        program, *words = plugin.command("leasehold", "revoke", "db")
        child = pexpect.spawn(program, words, env=plugin.environ(), timeout=PATIENCE)
        with contextlib.closing(child):
            child.expect_exact("Revoke? [y/N] ")
            child.sendline(answer)
            child.expect(pexpect.EOF)
        assert child.exitstatus == code
        assert plugin.spec("db").get("revokeUpToToken", 0) == token


# --- another writer ---


@pytest.fixture
def cluster(plugin: Plugin) -> Iterator[Cluster]:
    """The plugin's own access to the API server, in this process, so that another writer can be put in between."""
    made = Cluster(plugin.ref(), 30)
    yield made
    made.close()


def test_another_writer_loses_nothing(plugin: Plugin, cluster: Cluster) -> None:
    """Nothing that another writes meanwhile is lost, and the user is told of it."""
    plugin.make("db", status_of(A))
    seen, told = cluster.get(LockName(plugin.namespace, "db")), list[str]()
    plugin.api.patch("locks", "db", {"spec": {"capacity": 2, "suspend": True}}, plugin.namespace)
    after, _ = change.apply(cluster, seen, change.handover(change.target(seen, 0)), told.append)
    wanted = {"capacity": 2, "suspend": True, "handoverUpToToken": 217}
    assert {name: after.spec[name] for name in wanted} == wanted
    assert told == [
        f"Another writer changed spec.capacity, spec.suspend of the Lock {plugin.namespace}/db meanwhile; the change "
        "is made on top of that."
    ]


def test_handover_spares_the_next_holder(plugin: Plugin, cluster: Cluster) -> None:
    """The holder changes between the reading and the writing: the one who was meant has gone already."""
    plugin.make("db", status_of(A))
    seen, told = cluster.get(LockName(plugin.namespace, "db")), list[str]()
    plugin.set("db", status_of(B))
    for decide in (change.handover, change.revoke):
        _, made = change.apply(cluster, seen, decide(change.target(seen, 0)), told.append)
        assert made.summary == "a (token 217) had already given it up; it is held by b (token 230)"
    assert told == []
    assert not {"handoverUpToToken", "revokeUpToToken"} & plugin.spec("db").keys()


def test_tokens_only_grow(plugin: Plugin, cluster: Cluster) -> None:
    """Another asked for more meanwhile: that stands."""
    plugin.make("db", status_of(A, B), capacity=2)
    seen, told = cluster.get(LockName(plugin.namespace, "db")), list[str]()
    plugin.api.patch("locks", "db", {"spec": {"handoverUpToToken": 230}}, plugin.namespace)
    after, made = change.apply(cluster, seen, change.handover(change.target(seen, 217)), told.append)
    assert "had already been asked" in made.summary
    assert after.spec["handoverUpToToken"] == 230


def test_preference_is_not_overwritten(plugin: Plugin, cluster: Cluster) -> None:
    """A preference that somebody else set is left alone."""
    plugin.make("db", status_of(A))
    seen = cluster.get(LockName(plugin.namespace, "db"))
    plugin.api.patch("locks", "db", {"spec": {"preferredHolder": "c"}}, plugin.namespace)
    with pytest.raises(RefusedError, match="to 'c' meanwhile: nothing was changed"):
        change.apply(cluster, seen, change.prefer(seen, "b"), lambda _: None)
    assert plugin.spec("db")["preferredHolder"] == "c"


def test_lock_made_again_is_another(plugin: Plugin, cluster: Cluster) -> None:
    """A Lock that was deleted and made again is not the one that was read."""
    plugin.make("db", status_of(A))
    seen = cluster.get(LockName(plugin.namespace, "db"))
    plugin.api.delete("locks", "db", plugin.namespace)
    with pytest.raises(NotThereError):
        change.apply(cluster, seen, change.suspend, lambda _: None)
    plugin.make("db")
    with pytest.raises(RefusedError, match="created again"):
        change.apply(cluster, seen, change.suspend, lambda _: None)
    assert plugin.spec("db")["suspend"] is False
