"""The reconciler's queue of keys: each waits once, is worked on by one worker at a time, and comes again when told so.

Level-triggered: a key says "look at this again", never what happened, so any number of reasons are one look. A key
that is added while it is worked on waits until that work is done, then takes its turn behind the others. Whatever a
closed queue still held is forgotten: the next start looks at everything.

`Turns` decides, and does no I/O; `WorkQueue` lets tasks wait for it.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 60.0


class QueueClosed(Exception):
    """There is nothing more to work on: the queue was closed."""


class Turns(Generic[Key]):
    """Whose turn it is. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()  # the same keys as in `_ready`
        self._working: set[Key] = set()
        self._again: set[Key] = set()  # added while they were worked on
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []  # entries that `_due` contradicts are stale
        self._number = 0  # orders the keys that are due at the same time, which need not be comparable

    def add(self, key: Key) -> None:
        """The key wants a look as soon as it is its turn."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)

    def add_at(self, key: Key, due: float) -> None:
        """The key wants a look at that time; of several times the earliest counts, as each look asks for the next."""
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._number += 1
            heapq.heappush(self._heap, (due, self._number, key))

    def take(self, now: float) -> Key | None:
        """The next key, now being worked on until `done`; None when none is ready. A later time it had is dropped."""
        self._promote(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._due.pop(key, None)
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        """The work on this key has ended, well or not. Without it the key never comes again."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """When the next delayed key is due; None when none is delayed."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def ready(self) -> int:
        """How many keys could be worked on now."""
        return len(self._ready)

    def __len__(self) -> int:
        """How many keys are ready or worked on; those that wait for a time are at rest."""
        return len(self._ready) + len(self._working)

    def _promote(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            self.add(key)


class Backoff(Generic[Key]):
    """How long a failing key waits: 0.5 s, doubled by each failure in a row up to 60 s, less up to a quarter.

    The random part keeps keys that failed together, when a server went away, from coming back together.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures: dict[Key, int] = {}

    def failed(self, key: Key) -> float:
        """Seconds to wait after one more failure."""
        failures = self._failures.get(key, 0)
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0**failures)
        if delay < LONGEST_DELAY:
            self._failures[key] = failures + 1
        return delay * (1 - self._chance() / 4)

    def ok(self, key: Key) -> None:
        """The key's failures are forgotten."""
        self._failures.pop(key, None)


class WorkQueue(Generic[Key]):
    """`Turns` to wait for. Of one event loop; `clock` gives monotonic seconds.

    A worker: `key = await get()`, its work, then `ok(key)` or `failed(key)`, and always `done(key)`.
    """

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._turns: Turns[Key] = Turns()
        self._backoff: Backoff[Key] = Backoff(chance)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many keys are ready or worked on."""
        return len(self._turns)

    def add(self, key: Key) -> None:
        """The key wants a look as soon as it is its turn, also if it is failing: something about it has changed."""
        if not self._closed:
            self._turns.add(key)
            self._wake()

    def add_at(self, key: Key, delay: float) -> None:
        """The key wants a look in `delay` seconds; of several such times the earliest counts."""
        if not self._closed:
            self._turns.add_at(key, self._clock() + delay)
            self._wake()

    async def get(self) -> Key:
        """The next key, first come first served; it is the caller's until `done`. Raises QueueClosed."""
        while not self._closed:
            if (key := self._turns.take(self._clock())) is not None:
                self._wake()  # one timer may have made several keys ready
                return key
            await self._wait()
        raise QueueClosed

    def done(self, key: Key) -> None:
        """The work on this key has ended, well or not."""
        self._turns.done(key)
        self._wake()

    def failed(self, key: Key, at_least: float = 0.0) -> float:
        """Have the key come again after its back-off, or the longer time that a server asked for. Gives the delay."""
        delay = max(self._backoff.failed(key), at_least)
        self.add_at(key, delay)
        return delay

    def ok(self, key: Key) -> None:
        """The work on this key went well: its next failure starts at the shortest delay again."""
        self._backoff.ok(key)

    def close(self) -> None:
        """End every `get`, now and later, with QueueClosed; what is being worked on is left to its worker."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._arm()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was this one's turn: another takes it
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        """Let one waiter look, if there is something to take; else see to it that a timer does in time."""
        while self._turns.ready and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiters and not self._closed and (due := self._turns.next_due()) is not None:
            delay = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
