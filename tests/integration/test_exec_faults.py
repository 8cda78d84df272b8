"""`leasehold exec` on a real etcd: two commands of one lock never run at the same time, whatever is done to whom.

A second `leasehold exec` stands behind the first. Each command is a family of processes that writes down when it ran:
see tests/support/exec_pair.py.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from leasehold.base.clock import now as clock
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, wait_for
from tests.support.exec_pair import LOST, SEEN, SHORT, TREE, Exec, in_turn, last, never_together

# --- leadership ends ---


def test_handover_waits_for_the_tree(exec_pair: tuple[Exec, Exec]) -> None:
    """Nobody else leads before the command's tree is gone."""
    one, other = exec_pair
    in_turn(one, other, "deaf", *TREE)
    token = one.token()
    assert one.post("/handover") == 202
    never_together(one, other)
    assert one.process.wait() == LOST
    assert other.token() > token


def test_drained_route_is_not_believed(exec_pair: tuple[Exec, Exec]) -> None:
    """Only the guardian knows when the work has stopped; the route hands over, and no more."""
    one, other = exec_pair
    in_turn(one, other, "deaf", "session")
    assert one.post("/drained") == 202
    never_together(one, other)
    assert one.process.wait() == LOST


def test_deleted_key_stops_the_command(exec_pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """A key that is deleted by hand ends the term, and the command."""
    one, _ = exec_pair
    one.start_family(*TREE)
    one.wait_up(*SEEN)
    etcdctl.delete(Keys(LockName("default", "job"), root).queue, "--prefix")
    assert one.process.wait() == LOST
    assert not one.alive()


@pytest.mark.parametrize("fault", ["pause", "kill"])
def test_etcd_away_stops_in_time(
    fault: str, etcd_factory: Callable[..., EtcdServer], make_exec: Callable[..., Exec]
) -> None:
    """The lease of the dead is another's as soon as etcd is back."""
    server = etcd_factory()
    one, other = make_exec(server, "first"), make_exec(server, "second")
    in_turn(one, other, "deaf", *TREE, settings=SHORT)
    getattr(server, fault)()
    cut = clock()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    assert last(one) < cut + int(SHORT[1])
    server.resume() if fault == "pause" else server.restart()
    assert one.process.wait(PATIENCE) == LOST
    never_together(one, other)


def test_grace_longer_than_the_ttl(exec_pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """The TTL comes from the Lock, so only joining tells; then it is said, and the lock is given up."""
    one, _ = exec_pair
    keys = Keys(LockName("default", "job"), root)
    etcdctl.put(keys.spec, json.dumps({"leaseDurationSeconds": 6}))
    words = one.command("true", settings=("--grace", "2"))
    at = words.index("--ttl")
    process = one.spawn([*words[:at], *words[at + 2 :]], name="graceful")
    assert process.wait() == 2
    assert "--grace is '2': a TTL of 6 seconds leaves at most 1.44 seconds" in process.log
    assert etcdctl.prefix(keys.queue) == []


# --- leasehold or its guardian is frozen or killed ---


def test_leasehold_killed(exec_pair: tuple[Exec, Exec]) -> None:
    one, other = exec_pair
    in_turn(one, other, "deaf", *TREE, settings=SHORT)
    one.process.kill()
    never_together(one, other)


def test_leasehold_frozen(exec_pair: tuple[Exec, Exec]) -> None:
    """The guardian alone stops the tree in time. Woken up, leasehold sees what has happened."""
    one, other = exec_pair
    in_turn(one, other, "deaf", *TREE, settings=SHORT)
    one.process.pause()
    never_together(one, other)
    one.process.resume()
    assert one.process.wait() == LOST


def test_guardian_killed(exec_pair: tuple[Exec, Exec]) -> None:
    """The kernel kills the command, leasehold sweeps the rest, and only then is the lock given up."""
    one, other = exec_pair
    in_turn(one, other, "deaf", *TREE)
    os.kill(one.guardian(), signal.SIGKILL)
    never_together(one, other)
    assert one.process.wait() == LOST
    assert "its guardian was killed" in one.process.log


def test_guardian_frozen_and_etcd_gone(etcd_factory: Callable[..., EtcdServer], make_exec: Callable[..., Exec]) -> None:
    """Leasehold watches the deadline too, and sweeps what its guardian should have.

    By then the frozen one has thousands of dead processes to reap, which the chain has left to it. The longer the TTL,
    the more time lies between the deadline and the end of the lease, for a machine with much other work than this.
    """
    server = etcd_factory()
    one = make_exec(server, "first")
    ttl = 20
    one.start_family("deaf", *TREE, settings=("--ttl", str(ttl)))
    one.wait_up(*SEEN)
    os.kill(one.guardian(), signal.SIGSTOP)
    server.kill()
    cut = clock()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    assert last(one) < cut + ttl
    assert one.process.wait(PATIENCE) == LOST


def test_frozen_guardian_and_a_handover(exec_pair: tuple[Exec, Exec]) -> None:
    """A guardian that hangs does not hold up a handover."""
    one, other = exec_pair
    in_turn(one, other, "deaf", "session")
    os.kill(one.guardian(), signal.SIGSTOP)
    assert one.post("/handover") == 202
    never_together(one, other)
    assert one.process.wait() == LOST


def test_restart_takes_no_term_up(exec_pair: tuple[Exec, Exec]) -> None:
    """A command that is started again never runs under an older term."""
    one, _ = exec_pair
    one.start_family(settings=SHORT)
    one.wait_up()
    token = one.token()
    one.process.kill()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    one.beats.unlink()
    one.start_family()
    one.wait_up()
    assert one.token() > token
    assert one.process.terminate() == -signal.SIGTERM
