"""Where the newest snapshot of the election is, and who wants to hear of a newer one. No I/O, no asyncio.

The runner publishes; endpoint, metrics, state file and hooks read and listen. Listeners are called
synchronously on the election's own time: they note what they need and return, and whatever they raise is
logged here, never passed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from leasehold.election.snapshot import Snapshot

log = logging.getLogger("leasehold.publisher")

Clock = Callable[[], float]
"""Seconds of the clock that the snapshots' deadlines are on."""

Listener = Callable[[Snapshot, Snapshot], None]
"""Called with the snapshot before and the one now in force."""


class Publisher:
    """The newest snapshot, and the clock by which its deadline is to be judged."""

    def __init__(self, first: Snapshot, clock: Clock) -> None:
        self.snapshot = first
        self.clock = clock
        self._listeners: list[Listener] = []

    def publish(self, snapshot: Snapshot) -> None:
        """Put this snapshot in force, and tell every listener if it is a new one. Raises nothing."""
        before, self.snapshot = self.snapshot, snapshot
        if before == snapshot:
            return
        for listener in tuple(self._listeners):  # a copy: a listener may stop listening while it is told
            _tell(listener, before, snapshot)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` on each change from now on. Returns what ends that; twice does no harm."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop


def _tell(listener: Listener, before: Snapshot, after: Snapshot) -> None:
    try:
        listener(before, after)
    except Exception:  # the election must go on whatever those who look at it do
        log.exception("a listener of the board failed: %r", listener)
