"""The newest snapshot of the election, and the listeners to newer ones. No I/O, no asyncio.

The runner publishes; endpoint, metrics, state file and hooks read and listen. Listeners are called synchronously, in
the election's own time: they take note and return. An exception of a listener is logged here and goes no further.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code, Reason

log = logging.getLogger("leasehold.publisher")

Clock = Callable[[], float]
"""Seconds of the clock that the snapshots' deadlines are on."""

Listener = Callable[[Snapshot, Snapshot], None]
"""Called with the snapshot before and the one now in force."""


def first_snapshot(lock: LockName, identity: str, now: float) -> Snapshot:
    """What is shown before the election begins."""
    return Snapshot(lock, identity, State.IDLE, reason=Reason(Code.STARTING, since=now))


class Publisher:
    """The newest snapshot, and the clock that its deadline is on."""

    def __init__(self, first: Snapshot, clock: Clock) -> None:
        self.snapshot = first
        self.clock = clock
        self._listeners: list[Listener] = []
        self._changes: deque[tuple[Snapshot, Snapshot]] = deque()

    def publish(self, snapshot: Snapshot) -> None:
        """Put this snapshot in force, and notify every listener if it differs from the one before. Raises nothing."""
        self.put(snapshot)
        self.notify()

    def put(self, snapshot: Snapshot) -> None:
        """Put this snapshot in force; `notify` is to follow soon. Between the two there is time for what is urgent."""
        before = self.snapshot
        # one that is equal is not put in its place: whoever keeps snapshots keeps fewer
        if before != snapshot:
            self.snapshot = snapshot
            self._changes.append((before, snapshot))

    def notify(self) -> None:
        """Notify every listener of each change that it does not know yet, in their order. Raises nothing."""
        while self._changes:
            before, after = self._changes.popleft()
            for listener in tuple(self._listeners):  # a copy: a listener may stop listening when it is called
                _notify(listener, before, after)

    def listen(self, listener: Listener, *, first: bool = False) -> Callable[[], None]:
        """Call `listener` on each change from now on. Returns a function that ends that; it may be called twice.

        `first` is for those that somebody waits for: they are called before all who listen so far.
        """
        self._listeners.insert(0 if first else len(self._listeners), listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop


def _notify(listener: Listener, before: Snapshot, after: Snapshot) -> None:
    try:
        listener(before, after)
    except Exception:  # a broken listener must not end the election
        log.exception("a listener of the election's snapshots failed: %r", listener)
