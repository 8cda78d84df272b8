"""Signals to a whole process tree, so that nothing escapes. Linux only.

Time is short when a tree must be stopped, and the tree may use up the machine: so each function first does what one
system call can do, then goes from process to process, and looks at each as little as it can.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from typing import Final

from leasehold.exec.process_tree import Process, Stat, descendants, read, started_now, walk

_FREEZE_PASSES: Final = 50
_LOWEST: Final = 19


def terminate(group: int | None, more_time: Callable[[], bool], *, urgent: bool) -> None:
    """Send TERM, once each, to the process group and to all others below this process, while there is `more_time`.

    Twice would mean "at once" to many programs. Who is stopped is continued: it could not heed it. When it is
    `urgent`, all get the lowest priority, so that a tree that fills the machine leaves us some of it.
    """
    if group is not None and urgent:
        _lower(os.PRIO_PGRP, group)
    began = started_now()
    told = group is not None and send_group(group, signal.SIGTERM)
    if group is not None and told:
        send_group(group, signal.SIGCONT)
    met: set[Process] = set()
    fresh = _unmet(met, math.inf, more_time)
    while fresh and more_time():
        for stat in fresh:
            if not (told and stat.group == group):
                _deliver(stat, signal.SIGTERM, signal.SIGCONT)
                if urgent:
                    _lower(os.PRIO_PROCESS, stat.process.pid)
        fresh = _unmet(met, began, more_time)


def _unmet(met: set[Process], before: float, more_time: Callable[[], bool]) -> list[Stat]:
    """Those below this process that were not met yet, now in `met`; of those only who started `before` then.

    A parent that dies of its TERM in the midst of a walk hands its children to us, behind the walk's back. So whoever
    wants them all comes again until nobody is new; what was started by then is somebody's clean-up, and left alone.
    """
    own, found = os.getpid(), []
    for pid, parent in walk(own):
        if not more_time():
            break
        stat = read(pid)
        if stat is None or stat.parent not in (parent, own) or stat.process in met:
            continue
        met.add(stat.process)
        if stat.process.started < before:
            found.append(stat)
    return found


def kill(group: int | None = None, spared: frozenset[int] = frozenset()) -> bool:
    """Kill everything below this process once. False when some of it may not be killed.

    `group` is a process group that holds nothing but descendants: most trees are one, and end with one system call.
    `spared` are children to be left alone, with what is below them. To be repeated until no other child is left.
    """
    if group is not None:
        send_group(group, signal.SIGKILL)
    frost = _Frost(os.getpid(), spared)
    frost.settle()
    return frost.kill()


class _Frost:
    """What was stopped (SIGSTOP) below `root`, which must be this process.

    What is stopped cannot fork, so nothing runs ahead of a walk that stops each process as it comes to it, from the
    root down; and each one stopped leaves more of the machine to the walk. Whatever is orphaned on the way becomes a
    child of the root at once: a chain of processes that fork and die in microseconds is caught there, or nowhere.
    """

    def __init__(self, root: int, spared: frozenset[int]) -> None:
        self._root = root
        self._spared = spared
        self._own: set[int] = set()
        """Children of the root: until it reaps them, nobody else can have their ids."""
        self._others: dict[Process, Stat] = {}

    def settle(self) -> None:
        """Walk until nothing new is found, or for so long that the caller had better kill and come again."""
        for _ in range(_FREEZE_PASSES):
            if not self._walk() and not self._search():
                return

    def kill(self) -> bool:
        """Kill all of it. False when some of it may not be."""
        others = [_deliver(stat, signal.SIGKILL) for stat in self._others.values()]
        return all([*others, *(_kill(pid, signal.SIGKILL) for pid in self._own)])

    def _walk(self) -> bool:
        """Once from the root down. Whether anything was new."""
        known = len(self._own) + len(self._others)
        for pid, parent in walk(self._root, self._spared):
            if parent != self._root:
                stat = read(pid)
                if stat is not None and stat.parent == parent:
                    self._stop(stat)
            elif pid not in self._own:
                self._own.add(pid)
                _kill(pid, signal.SIGSTOP)
        return len(self._own) + len(self._others) > known

    def _search(self) -> bool:
        """All of /proc, for what the walk has missed. Whether anything was new."""
        known = len(self._others)
        for stat in descendants(self._root, self._spared):
            self._stop(stat)
        return len(self._others) > known

    def _stop(self, stat: Stat) -> None:
        if stat.process.pid not in self._own and stat.process not in self._others:
            self._others[stat.process] = stat
            _deliver(stat, signal.SIGSTOP)


def send_group(group: int, number: int) -> bool:
    """Send a signal to a whole process group at once: nothing that it forks meanwhile escapes it.

    False when there is no such group, perhaps not yet.
    """
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is there, but nobody in it is ours to signal
    return True


def _deliver(stat: Stat, *numbers: int) -> bool:
    """Send signals to exactly this process, never to another that got its id. False when the kernel forbids it."""
    process = stat.process
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # it has ended; or the kernel is old, or a seccomp profile forbids this
        return not _is_there(process) or all(_kill(process.pid, number) for number in numbers)
    try:
        if _is_there(process):
            for number in numbers:
                signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return not _is_there(process) or all(_kill(process.pid, number) for number in numbers)
    finally:
        os.close(descriptor)
    return True


def _is_there(process: Process) -> bool:
    stat = read(process.pid)
    return stat is not None and stat.process == process


def _kill(pid: int, number: int) -> bool:
    """Send a signal; False when it is forbidden: a child with other credentials, such as one started by sudo."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _lower(which: int, who: int) -> None:
    try:
        os.setpriority(which, who, _LOWEST)
    except (ProcessLookupError, PermissionError):
        return
