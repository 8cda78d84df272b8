"""`leasehold exec` on a real etcd, in the plain course: the command, its signals, and what stands around it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Process, wait_for
from tests.support.exec_pair import (
    FAMILY,
    LOST,
    Exec,
    arguments_of,
    first,
    guardian_of,
    in_turn,
    last,
    never_together,
)
from tests.support.exec_peers import children_of
from tests.support.unkillable_tree import beats

# --- the plain course ---


def test_runs_while_leading(exec_pair: tuple[Exec, Exec]) -> None:
    """A deaf daemon that the command leaves behind is stopped before the lock is given up."""
    one, other = exec_pair
    family = [sys.executable, "-I", "-S", FAMILY, str(one.beats), "deaf", "daemon"]
    one.start("sh", "-c", '"$@" & read line; exit 7', "sh", *family, lines=True)
    one.wait_up("daemon")
    other.start_family()
    other.process.wait_for_log("connected to etcd", PATIENCE)
    one.process.send("go")
    assert one.process.wait() == 7
    never_together(one, other)


def test_the_command_knows_its_lock(
    etcd: EtcdServer, make_exec: Callable[..., Exec], root: str, etcdctl: Etcdctl
) -> None:
    process = make_exec(etcd, "first").start(
        "sh", "-c", 'echo "$LEASEHOLD_LOCK $LEASEHOLD_IDENTITY $LEASEHOLD_TOKEN"; read line', lines=True
    )
    lock, identity, token = process.read_line().split()
    (key,) = etcdctl.prefix(Keys(LockName("default", "job"), root).queue)
    assert (lock, identity, int(token)) == ("default/job", "first", key.create_revision)
    process.send("go")
    assert process.wait() == 0
    assert etcdctl.prefix(Keys(LockName("default", "job"), root).queue) == []


def test_renewed_lease_disturbs_nothing(exec_pair: tuple[Exec, Exec]) -> None:
    """A lease that is kept alive never disturbs the command."""
    one, _ = exec_pair
    ttl = 10  # seconds, which no pause of a busy machine runs out
    one.start_family(settings=("--ttl", str(ttl), "--grace", "1"))
    one.wait_up()
    start = first(one)
    wait_for(lambda: last(one) > start + 1.2 * ttl, "it runs for longer than a TTL", PATIENCE)
    assert len({beat.pid for beat in beats(one.beats)}) == 1
    assert one.process.terminate() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH])
def test_signals_reach_the_command(number: signal.Signals, exec_pair: tuple[Exec, Exec]) -> None:
    """What a signal means is the command's to decide."""
    one, _ = exec_pair
    script = f'trap "echo got; exit 5" {number.name[3:]}; echo up; while :; do sleep 0.01; done'
    process = one.start("sh", "-c", script, lines=True)
    assert process.read_line() == "up"
    process.signal(number)
    assert process.read_line() == "got"
    assert process.wait() == 5


def test_ignored_signals_stay_ignored(exec_pair: tuple[Exec, Exec]) -> None:
    """As under nohup: neither leasehold nor the command may end by the signal."""
    one, _ = exec_pair
    command = one.command("sh", "-c", "echo up; read line; exit 4")
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    process = one.spawn(nohup, name="nohup", lines=True)
    assert process.read_line() == "up"
    process.signal(signal.SIGHUP)
    process.send("go")
    assert process.wait() == 4


def test_signal_ends_the_wait(exec_pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """A signal ends a wait, and the command never runs."""
    one, other = exec_pair
    one.start_family()
    one.wait_up()
    other.start_family()
    queue = Keys(LockName("default", "job"), root).queue
    wait_for(lambda: len(etcdctl.prefix(queue)) == 2, "both are in the queue", PATIENCE)
    assert other.process.terminate() == -signal.SIGTERM
    assert len(etcdctl.prefix(queue)) == 1
    assert not other.beats.exists()


def test_unusable_command_joins_no_queue(spawn: Callable[..., Process]) -> None:
    """127 and 126 come before anything is asked of etcd: none is there."""
    nowhere = (
        "exec",
        "--lock",
        "job",
        "--etcd",
        "http://127.0.0.1:1",
        "--listen",
        "127.0.0.1:0",
        "--control",
        "127.0.0.1:0",
    )
    for command, code in (("/no/such/program", 127), ("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)):
        process = spawn([sys.executable, "-m", "leasehold", *nowhere, "--", command])
        assert process.wait() == code
        assert len(process.log.splitlines()) == 1


def test_port_in_use_leaves_no_guardian(exec_pair: tuple[Exec, Exec]) -> None:
    """A port in use ends it, and its guardian."""
    one, _ = exec_pair
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = one.start("true", str(one.beats), settings=("--listen", f"127.0.0.1:{taken.getsockname()[1]}"))
        process.wait_for_log("--listen is '127.0.0.1:")
        assert process.wait() == 2
    started = str(one.beats)
    wait_for(
        lambda: not any(started in arguments_of(int(each)) for each in os.listdir("/proc") if each.isdigit()), "its end"
    )


def test_killed_guardian_ends_the_wait(exec_pair: tuple[Exec, Exec]) -> None:
    """Without it nothing could be started: better to say so at once than on our turn."""
    one, other = exec_pair
    in_turn(one, other)
    os.kill(other.guardian(), signal.SIGKILL)
    assert other.process.wait() == LOST
    assert one.process.running


def test_earlier_children_are_left_alone(exec_pair: tuple[Exec, Exec], tmp_path: Path) -> None:
    """`helper & exec leasehold exec …`: the helper is ours by birth, but none of the command's tree."""
    one, _ = exec_pair
    helper = tmp_path / "helper"
    script = f'sleep 3600 & echo $! >{helper}; exec "$@"'
    process = one.spawn(["sh", "-c", script, "sh", *one.command("sh", "-c", "echo up; read line")], lines=True)
    assert process.read_line() == "up"
    os.kill(guardian_of(process.pid), signal.SIGKILL)  # so that leasehold has to sweep
    assert process.wait() == LOST
    pid = int(helper.read_text())
    assert arguments_of(pid).startswith("sleep")
    os.kill(pid, signal.SIGKILL)


def test_orphans_leave_no_zombies(exec_pair: tuple[Exec, Exec]) -> None:
    one, _ = exec_pair
    process = one.start("sh", "-c", "for i in 1 2 3 4 5; do (true &) ; done; echo done; read line", lines=True)
    assert process.read_line() == "done"
    guardian = one.guardian()
    wait_for(lambda: len(children_of(guardian)) == 1, "all orphans are reaped", PATIENCE)
    process.send("go")
    assert process.wait() == 0
