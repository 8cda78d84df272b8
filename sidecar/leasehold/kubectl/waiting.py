"""Waiting for a state of a Lock: one read, then a watch from there, and the same again when the watch ends.

The conditions are pure. A status that is older than the spec, or has an unknown holder, meets none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from leasehold.base.backoff import Backoff
from leasehold.kubectl.change import Target, still
from leasehold.kubectl.errors import OutdatedError, UnreachableError, not_there
from leasehold.kubectl.lock import LockView
from leasehold.lock.names import LockName

Met = Callable[[LockView], bool]

_WATCH_SECONDS: Final = 60.0
"""Duration of one watch. A connection that died in silence is noticed by its end."""
_FIRST_PAUSE_SECONDS: Final = 0.3
_LONGEST_PAUSE_SECONDS: Final = 7.5
_WORKING_WATCH_SECONDS: Final = 5.0
"""A watch that lasted for longer counts as a success, and pauses start over."""


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


def given_up(targets: Target) -> Met:
    """None of the targets holds any more."""
    return lambda view: view.observed and not still(view, targets)


class Watchable(Protocol):
    """The part of a cluster that waiting needs."""

    def find(self, lock: LockName) -> tuple[LockView | None, str]:
        """The Lock, and the resource version to watch from."""

    def watch(self, lock: LockName, version: str, seconds: float) -> Iterator[LockView | None]:
        """Each later state."""


class Clock(NamedTuple):
    """The time that a wait goes by, in seconds: what it is, and how it passes."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Waiting:
    """One wait. `last` is the newest known state of the Lock. `begun` is called if it has to wait at all."""

    def __init__(
        self,
        cluster: Watchable,
        lock: LockName,
        met: Met,
        timeout: float,
        *,
        begun: Callable[[LockView], None] = lambda _: None,
        clock: Clock = Clock(),  # noqa: B008 - a value that nobody can change
    ) -> None:
        self.last: LockView | None = None
        self._cluster = cluster
        self._lock = lock
        self._met = met
        self._timeout = timeout
        self._begun = begun
        self._clock = clock

    def run(self) -> bool:
        """Whether the condition came true in time. Raises NotThereError if there is no such Lock, or no longer.

        Raises other ClusterErrors only if the first read fails: later failures are retried until the time is over.
        """
        end = self._clock.now() + self._timeout
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, jitter=2 / 3)
        while True:
            began = self._clock.now()
            self._read_and_watch(end)
            if self._done() or (left := end - self._clock.now()) <= 0:
                return self._done()
            if self._clock.now() - began > _WORKING_WATCH_SECONDS:
                backoff.reset()
            self._clock.sleep(min(left, backoff.next_pause()))

    def _read_and_watch(self, end: float) -> None:
        """Read the Lock and watch it, until the watch or the time ends."""
        try:
            version = self._read()
            if not self._done():
                self._follow(version, end)
        except OutdatedError:
            pass  # the next turn reads again
        except UnreachableError:
            if self.last is None:
                raise

    def _done(self) -> bool:
        return self.last is not None and self._met(self.last)

    def _read(self) -> str:
        first = self.last is None
        found, version = self._cluster.find(self._lock)
        self._update(found)
        if first and self.last is not None and not self._done() and self._timeout > 0:
            self._begun(self.last)
        return version

    def _follow(self, version: str, end: float) -> None:
        """Follow the changes until the condition is met, the time is over, or the watch ends."""
        seconds = min(_WATCH_SECONDS, end - self._clock.now())
        if seconds <= 0:
            return
        for seen in self._cluster.watch(self._lock, version, seconds):
            self._update(seen)
            if self._done() or self._clock.now() >= end:
                return

    def _update(self, found: LockView | None) -> None:
        if found is None:
            raise not_there(self._lock, since_first_read=self.last is not None)
        self.last = found
