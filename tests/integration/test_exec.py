"""`leasehold exec` on a real etcd: two commands of one lock never run at the same time, whatever is done to whom.

In most tests a second `leasehold exec` stands behind the first. Each command is a family of processes (see
`tests/support/unkillable_tree.py`) that writes down when it ran, so the test compares instants of one clock: the last
at which anything of the first family ran, and the first of the second.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leasehold.base.clock import now as clock
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Process, wait_for
from tests.support.unkillable_tree import beats, living

FAMILY = str(Path(__file__).parent.parent / "support" / "unkillable_tree.py")
TTL = 3
LOST = 75
TREE = ("session", "daemon", "chain", "nested", "thread")
SEEN = ("main", "session", "daemon", "chain", "grandchild", "thread")


class Exec:
    """One `leasehold exec` of the lock `default/job`, and the beats of its command if that is a family."""

    def __init__(self, spawn: Callable[..., Process], url: str, root: str, name: str, directory: Path) -> None:
        self.name = name
        self.beats = directory / f"{name}.beats"
        self.socket = directory / f"{name}.sock"
        self.spawn = spawn
        self._settings = ("--etcd", url, "--root", root, "--lock", "job", "--ttl", str(TTL))

    def command(self, *command: str, settings: tuple[str, ...] = ()) -> list[str]:
        ours = ("--identity", self.name, "--listen", "127.0.0.1:0", "--control", f"unix:{self.socket}")
        return [sys.executable, "-m", "leasehold", "exec", *self._settings, *ours, *settings, "--", *command]

    def start(self, *command: str, settings: tuple[str, ...] = (), lines: bool = False, **env: str) -> Process:
        self.process = self.spawn(self.command(*command, settings=settings), name=self.name, lines=lines, env=env)
        return self.process

    def start_family(self, *members: str, settings: tuple[str, ...] = ()) -> Process:
        return self.start(sys.executable, "-I", "-S", FAMILY, str(self.beats), *members, settings=settings)

    def wait_up(self, *members: str) -> None:
        wanted = {"main", *members}
        wait_for(lambda: wanted <= {beat.member for beat in beats(self.beats)}, f"{self.name}'s family", PATIENCE)

    def guardian(self) -> int:
        """Its guardian's process id, once that is there: it is named so at its start."""
        return _guardian(self.process.pid)

    def alive(self) -> list[int]:
        """The processes of its family that are there."""
        return living(self.beats)

    def token(self) -> int:
        """The fencing token that its command was given."""
        main = next(beat.pid for beat in beats(self.beats) if beat.member == "main")  # the others come and go
        variables = Path(f"/proc/{main}/environ").read_bytes().split(b"\0")
        return int(dict(variable.split(b"=", 1) for variable in variables if variable)[b"LEASEHOLD_TOKEN"])

    def post(self, path: str) -> int:
        """POST to its control listener; the answer's status."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.socket))
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            return int(connection.recv(65536).split()[1])


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _guardian(leasehold: int) -> int:
    found: list[int] = []

    def named() -> bool:
        found[:] = [pid for pid in _children(leasehold) if _comm(pid) == "lh-guard"]
        return len(found) == 1

    wait_for(named, "the guardian to be there", PATIENCE)
    return found[0]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def last(execution: Exec) -> float:
    return max(beat.at for beat in beats(execution.beats))


def first(execution: Exec) -> float:
    return min(beat.at for beat in beats(execution.beats))


@pytest.fixture
def make(spawn: Callable[..., Process], root: str, tmp_path: Path) -> Iterator[Callable[..., Exec]]:
    """Makes `leasehold exec`s of one lock; at the end none of their commands' processes may be left."""
    made: list[Exec] = []

    def build(server: EtcdServer, name: str) -> Exec:
        made.append(Exec(spawn, server.url, root, name, tmp_path))
        return made[-1]

    yield build
    for one in made:
        if hasattr(one, "process"):
            one.process.kill()
        wait_for(lambda one=one: not one.alive(), f"{one.name}'s family to be gone", PATIENCE)  # type: ignore[misc]  # no type for a lambda's default


@pytest.fixture
def pair(etcd: EtcdServer, make: Callable[..., Exec]) -> tuple[Exec, Exec]:
    """Two of them on the shared etcd: the one that is to lead first, and the one behind it."""
    return make(etcd, "first"), make(etcd, "second")


def in_turn(one: Exec, other: Exec, *members: str) -> None:
    """Start one's family, and the other behind it in the queue, or about to queue."""
    one.start_family(*members)
    one.wait_up(*(name for name in SEEN if name in members or (name == "grandchild" and "nested" in members)))
    other.start_family()
    other.process.wait_for_log("connected to etcd", PATIENCE)


def never_together(one: Exec, other: Exec) -> None:
    """The other's command has started, and nothing of the first family ran any more."""
    other.wait_up()
    assert not one.alive()
    assert last(one) < first(other)


# --- the plain course ---


def test_runs_while_leading(pair: tuple[Exec, Exec]) -> None:
    """A deaf daemon that the command leaves behind is stopped before the lock is given up."""
    one, other = pair
    family = [sys.executable, "-I", "-S", FAMILY, str(one.beats), "deaf", "daemon"]
    one.start("sh", "-c", '"$@" & read line; exit 7', "sh", *family, lines=True)
    one.wait_up("daemon")
    other.start_family()
    other.process.wait_for_log("connected to etcd", PATIENCE)
    one.process.send("go")
    assert one.process.wait() == 7
    never_together(one, other)


def test_the_command_knows_its_lock(etcd: EtcdServer, make: Callable[..., Exec], root: str, etcdctl: Etcdctl) -> None:
    process = make(etcd, "first").start(
        "sh", "-c", 'echo "$LEASEHOLD_LOCK $LEASEHOLD_IDENTITY $LEASEHOLD_TOKEN"; read line', lines=True
    )
    lock, identity, token = process.read_line().split()
    (key,) = etcdctl.prefix(Keys(LockName("default", "job"), root).queue)
    assert (lock, identity, int(token)) == ("default/job", "first", key.create_revision)
    process.send("go")
    assert process.wait() == 0
    assert etcdctl.prefix(Keys(LockName("default", "job"), root).queue) == []


def test_renewed_lease_disturbs_nothing(pair: tuple[Exec, Exec]) -> None:
    """A lease that is kept alive never disturbs the command."""
    one, _ = pair
    ttl = 6
    one.start_family(settings=("--ttl", str(ttl), "--grace", "1"))
    one.wait_up()
    start = first(one)
    wait_for(lambda: last(one) > start + 2 * ttl, "it runs for two TTLs", PATIENCE)
    assert len({beat.pid for beat in beats(one.beats)}) == 1
    assert one.process.terminate() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH])
def test_signals_reach_the_command(number: signal.Signals, pair: tuple[Exec, Exec]) -> None:
    """What a signal means is the command's to decide."""
    one, _ = pair
    script = f'trap "echo got; exit 5" {number.name[3:]}; echo up; while :; do sleep 0.01; done'
    process = one.start("sh", "-c", script, lines=True)
    assert process.read_line() == "up"
    process.signal(number)
    assert process.read_line() == "got"
    assert process.wait() == 5


def test_ignored_signals_stay_ignored(pair: tuple[Exec, Exec]) -> None:
    """As under nohup: neither leasehold nor the command may end by the signal."""
    one, _ = pair
    command = one.command("sh", "-c", "echo up; read line; exit 4")
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command]
    process = one.spawn(nohup, name="nohup", lines=True)
    assert process.read_line() == "up"
    process.signal(signal.SIGHUP)
    process.send("go")
    assert process.wait() == 4


def test_signal_ends_the_wait(pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """A signal ends a wait, and the command never runs."""
    one, other = pair
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


def test_port_in_use_leaves_no_guardian(pair: tuple[Exec, Exec]) -> None:
    """A port in use ends it, and its guardian."""
    one, _ = pair
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = one.start("true", str(one.beats), settings=("--listen", f"127.0.0.1:{taken.getsockname()[1]}"))
        process.wait_for_log("--listen is '127.0.0.1:")
        assert process.wait() == 2
    named = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if str(one.beats) in _arguments(pid)]
    assert not named


def test_killed_guardian_ends_the_wait(pair: tuple[Exec, Exec]) -> None:
    """Without it nothing could be started: better to say so at once than on our turn."""
    one, other = pair
    in_turn(one, other)
    os.kill(other.guardian(), signal.SIGKILL)
    assert other.process.wait() == LOST
    assert one.process.running


def test_earlier_children_are_left_alone(pair: tuple[Exec, Exec], tmp_path: Path) -> None:
    """`helper & exec leasehold exec …`: the helper is ours by birth, but none of the command's tree."""
    one, _ = pair
    helper = tmp_path / "helper"
    script = f'sleep 3600 & echo $! >{helper}; exec "$@"'
    process = one.spawn(["sh", "-c", script, "sh", *one.command("sh", "-c", "echo up; read line")], lines=True)
    assert process.read_line() == "up"
    os.kill(_guardian(process.pid), signal.SIGKILL)  # so that leasehold has to sweep
    assert process.wait() == LOST
    pid = int(helper.read_text())
    assert _arguments(pid).startswith("sleep")
    os.kill(pid, signal.SIGKILL)


def test_orphans_leave_no_zombies(pair: tuple[Exec, Exec]) -> None:
    one, _ = pair
    process = one.start("sh", "-c", "for i in 1 2 3 4 5; do (true &) ; done; echo done; read line", lines=True)
    assert process.read_line() == "done"
    guardian = one.guardian()
    wait_for(lambda: len(_children(guardian)) == 1, "all orphans are reaped", PATIENCE)
    process.send("go")
    assert process.wait() == 0


# --- leadership ends ---


def test_handover_waits_for_the_tree(pair: tuple[Exec, Exec]) -> None:
    """Nobody else leads before the command's tree is gone."""
    one, other = pair
    in_turn(one, other, "deaf", *TREE)
    token = one.token()
    assert one.post("/handover") == 202
    never_together(one, other)
    assert one.process.wait() == LOST
    assert other.token() > token


def test_drained_route_is_not_believed(pair: tuple[Exec, Exec]) -> None:
    """Only the guardian knows when the work has stopped; the route hands over, and no more."""
    one, other = pair
    in_turn(one, other, "deaf", "session")
    assert one.post("/drained") == 202
    never_together(one, other)
    assert one.process.wait() == LOST


def test_deleted_key_stops_the_command(pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """A key that is deleted by hand ends the term, and the command."""
    one, _ = pair
    one.start_family(*TREE)
    one.wait_up(*SEEN)
    etcdctl.delete(Keys(LockName("default", "job"), root).queue, "--prefix")
    assert one.process.wait() == LOST
    assert not one.alive()


@pytest.mark.parametrize("fault", ["pause", "kill"])
def test_etcd_away_stops_in_time(
    fault: str, etcd_factory: Callable[..., EtcdServer], make: Callable[..., Exec]
) -> None:
    """The lease of the dead is another's as soon as etcd is back."""
    server = etcd_factory()
    one, other = make(server, "first"), make(server, "second")
    in_turn(one, other, "deaf", *TREE)
    getattr(server, fault)()
    cut = clock()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    assert last(one) < cut + TTL
    server.resume() if fault == "pause" else server.restart()
    assert one.process.wait(PATIENCE) == LOST
    never_together(one, other)


def test_grace_longer_than_the_ttl(pair: tuple[Exec, Exec], root: str, etcdctl: Etcdctl) -> None:
    """The TTL comes from the Lock, so only joining tells; then it is said, and the lock is given up."""
    one, _ = pair
    keys = Keys(LockName("default", "job"), root)
    etcdctl.put(keys.spec, json.dumps({"leaseDurationSeconds": 6}))
    words = one.command("true", settings=("--grace", "2"))
    at = words.index("--ttl")
    process = one.spawn([*words[:at], *words[at + 2 :]], name="graceful")
    assert process.wait() == 2
    assert "--grace is '2': a TTL of 6 seconds leaves at most 1.44 seconds" in process.log
    assert etcdctl.prefix(keys.queue) == []


# --- leasehold or its guardian is frozen or killed ---


def test_leasehold_killed(pair: tuple[Exec, Exec]) -> None:
    one, other = pair
    in_turn(one, other, "deaf", *TREE)
    one.process.kill()
    never_together(one, other)


def test_leasehold_frozen(pair: tuple[Exec, Exec]) -> None:
    """The guardian alone stops the tree in time. Woken up, leasehold sees what has happened."""
    one, other = pair
    in_turn(one, other, "deaf", *TREE)
    one.process.pause()
    never_together(one, other)
    one.process.resume()
    assert one.process.wait() == LOST


def test_guardian_killed(pair: tuple[Exec, Exec]) -> None:
    """The kernel kills the command, leasehold sweeps the rest, and only then is the lock given up."""
    one, other = pair
    in_turn(one, other, "deaf", *TREE)
    os.kill(one.guardian(), signal.SIGKILL)
    never_together(one, other)
    assert one.process.wait() == LOST
    assert "its guardian was killed" in one.process.log


def test_guardian_frozen_and_etcd_gone(etcd_factory: Callable[..., EtcdServer], make: Callable[..., Exec]) -> None:
    """Leasehold watches the deadline too, and sweeps what its guardian should have."""
    server = etcd_factory()
    one = make(server, "first")
    one.start_family("deaf", *TREE)
    one.wait_up(*SEEN)
    os.kill(one.guardian(), signal.SIGSTOP)
    server.kill()
    cut = clock()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    assert last(one) < cut + TTL
    assert one.process.wait(PATIENCE) == LOST


def test_frozen_guardian_and_a_handover(pair: tuple[Exec, Exec]) -> None:
    """A guardian that hangs does not hold up a handover."""
    one, other = pair
    in_turn(one, other, "deaf", "session")
    os.kill(one.guardian(), signal.SIGSTOP)
    assert one.post("/handover") == 202
    never_together(one, other)
    assert one.process.wait() == LOST


def test_restart_takes_no_term_up(pair: tuple[Exec, Exec]) -> None:
    """A command that is started again never runs under an older term."""
    one, _ = pair
    one.start_family()
    one.wait_up()
    token = one.token()
    one.process.kill()
    wait_for(lambda: not one.alive(), "the family to be gone", PATIENCE)
    one.beats.unlink()
    one.start_family()
    one.wait_up()
    assert one.token() > token
    assert one.process.terminate() == -signal.SIGTERM


# --- on a terminal ---


class Terminal:
    """`leasehold exec` started from a terminal, as by a shell: a new session whose foreground it is."""

    def __init__(self, command: list[str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)
        self.output = b""
        self._code: int | None = None

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def read_until(self, text: bytes, times: int = 1) -> None:
        """Return when it stands there so many times; lines of the log may come in between."""
        end = time.monotonic() + PATIENCE
        while self.output.count(text) < times:
            left = end - time.monotonic()
            assert select.select([self._master], [], [], max(0.0, left))[0], self.output
            try:
                self.output += os.read(self._master, 4096)
            except OSError:  # EIO: the last process on it has ended
                assert self.output.count(text) >= times, self.output

    def wait(self) -> int:
        wait_for(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT), "it ends", PATIENCE)
        return self._collect()

    def close(self) -> None:
        """End it if the test has not seen its end."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            self._collect()

    def _collect(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._master)
        self._code = os.waitstatus_to_exitcode(status)
        return self._code


@pytest.fixture
def terminal(etcd: EtcdServer, make: Callable[..., Exec]) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(script: str) -> Terminal:
        made.append(Terminal(make(etcd, "first").command("sh", "-c", script)))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_the_command_has_the_terminal(terminal: Callable[..., Terminal]) -> None:
    on = terminal('test -t 0 && echo up; read line </dev/tty; echo "read $line"; exit 6')
    on.read_until(b"up")
    on.type(b"hello\n")
    on.read_until(b"read hello")
    assert on.wait() == 6


def test_ctrl_c_is_the_commands(terminal: Callable[..., Terminal]) -> None:
    on = terminal('trap "echo caught; exit 8" INT; echo up; while :; do sleep 0.01; done')
    on.read_until(b"up")
    on.type(b"\x03")
    on.read_until(b"caught")
    assert on.wait() == 8


def test_ctrl_z_suspends_nothing(terminal: Callable[..., Terminal]) -> None:
    """Ctrl-Z suspends neither the command nor its guardian."""
    on = terminal("echo up; read line; echo $line; exit 9")
    on.read_until(b"up")
    on.type(b"\x1a")
    on.type(b"still here\n")
    on.read_until(b"still here", times=2)  # the terminal's echo, and the command's
    assert on.wait() == 9


def test_the_terminal_is_given_back(etcd: EtcdServer, make: Callable[..., Exec]) -> None:
    """A shell with job control starts it, then reads from the terminal itself."""
    command = " ".join(make(etcd, "first").command("sh", "-c", "'echo up; read line'"))
    on = Terminal(["/bin/sh", "-c", f'{command}; read after; echo "shell read $after"'])
    try:
        on.read_until(b"up")
        on.type(b"one\n")
        on.type(b"two\n")
        on.read_until(b"shell read two")
        assert on.wait() == 0
    finally:
        on.close()
