"""`leasehold exec` beside `flock`, `timeout` and `sudo`: streams, exit codes, signals and what is left behind.

Each cell also runs the peers that the machine has, and says what they do: leasehold is nowhere worse than the best one.
A wanted outcome is what the script prints, and its exit code after a bar. Terminals: see test_exec_terminal.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Process, wait_for
from tests.support.exec_cells import SAME
from tests.support.exec_peers import Signalled, options, outcome, parent_name, prefixes, state

Peers = dict[str, list[str]]


@pytest.fixture
def peers(etcd: EtcdServer, root: str, tmp_path: Path) -> Peers:
    return prefixes(etcd.url, root, tmp_path)


@pytest.mark.parametrize("name", SAME)
def test_streams_and_codes(name: str, peers: Peers) -> None:
    """All of them do the same, or leasehold and one of them; sudo closes what is no standard stream."""
    script, wanted, *others = SAME[name]
    differing = others[0] if others else {}
    found = {peer: outcome(prefix, script) for peer, prefix in peers.items()}
    assert found == {peer: differing.get(peer, wanted) for peer in peers}


@pytest.mark.parametrize(("command", "code"), [("/no/such/program", 127), ("no-such-program", 127), ("/etc", 126)])
def test_unusable_command(command: str, code: int, peers: Peers) -> None:
    """As timeout does, and the shell."""
    others = {"flock": 69, "sudo": 1}
    for peer, prefix in peers.items():
        assert outcome(prefix, f"RUN {command}") == f"|{others.get(peer, code)}"


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "HUP", "PIPE", "USR1", "ALRM", "KILL", "ABRT", "SEGV"])
def test_ends_by_its_commands_signal(name: str, peers: Peers) -> None:
    """As timeout and sudo do: a shell tells the two apart. flock exits with 128 + n."""
    number = signal.Signals[f"SIG{name}"]
    for peer, prefix in peers.items():
        wanted = 128 + number if peer == "flock" else -number
        assert outcome(prefix, f"exec RUN sh -c 'ulimit -c 0; kill -{name} $$'") == f"|{wanted}"


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"])
def test_passes_a_signal_on(name: str, peers: Peers) -> None:
    """The command decides, as below sudo. timeout passes on those that end it; flock passes on none."""
    script = f'trap "echo got; exit 5" {name}; echo $$; while :; do sleep 0.02; done'
    for peer in sorted({"leasehold", "sudo"} & set(peers)):
        with Signalled(peers[peer], script) as one:
            one.signal(signal.Signals[f"SIG{name}"])
            assert (one.line(), one.wait()) == ("got", 5)
    if "timeout" in peers and name in ("TERM", "INT", "QUIT", "HUP"):
        with Signalled(peers["timeout"], script) as one:
            one.signal(signal.Signals[f"SIG{name}"])
            assert (one.line(), one.wait()) == ("got", 5)
    if "flock" in peers and name in ("TERM", "HUP", "USR1"):
        with Signalled(peers["flock"], script) as one:
            one.signal(signal.Signals[f"SIG{name}"])
            assert one.wait() == -signal.Signals[f"SIG{name}"]
            assert state(one.pid)  # it works on, and nobody waits for it


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signal_to_a_stopped_command(name: str, peers: Peers) -> None:
    """It is continued, as by timeout: otherwise it would not see the signal. sudo leaves it stopped."""
    for peer in sorted({"leasehold", "timeout"} & set(peers)):
        with Signalled(peers[peer], f"trap - {name}; echo $$; exec sleep 600") as one:
            one.stop_command("sleep")
            one.signal(signal.Signals[f"SIG{name}"])
            assert one.wait() == -signal.Signals[f"SIG{name}"], peer


@pytest.mark.parametrize("name", ["TSTP", "TTIN", "TTOU"])
def test_nothing_stops_the_holder(name: str, peers: Peers) -> None:
    """Its lease would run out. flock stops, and keeps the lock."""
    for peer in sorted({"leasehold", "flock"} & set(peers)):
        with in_our_session([*peers[peer], "sh", "-c", "echo up; read line; exit 4"]) as process:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            process.send_signal(signal.Signals[f"SIG{name}"])
            if peer == "flock":
                wait_for(lambda pid=process.pid: state(pid) == "T", "flock to stop")  # type: ignore[misc]  # as above
                process.send_signal(signal.SIGCONT)
            process.communicate(b"go\n", PATIENCE)
            assert process.returncode == 4


@contextmanager
def in_our_session(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own. The kernel lets no signal stop a group if it is alone in its session."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signal_ends_the_wait(name: str, peers: Peers, spawn: Callable[..., Process], held: Callable[[], int]) -> None:
    """As flock does, it ends by the signal, and the command never runs."""
    number = signal.Signals[f"SIG{name}"]
    waiting = spawn([*peers["leasehold"], "echo", "ran"], name="waiting", lines=True)
    wait_for(lambda: held() == 2, "it stands in the queue")
    waiting.signal(number)
    assert waiting.wait() == -number
    assert held() == 1


@pytest.fixture
def held(etcdctl: Etcdctl, root: str) -> Callable[[], int]:
    """The lock is held by another program. Returns a function that counts the queue."""
    queue = Keys(LockName("default", "job"), root).queue
    etcdctl.put(f"{queue}1f", "somebody")
    return lambda: len(etcdctl.prefix(queue))


@pytest.mark.parametrize("seconds", ["0", "1"])
def test_lock_not_free_in_time(seconds: str, peers: Peers, held: Callable[[], int]) -> None:
    """flock says 1, which a command could, too."""
    prefix = options(peers["leasehold"], "--timeout", seconds, "--log-level", "warning")
    done = outcome(prefix, "RUN echo ran 2>&1")
    assert done.endswith("|69")
    assert "somebody holds it" in done
    assert held() == 1
    if "flock" in peers:
        impatient = [peers["flock"][0], "--wait", seconds, peers["flock"][1]]
        script = f"exec 9>{peers['flock'][1]}; flock 9; RUN echo ran"
        assert outcome(impatient, script) == "|1"


def test_processes_left_behind(peers: Peers) -> None:
    """leasehold stops them, and says how many; the others leave them running, flock with the lock."""
    script = "RUN sh -c 'sleep 600 >/dev/null 2>&1 & echo $!' 2>&1"
    done = outcome(options(peers["leasehold"], "--log-level", "warning"), script)
    pid, rest = done.split(" ", 1)
    assert "left 1 process behind: stopped" in rest
    assert rest.endswith("|0")
    assert not state(int(pid))
    for peer in sorted({"timeout", "flock", "sudo"} & set(peers)):
        pid = outcome(peers[peer], script).partition("|")[0]
        assert state(int(pid)) in ("R", "S")
        os.kill(int(pid), signal.SIGKILL)


def test_wait_for_all(peers: Peers) -> None:
    """The exit code is the command's, and comes when the last has ended."""
    script = "RUN sh -c '(sleep %s; echo last) & exit 3'"
    assert outcome(options(peers["leasehold"], "--wait-for-all"), script % 0.5) == "last|3"
    assert outcome(peers["leasehold"], script % 600) == "|3"


def test_term_ends_the_wait_for_all(peers: Peers) -> None:
    """The command has ended: TERM is for those that it left behind."""
    prefix = options(peers["leasehold"], "--wait-for-all")
    with Signalled(prefix, "sleep 600 & echo $!; exit 3") as one:
        wait_for(lambda: parent_name(one.pid) == "lh-guard", "the command has ended")
        one.signal(signal.SIGTERM)
        assert one.wait() == 3
        assert not state(one.pid)
