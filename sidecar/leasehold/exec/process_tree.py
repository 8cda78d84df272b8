"""A process and its descendants, found through /proc. Linux only; `kill_tree.py` stops them.

A *subreaper* inherits every orphan below it. So children that call setsid or fork twice stay its descendants, and the
tree has ended exactly when the subreaper has no children left. Programs that another process starts on behalf of the
tree (a container runtime, systemd-run, cron) are out of reach.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36

_libc = ctypes.CDLL(None, use_errno=True)


class Process(NamedTuple):
    """A process id may be reused; together with the start time, in clock ticks since boot, it is unique."""

    pid: int
    started: int


class Stat(NamedTuple):
    """A living process according to /proc: with its parent's id and its process group."""

    process: Process
    parent: int
    group: int


def _prctl(option: int, value: int | bytes) -> None:
    argument = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    if _libc.prctl(option, argument, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def become_subreaper() -> None:
    """Inherit the orphans of all descendants from now on. Raises OSError if the kernel refuses."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """For a new child: have the kernel kill this process when its parent, `parent`, dies."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # the parent died before the line above took effect
        os.kill(os.getpid(), signal.SIGKILL)


def disable_core_dumps() -> None:
    """Write no core file if a signal ends this process."""
    _prctl(_PR_SET_DUMPABLE, 0)


def set_name(name: str) -> None:
    """Set the name that `ps` and `top` show for this process; at most 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def descendants(root: int, spared: frozenset[int] = frozenset()) -> list[Stat]:
    """All descendants of `root`, the newest first, from one pass over /proc; for `spared` see `walk`."""
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
    """All living processes that this process may see."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read(int(name))):
            yield stat


def read(pid: int) -> Stat | None:
    """The process with this id; None if it does not exist or is dead."""
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
    """The start time, in clock ticks since boot, of a process that starts now."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def walk(root: int, spared: frozenset[int] = frozenset()) -> Iterator[tuple[int, int]]:
    """All descendants of `root` with their parents' ids, dead ones too, from the root down and each as it is found.

    A process's children are read only after it was yielded: a caller that stops each process at once finds all of them.
    `spared` are children of the root to leave out, with their descendants.
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
    """The ids of a process's children, including dead ones if the kernel lists children."""
    if _has_lists(root):
        return _children(root)
    return [stat.process.pid for stat in _processes() if stat.parent == root]


def _has_lists(root: int) -> bool:
    return os.path.exists(f"/proc/{root}/task/{root}/children")


def _children(pid: int) -> list[int]:
    """The children of all threads of a process, including dead ones; complete only while the process is stopped."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as children:
                found += map(int, children.read().split())
    except OSError:
        return found
    return found


def reap(ended: Callable[[int, int], None]) -> bool:
    """Reap all children that have ended, own and inherited; `ended` is called with the id and wait status of each.

    The status may also say that the child was stopped. Returns whether any child is left.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        ended(pid, status)
