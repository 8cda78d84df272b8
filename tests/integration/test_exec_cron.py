"""`leasehold exec` as a guard of cron jobs: several on one host, and one run per period for many hosts."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import Etcdctl, EtcdServer, Process, wait_for

LOST = 75
Start = Callable[..., Process]


@pytest.fixture
def keys(root: str) -> Keys:
    return Keys(LockName("default", "job"), root)


@pytest.fixture
def start(spawn: Start, etcd: EtcdServer, root: str) -> Start:
    """Starts `leasehold exec` of the lock `default/job`, with these settings before its command."""

    def run(*settings: str, command: tuple[str, ...] = ("true",), **env: str) -> Process:
        words = ["exec", "--etcd", etcd.url, "--root", root, "--lock", "job", "--ttl", "60", *settings, "--", *command]
        return spawn([sys.executable, "-m", "leasehold", *words], name="exec", lines=True, env=env)

    return run


def listening(pid: int) -> set[str]:
    """The addresses at which a process listens on TCP."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(descriptor)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}


# --- several on one host ---


def test_listens_only_if_asked(start: Start) -> None:
    """Two jobs of one host do not get in each other's way."""
    script = ("sh", "-c", "echo up; read line")
    quiet = start(command=script)
    assert quiet.read_line() == "up"
    assert listening(quiet.pid) == set()
    quiet.send("go")
    assert quiet.wait() == 0
    asked = start("--listen", "127.0.0.1:0", command=script)
    assert asked.read_line() == "up"
    assert len(listening(asked.pid)) == 1
    asked.send("go")
    assert asked.wait() == 0


def test_each_process_has_its_identity(start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    """Two of one host queue, and can be told apart; the command has its key in etcd."""
    script = ("sh", "-c", 'echo "$LEASEHOLD_IDENTITY $LEASEHOLD_KEY $LEASEHOLD_TOKEN"; read line')
    one, other = start(command=script), start(command=script)
    wait_for(lambda: len(etcdctl.prefix(keys.queue)) == 2, "both stand in the queue")
    first, second = etcdctl.prefix(keys.queue)
    assert json.loads(first.value)["identity"] != json.loads(second.value)["identity"]
    by_pid = {process.pid: process for process in (one, other)}
    for entry in (first, second):
        identity = json.loads(entry.value)["identity"]
        process = by_pid[int(identity.split("-")[-2])]
        assert process.read_line() == f"{identity} {entry.key} {entry.create_revision}"
        process.send("go")
        assert process.wait() == 0


def test_nested_exec_does_not_wait_for_itself(start: Start, etcd: EtcdServer, root: str) -> None:
    """In the command of an exec, the lock is LEASEHOLD_LOCK: forgetting --lock is easy."""
    inner = shlex.join([sys.executable, "-m", "leasehold", "exec", "--etcd", etcd.url, "--root", root, "--", "true"])
    outer = start(command=("sh", "-c", f'{inner}; echo "code $?"'))
    assert outer.read_line() == "code 2"
    assert outer.wait() == 0
    assert "would wait for itself" in outer.log


def test_nested_exec_of_another_lock(start: Start, etcd: EtcdServer, root: str) -> None:
    """It has an identity of its own, whatever LEASEHOLD_IDENTITY says there."""
    exec_other = [sys.executable, "-m", "leasehold", "exec", "--etcd", etcd.url, "--root", root, "--lock", "other"]
    inner = shlex.join([*exec_other, "--", "sh", "-c", "echo $LEASEHOLD_IDENTITY"])
    outer = start("--identity", "outer", command=("sh", "-c", inner))
    assert outer.read_line().startswith("outer-")
    assert outer.wait() == 0


def test_same_identity_is_told(start: Start) -> None:
    first = start("--identity", "twin", command=("sh", "-c", "echo up; read line"))
    assert first.read_line() == "up"
    second = start("--identity", "twin")
    second.wait_for_log("has the same identity")
    first.send("go")
    assert (first.wait(), second.wait()) == (0, 0)


# --- once per period ---


def test_once_per_period(start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    """Of many that start together, one runs; the others end with 0, and say who ran it."""
    command = ("sh", "-c", "echo ran; sleep 0.2")
    hosts = [start("--once-per", "1h", command=command) for _ in range(4)]
    assert [host.wait() for host in hosts] == [0] * 4
    logs = [host.log for host in hosts]
    assert sum("not run:" in log for log in logs) == 3
    (record,) = etcdctl.prefix(keys.ran)
    assert 3500 < etcdctl.json("lease", "timetolive", f"{record.lease:x}")["granted-ttl"] <= 3600
    etcdctl.delete(keys.ran)
    again = start("--once-per", "1h", command=command)
    assert again.read_line() == "ran"
    assert again.wait() == 0


def test_period_passes(start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    assert start("--once-per", "5").wait() == 0
    wait_for(lambda: not etcdctl.prefix(keys.ran), "the period passes")
    again = start("--once-per", "5", command=("echo", "ran"))
    assert again.read_line() == "ran"


def test_failed_run_is_not_recorded(start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    """The next in the queue runs it."""
    assert start("--once-per", "1h", command=("false",)).wait() == 1
    assert etcdctl.prefix(keys.ran) == []
    again = start("--once-per", "1h", command=("echo", "ran"))
    assert again.read_line() == "ran"
    assert again.wait() == 0
    assert len(etcdctl.prefix(keys.ran)) == 1


@pytest.mark.parametrize("victim", ["leasehold", "both"])
def test_crash_in_the_middle(victim: str, start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    """A run that was killed leaves no record, so the next host runs it, after the lease."""
    # One process: with exec and guardian, the kernel ends the command, but not what it has started.
    first = start("--once-per", "1h", "--ttl", "5", command=("sh", "-c", "echo $PPID; trap '' TERM; exec sleep 600"))
    guardian = int(first.read_line())
    second = start("--once-per", "1h", command=("echo", "ran"))
    wait_for(lambda: len(etcdctl.prefix(keys.queue)) == 2, "both stand in the queue")
    if victim == "both":
        os.kill(guardian, 9)
    first.kill()
    assert second.read_line() == "ran"
    assert second.wait() == 0
    (record,) = etcdctl.prefix(keys.ran)
    assert json.loads(record.value)["identity"].split("-")[-2] == str(second.pid)


def test_crash_before_the_record(start: Start, etcd_factory: Callable[..., EtcdServer], keys: Keys) -> None:
    """A command that had succeeded is run again if its exec is killed before that is recorded."""
    server = etcd_factory()
    settings = ("--once-per", "1h", "--etcd", server.url, "--ttl", "30")
    first = start(*settings, command=("sh", "-c", "echo $PPID; read line"))
    guardian = Path("/proc") / first.read_line()
    server.pause()
    first.send("go")
    wait_for(lambda: not guardian.exists(), "the command and its guardian have ended")
    first.kill()
    server.resume()
    assert server.ctl.prefix(keys.ran) == []
    server.ctl.delete(keys.queue, "--prefix")  # so that the dead one's lease need not be waited for
    second = start(*settings, command=("echo", "ran"))
    assert second.read_line() == "ran"
    assert second.wait() == 0


def test_lost_lock_records_nothing(start: Start, etcdctl: Etcdctl, keys: Keys) -> None:
    """A command that was stopped because its key was deleted has not succeeded, whatever its exit code."""
    command = ("sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.02; done")
    process = start("--once-per", "1h", command=command)
    assert process.read_line() == "up"
    etcdctl.delete(keys.queue, "--prefix")
    assert process.wait() == LOST
    assert etcdctl.prefix(keys.ran) == []
