"""Signals to a whole process tree, so that no process escapes. Linux only.

There is little time to stop a tree, and the tree may use up the machine. So each function first does what a single
system call can do, then goes from process to process and reads as little as possible about each.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from typing import Final

from leasehold.exec.process_tree import Process, Stat, descendants, read, started_now, walk

_MAX_WALKS: Final = 50
_LOWEST_PRIORITY: Final = 19


def terminate(group: int | None, more_time: Callable[[], bool], *, urgent: bool) -> None:
    """Send TERM, once each, to the process group and to all others below this process, while there is `more_time`.

    A second TERM would mean "at once" to many programs. Stopped processes are continued, because they could not handle
    it otherwise. If it is `urgent`, all get the lowest priority, so that a tree that fills the machine leaves us time.
    """
    if group is not None and urgent:
        _lower(os.PRIO_PGRP, group)
    began = started_now()
    sent = group is not None and send_group(group, signal.SIGTERM)
    if group is not None and sent:
        send_group(group, signal.SIGCONT)
    met: set[Process] = set()
    fresh = _unmet(met, math.inf, more_time)
    while fresh and more_time():
        for stat in fresh:
            if not (sent and stat.group == group):
                _deliver(stat, signal.SIGTERM, signal.SIGCONT)
                if urgent:
                    _lower(os.PRIO_PROCESS, stat.process.pid)
        fresh = _unmet(met, began, more_time)


def _unmet(met: set[Process], before: float, more_time: Callable[[], bool]) -> list[Stat]:
    """The descendants that are not in `met`, which this adds to it; of these, the ones that started `before` that time.

    If a parent dies of its TERM during a walk, its children become ours, and the walk misses them. So the caller walks
    until nothing new is found. Processes that started after the first TERM are a clean-up, and left alone.
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
    """Kill all descendants of this process, once. Returns False if some of them may not be killed.

    `group` is a process group of descendants only: most trees are a single group, and end with one system call.
    `spared` are children to leave alone, with their descendants. Repeat this until no other child is left.
    """
    if group is not None:
        send_group(group, signal.SIGKILL)
    stopped = _StoppedProcesses(os.getpid(), spared)
    stopped.settle()
    return stopped.kill()


class _StoppedProcesses:
    """The descendants of `root`, which must be this process, that were stopped by SIGSTOP.

    A stopped process cannot fork. So nothing can outrun a walk from the root down that stops each process as it finds
    it, and each stopped process leaves more of the machine to the walk. Orphans become children of the root at once: a
    chain of processes that fork and die within microseconds can only be caught there.
    """

    def __init__(self, root: int, spared: frozenset[int]) -> None:
        self._root = root
        self._spared = spared
        self._own: set[int] = set()
        """Children of the root: until the root reaps them, no other process can get their ids."""
        self._others: dict[Process, Stat] = {}

    def settle(self) -> None:
        """Walk until nothing new is found; at most so often that the caller should kill and start over."""
        for _ in range(_MAX_WALKS):
            if not self._walk() and not self._search():
                return

    def kill(self) -> bool:
        """Kill all of them. Returns False if some may not be killed."""
        others = [_deliver(stat, signal.SIGKILL) for stat in self._others.values()]
        return all([*others, *(_kill(pid, signal.SIGKILL) for pid in self._own)])

    def _walk(self) -> bool:
        """Walk once from the root down; returns whether anything was new."""
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
        """Search all of /proc for processes that the walk missed; returns whether anything was new."""
        known = len(self._others)
        for stat in descendants(self._root, self._spared):
            self._stop(stat)
        return len(self._others) > known

    def _stop(self, stat: Stat) -> None:
        if stat.process.pid not in self._own and stat.process not in self._others:
            self._others[stat.process] = stat
            _deliver(stat, signal.SIGSTOP)


def send_group(group: int, number: int) -> bool:
    """Send a signal to a whole process group at once, so that nothing it forks meanwhile escapes.

    Returns False if there is no such group, or not yet.
    """
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it exists, but we may signal none of its processes
    return True


def _deliver(stat: Stat, *numbers: int) -> bool:
    """Send signals to exactly this process, never to another with its id. Returns False if the kernel forbids it."""
    process = stat.process
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:  # it has ended, the kernel is old, or a seccomp profile forbids this call
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
    """Send a signal. Returns False if that is forbidden: for example, for a child of sudo with other credentials."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _lower(which: int, who: int) -> None:
    try:
        os.setpriority(which, who, _LOWEST_PRIORITY)
    except (ProcessLookupError, PermissionError):
        return
