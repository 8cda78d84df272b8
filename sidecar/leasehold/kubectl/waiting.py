"""Waiting until a Lock's status says something: one read, then a watch from there, and that again when it ends.

The conditions are pure. A status that is older than the spec, or that does not know who holds, never meets one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from leasehold.kubectl.change import Target, still
from leasehold.kubectl.errors import NotThereError, OutdatedError, UnreachableError
from leasehold.kubectl.lock import LockView
from leasehold.lock.names import LockName

Met = Callable[[LockView], bool]

_SLICE: Final = 60.0
"""Seconds of one watch. A connection that died in silence is noticed when they are over, at the latest."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


def goal(text: str) -> Met:
    """The condition that `--for` names."""
    if text == "free":
        return free
    return held_by(text.removeprefix("holder=")) if text.startswith("holder=") else held


def held(view: LockView) -> bool:
    """Somebody holds it."""
    return view.observed and view.held == "True"


def free(view: LockView) -> bool:
    """Nobody holds it."""
    return view.observed and view.held == "False"


def held_by(identity: str) -> Met:
    """The candidate of this identity is one of the holders."""
    return lambda view: held(view) and any(holder.identity == identity for holder in view.holders)


def given_up(meant: Target) -> Met:
    """None of those who were meant holds any more, whoever does now."""
    return lambda view: view.observed and not still(view, meant)


class Watchable(Protocol):
    """The part of a cluster that waiting needs."""

    def find(self, lock: LockName) -> tuple[LockView | None, str]:
        """The Lock, and the point in history to watch from."""

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        """Each later state."""


class Waiting:
    """One wait. `last` is the Lock as it was last seen."""

    def __init__(
        self,
        cluster: Watchable,
        lock: LockName,
        met: Met,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.last: LockView | None = None
        self._cluster = cluster
        self._lock = lock
        self._met = met
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep

    def run(self) -> bool:
        """Whether the condition came true in time. NotThereError when the Lock is not there, or goes meanwhile.

        Other ClusterErrors when the first read fails: later ones are borne until the time is over.
        """
        end = self._clock() + self._timeout
        pause = _FIRST_PAUSE
        while True:
            began = self._clock()
            self._turn(end)
            if self._done() or (left := end - self._clock()) <= 0:
                return self._done()
            pause = _FIRST_PAUSE if self._clock() - began > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            self._sleep(min(left, pause * random.uniform(0.5, 1.5)))

    def _turn(self, end: float) -> None:
        """Look, and follow what comes after, until the connection or this watch's share of the time ends."""
        try:
            version = self._look()
            if not self._done():
                self._follow(version, end)
        except OutdatedError:
            pass  # the next turn looks anew
        except UnreachableError:
            if self.last is None:
                raise

    def _done(self) -> bool:
        return self.last is not None and self._met(self.last)

    def _look(self) -> str:
        found, version = self._cluster.find(self._lock)
        self._see(found)
        return version

    def _follow(self, version: str, end: float) -> None:
        """Look at each change until the condition is met, the time is over, or the watch ends."""
        seconds = min(_SLICE, end - self._clock())
        if seconds <= 0:
            return
        for seen in self._cluster.watch(self._lock, version, seconds):
            self._see(seen)
            if self._done() or self._clock() >= end:
                return

    def _see(self, found: LockView | None) -> None:
        if found is None:
            gone = "was deleted meanwhile" if self.last else "does not exist"
            raise NotThereError(f"The Lock {self._lock.name} in the namespace {self._lock.namespace} {gone}.")
        self.last = found
