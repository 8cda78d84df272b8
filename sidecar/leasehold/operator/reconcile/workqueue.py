"""The reconciler's queue of keys: each waits at most once, has one worker at a time, and can return later.

Level-triggered: a key says "reconcile this", not what happened, so any number of reasons are one reconcile. A key that
is added while a worker has it waits until that worker is done, then queues behind the others.

`DelayingQueue` decides and does no I/O. `WorkQueue` lets tasks wait for it.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from leasehold.base.backoff import Backoff

Key = TypeVar("Key", bound=Hashable)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0
_JITTER: Final = 0.25
"""Keys that failed together, because a server was away, must not return together."""


class DelayingQueue(Generic[Key]):
    """The order of keys. Times are seconds of one monotonic clock, passed by the caller."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()  # the same keys as in `_ready`
        self._working: set[Key] = set()
        self._again: set[Key] = set()  # added while a worker had them
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []  # an entry is stale if `_due` has another time for its key
        self._number = 0  # orders keys that are due at the same time, which need not be comparable

    def add(self, key: Key) -> None:
        """Queue the key, unless it waits already."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)

    def add_at(self, key: Key, due: float) -> None:
        """Queue the key at that time. Of several times the earliest counts: each reconcile asks for the next one."""
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._number += 1
            heapq.heappush(self._heap, (due, self._number, key))

    def take(self, now: float) -> Key | None:
        """The next key, which the caller works on until `done`; None if none is ready. Drops the key's later time."""
        self._promote(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._due.pop(key, None)
        self._working.add(key)
        return key

    def done(self, key: Key) -> None:
        """The work on this key has ended, successfully or not. Without this call the key never returns."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def next_due(self) -> float | None:
        """When the next delayed key is due; None if none is delayed."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def ready(self) -> int:
        """How many keys could be taken now."""
        return len(self._ready)

    def __len__(self) -> int:
        """How many keys are ready or worked on; delayed keys do not count."""
        return len(self._ready) + len(self._working)

    def _promote(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            self.add(key)


class WorkQueue(Generic[Key]):
    """A `DelayingQueue` to wait for, with a back-off per failing key. For one event loop; `clock` is monotonic.

    A worker calls `key = await get()`, does its work, calls `succeeded(key)` or `failed(key)`, and always `done(key)`.
    """

    def __init__(self, clock: Callable[[], float], rng: random.Random | None = None) -> None:
        self._clock = clock
        self._keys: DelayingQueue[Key] = DelayingQueue()
        self._rng = rng or random.Random()
        self._backoffs: dict[Key, Backoff] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many keys are ready or worked on."""
        return len(self._keys)

    def add(self, key: Key) -> None:
        """Queue the key now, even if it is failing: something about it has changed."""
        self._keys.add(key)
        self._wake()

    def add_after(self, key: Key, delay: float) -> None:
        """Queue the key in `delay` seconds. Of several such times the earliest counts."""
        self._keys.add_at(key, self._clock() + delay)
        self._wake()

    async def get(self) -> Key:
        """The next key, first come first served. It is the caller's until `done`."""
        while (key := self._keys.take(self._clock())) is None:
            await self._wait()
        self._wake()  # one timer may have made several keys ready
        return key

    def done(self, key: Key) -> None:
        """The work on this key has ended, successfully or not."""
        self._keys.done(key)
        self._wake()

    def failed(self, key: Key, at_least: float = 0.0) -> float:
        """Queue the key again after its back-off, or after `at_least` seconds if a server asked for that. The delay."""
        backoff = self._backoffs.get(key)
        if backoff is None:
            backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, _JITTER, self._rng)
            self._backoffs[key] = backoff
        delay = max(backoff.next_pause(), at_least)
        self.add_after(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """The work on this key succeeded: its back-off starts over."""
        self._backoffs.pop(key, None)

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._arm()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # this worker was chosen and cannot work: another one takes the key
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        """Wake one waiter if a key is ready. Otherwise set a timer for the next delayed key."""
        if not (self._keys.ready and self._wake_one()):
            self._arm()

    def _wake_one(self) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiters and (due := self._keys.next_due()) is not None:
            delay = max(0.0, due - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake_one()
