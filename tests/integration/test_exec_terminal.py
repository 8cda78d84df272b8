"""`leasehold exec` beside `flock` and `timeout --foreground` on a terminal: pagers, Ctrl-C, job control, hang-ups.

Each cell runs the peers that are installed, too, and says what they do. Without a terminal: see test_exec_table.py.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.servers import EtcdServer, wait_for
from tests.support.exec_peers import Screen, options, prefixes, typed_at, words

Peers = dict[str, list[str]]
LOOP = "while :; do sleep 0.02; done"
COUNTER = """
import itertools, os, signal
count = itertools.count(1)
signal.signal(signal.SIGINT, lambda *_: print("caught", next(count), flush=True))
signal.signal(signal.SIGQUIT, lambda *_: os._exit(8))
print("up", flush=True)
while True:
    signal.pause()
"""
"""Counts each Ctrl-C. A shell misses one that comes while the child that it waits for ends by itself."""


@pytest.fixture
def peers(etcd: EtcdServer, root: str, tmp_path: Path) -> Peers:
    found = prefixes(etcd.url, root, tmp_path)
    found.pop("timeout", None)  # it takes its command out of the terminal's foreground, on purpose
    return found


@pytest.fixture(params=["leasehold", "flock", "foreground"])
def prefix(request: pytest.FixtureRequest, peers: Peers) -> list[str]:
    """Each of them in turn, for a cell in which they all do the same."""
    if request.param not in peers:
        pytest.skip(f"{request.param} is not installed")
    return peers[request.param]


def test_pager_reads_its_keys(prefix: list[str], tmp_path: Path) -> None:
    """A pager at the end of the pipeline is in the foreground with the command, and so is leasehold."""
    if shutil.which("less") is None:
        pytest.skip("less is not installed")
    with Screen(typed_at(prefix, tmp_path)) as on:
        on.read_until(b"$ ")
        on.type(b"run seq 3000 | less; echo 'le''ft'\n")
        on.read_until(b"\n:")
        on.type(b"G")
        on.read_until(b"3000")
        on.type(b"q")
        on.read_until(b"left")


def test_end_of_a_pager_ends_the_command(prefix: list[str], tmp_path: Path) -> None:
    """A reader that leaves is told by SIGPIPE."""
    with Screen(typed_at(prefix, tmp_path)) as on:
        on.read_until(b"$ ")
        on.type(b'run yes | head -1; echo "co"de ${PIPESTATUS[0]}\n')
        on.read_until(b"code 141")


def test_command_reads_the_terminal(prefix: list[str]) -> None:
    with Screen([*prefix, "sh", "-c", 'test -t 0 && echo up; read line; echo "read $line"; exit 6']) as on:
        on.read_until(b"up")
        on.type(b"hello\n")
        on.read_until(b"read hello")
        assert on.wait() == 6


def test_dev_tty_behind_a_pipe(prefix: list[str]) -> None:
    """A program that asks for a password does it there."""
    asks = f"echo | {words(prefix)} sh -c 'echo up; read line </dev/tty; echo \"read $line\"'"
    with Screen(["bash", "-c", asks]) as on:
        on.read_until(b"up")
        on.type(b"hello\n")
        on.read_until(b"read hello")
        assert on.wait() == 0


@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_key_ends_command_and_script(key: bytes, number: signal.Signals, prefix: list[str]) -> None:
    """As without it: a shell's script ends after Ctrl-C, because its program died of SIGINT."""
    if prefix[0] == "timeout":
        pytest.skip("whether a script ends with timeout's command was seen to vary")
    script = f"ulimit -c 0; {words(prefix)} sh -c 'echo up; exec sleep 600'; echo THE NEXT STEP $?; exit 0"
    with Screen(["bash", "-c", script]) as on:
        on.read_until(b"up")
        on.type(key)
        code = on.wait()
        if number == signal.SIGINT:
            assert b"THE NEXT STEP" not in on.output
            assert code in (-signal.SIGINT, 128 + signal.SIGINT)
        else:  # a shell goes on after SIGQUIT
            assert f"THE NEXT STEP {128 + number}".encode() in on.output


def test_loop_ends_with_ctrl_c(prefix: list[str]) -> None:
    """A shell's loop ends, and not only one of its rounds."""
    if prefix[0] == "timeout":
        pytest.skip("whether a script ends with timeout's command was seen to vary")
    with Screen(["bash", "-c", f"while :; do {words(prefix)} sh -c 'echo up; exec sleep 600'; done"]) as on:
        on.read_until(b"up")
        on.type(b"\x03")
        assert on.wait() in (-signal.SIGINT, 128 + signal.SIGINT)


def test_ctrl_c_comes_once(peers: Peers) -> None:
    """timeout passes on the signal that its command has from the terminal, too; leasehold does not."""
    with Screen([*peers["leasehold"], sys.executable, "-c", COUNTER]) as on:
        on.read_until(b"up")
        on.type(b"\x03")
        on.read_until(b"caught 1")
        on.type(b"\x03")
        on.read_until(b"caught 2")
        on.type(b"\x1c")
        assert on.wait() == 8
        assert b"caught 3" not in on.output


def test_ctrl_c_ends_the_wait(peers: Peers, etcd: EtcdServer, root: str) -> None:
    etcd.ctl.put(f"{root}/locks/default/job/queue/1f", "somebody")
    with Screen([*options(peers["leasehold"], "--log-level", "info"), "echo", "ran"]) as on:
        on.read_until(b"another leads")
        on.type(b"\x03")
        assert on.wait() == -signal.SIGINT


def test_ctrl_z_suspends_nothing(peers: Peers, tmp_path: Path) -> None:
    """The lease of a suspended command would end. flock is suspended, with the lock."""
    with Screen([*peers["leasehold"], "sh", "-c", "echo up; read line; echo $line; exit 9"]) as on:
        on.read_until(b"up")
        on.type(b"\x1a")
        on.type(b"still here\n")
        on.read_until(b"still here", times=2)  # the terminal's echo, and the command's
        assert on.wait() == 9
    if "flock" in peers:
        with Screen(typed_at(peers["flock"], tmp_path)) as on:
            on.type(b"run sh -c 'echo u''p; exec sleep 600'\n")
            on.read_until(b"up")
            on.type(b"\x1a")
            on.read_until(b"Stopped")


def test_background_job_comes_forward(prefix: list[str], tmp_path: Path) -> None:
    """A command that reads from the background waits, with the lock, and reads after `fg`."""
    if prefix[0] == "timeout":
        pytest.skip("timeout ignores the stop, so that its command stays stopped after fg")
    with Screen(typed_at(prefix, tmp_path)) as on:
        on.read_until(b"$ ")
        on.type(b"run sh -c 'echo u''p; read line; echo \"re\"ad $line' &\n")
        on.read_until(b"up")
        if prefix[0] == "flock":  # it stops as well, and `fg` goes on with it only if the shell has seen that before
            wait_for(on.has_stopped_job, "flock to stop")
        on.type(b"fg\n")
        on.type(b"hello\n")
        on.read_until(b"read hello")


def test_background_job_writes(prefix: list[str], tmp_path: Path) -> None:
    """A background job that writes is stopped only if the terminal is set so."""
    with Screen(typed_at(prefix, tmp_path)) as on:
        on.read_until(b"$ ")
        on.type(b"run sh -c 'echo wri''tten' & wait; echo wai''ted\n")
        on.read_until(b"waited")
        assert b"written" in on.output


def test_the_terminal_is_given_back(prefix: list[str]) -> None:
    """The shell that started it reads from the terminal after it."""
    with Screen(
        ["/bin/sh", "-c", f"{words(prefix)} sh -c 'echo up; read line'; read after; echo \"shell read $after\""]
    ) as on:
        on.read_until(b"up")
        on.type(b"one\n")
        on.type(b"two\n")
        on.read_until(b"shell read two")
        assert on.wait() == 0


def test_terminal_after_a_killed_shell(prefix: list[str]) -> None:
    """The program's own script is in the foreground again when it goes on."""
    shell = "set -m; echo up; sh -c 'kill -KILL '$$"
    with Screen(["bash", "-c", f"{words(prefix)} bash -c '{shell}'; read after; echo \"read $after\""]) as on:
        on.read_until(b"up")
        on.type(b"one\n")
        on.read_until(b"read one")
        assert on.wait() == 0


def test_window_size_is_told(prefix: list[str]) -> None:
    """The command is in the terminal's foreground group, so it hears of a changed window."""
    script = f'trap "echo resized; exit 4" WINCH; echo up; {LOOP}'
    with Screen([*prefix, "bash", "-c", script]) as on:
        on.read_until(b"up")
        on.resize()
        on.read_until(b"resized")
        assert on.wait() == 4


def test_lost_lock_spares_the_pipeline(peers: Peers, etcd: EtcdServer, root: str, tmp_path: Path) -> None:
    """The command's tree is stopped, one by one: its process group is also that of leasehold and of the pager."""
    tree = "sh -c 'trap \"\" TERM; sleep 600 & echo u''p; sleep 600; sleep 600'"
    with Screen(typed_at(peers["leasehold"], tmp_path)) as on:
        on.read_until(b"$ ")
        on.type(f'run {tree} | cat; echo "co"de ${{PIPESTATUS[*]}}\n'.encode())
        on.read_until(b"up")
        etcd.ctl.delete(f"{root}/locks/default/job/queue/", "--prefix")
        on.read_until(b"code 75 0")


def test_hang_up_ends_the_command(peers: Peers, tmp_path: Path) -> None:
    """The command is told, and its lock is free. flock leaves it running."""
    told = tmp_path / "told"
    script = f"trap 'echo hung up >{told}; exit' HUP; echo up; {LOOP}"
    with Screen([*peers["leasehold"], "bash", "-c", script]) as on:
        on.read_until(b"up")
        on.hang_up()
        on.wait()
    wait_for(told.exists, "the command is told")


def test_nohup_outlives_the_terminal(prefix: list[str], tmp_path: Path) -> None:
    """An ignored SIGHUP stays ignored."""
    if prefix[0] == "timeout":
        pytest.skip("timeout handles SIGHUP even if it was ignored")
    done = tmp_path / "done"
    script = f"trap '' HUP; {words(prefix)} sh -c 'echo up; sleep 1; echo on >{done}'"
    with Screen(["bash", "-c", script]) as on:
        on.read_until(b"up")
        on.hang_up()
        wait_for(done.exists, "the command goes on")
        on.wait()
