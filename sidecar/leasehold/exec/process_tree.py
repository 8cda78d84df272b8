"""A process and all that descend from it, found through /proc. Linux only; `kill_tree.py` stops what is found here.

A *subreaper* inherits every orphan below it, so children that call setsid or fork twice stay its descendants, and it
has no children left exactly when nothing of the tree is left. What leaves the tree by asking another process to start
something for it (a container runtime, systemd-run, cron) is out of reach.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36

_libc = ctypes.CDLL(None, use_errno=True)


class Process(NamedTuple):
    """A process id is reused one day; together with the start time, in clock ticks since boot, it never is."""

    pid: int
    started: int


class Stat(NamedTuple):
    """What /proc says of a living process: its parent's id, and its process group."""

    process: Process
    parent: int
    group: int


def _prctl(option: int, value: int | bytes) -> None:
    argument = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    if _libc.prctl(option, argument, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def become_subreaper() -> None:
    """Inherit the orphans of all descendants from now on. Raises OSError where the kernel refuses."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """For a fresh child: have the kernel kill this process when `parent`, which started it, dies."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the line above could take effect
        os.kill(os.getpid(), signal.SIGKILL)


def set_name(name: str) -> None:
    """What `ps` and `top` call this process; at most 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def descendants(root: int, spared: frozenset[int] = frozenset()) -> list[Stat]:
    """Every process below `root`, the newest first, from one look at all of /proc; for `spared` see `walk`."""
    children: dict[int, list[Stat]] = {}
    for stat in _processes():
        children.setdefault(stat.parent, []).append(stat)
    found: list[Stat] = []
    parents = [root]
    while parents:
        parent = parents.pop()
        below = [stat for stat in children.pop(parent, []) if parent != root or stat.process.pid not in spared]
        found += below
        parents += [stat.process.pid for stat in below]
    return sorted(found, key=lambda stat: stat.process.started, reverse=True)


def _processes() -> Iterator[Stat]:
    """Every living process, as far as this process may see them."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read(int(name))):
            yield stat


def read(pid: int) -> Stat | None:
    """The process with this id; None if there is none, or a dead one."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
            fields = stat.read().rpartition(b")")[2].split()  # the name before it may hold spaces and brackets
    except OSError:
        return None
    # proc_pid_stat(5), counted after the name: 0 state, 1 parent, 2 group, 17 number of threads, 19 start time. A
    # leader that ended before its other threads is a zombie too, but its process goes on.
    if len(fields) < 20 or (fields[0] in b"ZX" and int(fields[17]) <= 1):
        return None
    return Stat(Process(pid, int(fields[19])), int(fields[1]), int(fields[2]))


def started_now() -> int:
    """The start time, in clock ticks since boot, of a process that were started at this instant."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def walk(root: int, spared: frozenset[int] = frozenset()) -> Iterator[tuple[int, int]]:
    """Every process below `root` with its parent's id, dead ones too, from the root down and each as it is found.

    A process's children are looked up after it was given out: whoever stops each one at once finds them all.
    `spared` are children of the root to be left out, with what is below them.
    """
    if not _has_lists(root):
        yield from ((stat.process.pid, stat.parent) for stat in reversed(descendants(root, spared)))
        return
    parents = [root]
    while parents:
        parent = parents.pop()
        for pid in reversed(_children(parent)):
            if parent != root or pid not in spared:
                yield pid, parent
                parents.append(pid)


def children(root: int) -> list[int]:
    """The ids of a process's children; dead ones are among them where the kernel lists children."""
    if _has_lists(root):
        return _children(root)
    return [stat.process.pid for stat in _processes() if stat.parent == root]


def _has_lists(root: int) -> bool:
    return os.path.exists(f"/proc/{root}/task/{root}/children")


def _children(pid: int) -> list[int]:
    """The children of all threads of a process, dead ones too; complete only if the process stands still."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as children:
                found += map(int, children.read().split())
    except OSError:
        return found
    return found


def reap(ended: Callable[[int, int], None]) -> bool:
    """Collect every child that has ended, ours or inherited; `ended` is told its id and wait status.

    Returns whether any child is left. A status may also say that a child was stopped.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        ended(pid, status)
