"""A family of processes that does all it can to outlive its parent: what `leasehold exec` must stop all the same.

Run as `python unkillable_tree.py BEATS MEMBER…`; each member appends lines `MEMBER PID SECONDS` to the file BEATS,
seconds of the clock that deadlines are on. Standard library only, quick to start. Members:

    main      the command itself (always there); `deaf` makes all of the family ignore TERM
    session   a child in a session of its own
    daemon    forked twice, its parent dead, in a session of its own
    chain     forks and dies again and again, so that each of its processes lives for a moment only
    nested    a child of a child of a child
    thread    a process whose main thread has ended while another goes on
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

MEMBERS = ("session", "daemon", "chain", "nested", "thread")
CLOCK = time.CLOCK_BOOTTIME
PERIOD = 0.01


class Beat(NamedTuple):
    member: str
    pid: int
    at: float


def beats(path: Path) -> list[Beat]:
    """What the family has written so far, whole lines only."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [
        Beat(name, int(pid), float(at)) for name, pid, at in (line.split() for line in lines if line.endswith("\n"))
    ]


def living(path: Path) -> list[int]:
    """Those who have written and are still there: not even one thread of the others is left."""
    return [pid for pid in {beat.pid for beat in beats(path)} if _is_alive(pid, path)]


def _is_alive(pid: int, path: Path) -> bool:
    try:
        state, *_ = fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    if state in "ZX":
        return int(fields[17]) > 1  # a main thread that ended before the others
    return str(path) in command.split("\0")  # else it is another, of another family perhaps, which got the id


def main() -> None:
    path, *members = sys.argv[1:]
    if "deaf" in members:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def beat(member: str) -> None:
        os.write(file, f"{member} {os.getpid()} {time.clock_gettime(CLOCK)}\n".encode())

    for member in members:
        if member in MEMBERS:
            _fork(partial(_be, member, beat))
    _go_on("main", beat)


def _fork(act: Callable[[], None]) -> None:
    if os.fork() == 0:
        try:
            act()
        finally:
            os._exit(0)


def _be(member: str, beat: Callable[[str], None]) -> None:
    if member == "session":
        os.setsid()
    elif member == "daemon":
        os.setsid()
        _fork(lambda: _go_on("daemon", beat))
        return
    elif member == "chain":
        _chain(beat)
    elif member == "nested":
        _fork(partial(_be, "parent", beat))
    elif member == "parent":
        _fork(partial(_go_on, "grandchild", beat))
    elif member == "thread":
        threading.Thread(target=_go_on, args=("thread", beat)).start()
        ctypes.CDLL(None).pthread_exit(None)
    _go_on(member, beat)


def _chain(beat: Callable[[str], None]) -> None:
    while True:
        beat("chain")
        time.sleep(PERIOD / 10)
        if os.fork() != 0:
            os._exit(0)


def _go_on(member: str, beat: Callable[[str], None]) -> None:
    while True:
        beat(member)
        time.sleep(PERIOD)


if __name__ == "__main__":
    main()
