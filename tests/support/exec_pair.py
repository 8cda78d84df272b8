"""One `leasehold exec` behind another on one lock, each with a command that writes down when it ran.

The command is a family of processes (see unkillable_tree.py), so a test compares instants of one clock: the last at
which anything of the first family ran, and the first of the second.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers import PATIENCE, Process, wait_for
from tests.support.exec_peers import children_of
from tests.support.unkillable_tree import beats, living

FAMILY = str(Path(__file__).parent.parent / "support" / "unkillable_tree.py")
TTL = 60
"""Seconds, so many that no busy machine runs a lease out; with the grace that a lease of 3 s leaves."""
SHORT = ("--ttl", "3")
"""For a lease that is to end."""
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
        self._settings = ("--etcd", url, "--root", root, "--lock", "job", "--ttl", str(TTL), "--grace", "0.4")

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
        return guardian_of(self.process.pid)

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


def arguments_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def guardian_of(leasehold: int) -> int:
    found: list[int] = []

    def named() -> bool:
        found[:] = [pid for pid in children_of(leasehold) if name_of(pid) == "lh-guard"]
        return len(found) == 1

    wait_for(named, "the guardian to be there", PATIENCE)
    return found[0]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def last(execution: Exec) -> float:
    return max(beat.at for beat in beats(execution.beats))


def first(execution: Exec) -> float:
    return min(beat.at for beat in beats(execution.beats))


def in_turn(one: Exec, other: Exec, *members: str, settings: tuple[str, ...] = ()) -> None:
    """Start one's family, and the other behind it in the queue, or about to queue."""
    one.start_family(*members, settings=settings)
    one.wait_up(*(name for name in SEEN if name in members or (name == "grandchild" and "nested" in members)))
    other.start_family()
    other.process.wait_for_log("connected to etcd", PATIENCE)


def never_together(one: Exec, other: Exec) -> None:
    """The other's command has started, and nothing of the first family ran any more."""
    other.wait_up()
    assert not one.alive()
    assert last(one) < first(other)
