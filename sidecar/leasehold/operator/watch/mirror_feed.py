"""Keeps the mirror up to date: reads all locks page by page, then follows one watch on the root.

A watch does not always report its own end. If its member is frozen, it is as silent as a watch without events. So every
third of `max_silence` a canary, a key of our own under the same root, is written and must come back through the watch.
When it has come back, everything written before it has come as well. If the watch is lost or the canary does not come,
everything is read again and the differences are notified. Nothing is assumed about the time in between.

`etcd_state` says whether etcd is what the mirror shows. It becomes reachable with the first canary after a reading, and
unreachable after two failed attempts in a row: a restart of etcd or a move to another member is not worth reporting.
Only `confirm` can say whether the mirror is behind at a given instant.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from leasehold.base.backoff import Backoff
from leasehold.base.side_by_side import side_by_side
from leasehold.base.time_limit import time_limit
from leasehold.candidate.listing import Listing
from leasehold.candidate.lock_reading import read_locks
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import EtcdError, WatchLost
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import locks_prefix, prefix_end
from leasehold.lock.names import LockName
from leasehold.operator.plan.model import EtcdState
from leasehold.operator.watch.ended_candidates import EndedCandidates
from leasehold.operator.watch.etcd_canary import EtcdCanary, WritesRefused
from leasehold.operator.watch.mirror import Mirror

_log = logging.getLogger("leasehold.operator.mirror_feed")

UNPROVEN_SECONDS: Final = 60.0
"""How long etcd may refuse the canary, so that the watch is unproven, before everything is read again."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 2.0


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """The root of the locks, the identity that names this replica's canary, and a time in seconds.

    `max_silence`: how long a watch that no longer delivers may go unnoticed.
    """

    root: str
    identity: str
    max_silence: float


@dataclass(frozen=True, slots=True)
class FeedListener:
    """Callbacks on the event loop, which must not block: a lock's keys have changed, the state of etcd has changed."""

    lock_changed: Callable[[LockName], None]
    etcd_changed: Callable[[EtcdState], None]


class MirrorFeed:
    """Feeds one mirror. etcd's user needs the right to read and write everything under the root."""

    def __init__(
        self, client: EtcdClient, mirror: Mirror, config: FeedConfig, listener: FeedListener, clock: Callable[[], float]
    ) -> None:
        """`clock` gives monotonic seconds. The client is the caller's to close."""
        self._client = client
        self._root = config.root
        self._mirror = mirror
        self._clock = clock
        self._listener = listener
        self._step = config.max_silence / 3
        self._canary = EtcdCanary(client, config.root, config.identity)
        self._ended = EndedCandidates(client, mirror, listener.lock_changed)
        self._arrived = asyncio.Event()
        self._reachable = False
        self._since = self._progressed_at = clock()
        self._error = "etcd has not been read yet"
        self._proven_at: float | None = None
        self._failures = 0
        """Attempts in a row that saw no canary."""
        self._brief_attempts = 0
        """Attempts in a row that ended at once."""
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._watcher: Watcher | None = None

    @property
    def etcd_state(self) -> EtcdState:
        """The state of etcd as far as it is known."""
        return EtcdState(self._reachable, self._mirror.revision, self._since, self._error)

    @property
    def pending_ends(self) -> int:
        """How many ended candidates have yet to be looked up in etcd."""
        return self._ended.pending

    def canary_age(self) -> float | None:
        """Seconds since the watch last delivered a canary; None before the first. It grows while etcd is away."""
        return None if self._proven_at is None else self._clock() - self._proven_at

    def seconds_since_progress(self) -> float:
        """Seconds since the feed last made progress. Noticing a failure is progress: probes must outlive an outage."""
        return self._clock() - self._progressed_at

    async def run(self) -> None:
        """Feed the mirror until cancelled. Raises only what a bug raises; then the process must end."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                try:
                    await self._read_and_follow()
                except EtcdError as error:
                    self._on_failure(str(error))
                await asyncio.sleep(self._pause(was_brief=loop.time() < began + self._step))
        finally:
            await self._ended.close()

    def _pause(self, *, was_brief: bool) -> float:
        """Seconds until the next attempt. An attempt that took its time, such as a call without an answer, needs none.

        Nor does the first brief one: after a working watch the next attempt usually succeeds.
        """
        if not was_brief:
            self._brief_attempts = 0
            self._backoff.reset()
            return 0.0
        self._brief_attempts += 1
        return self._backoff.next_pause() if self._brief_attempts > 1 else 0.0

    # --- the state of etcd --------------------------------------------------------------------------------------

    def _on_failure(self, error: str) -> None:
        self._progressed_at = self._clock()
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG  # reasons differ from attempt to attempt
        _log.log(level, "the locks are read again: %s", error)
        if self._failures > 1 or not self._reachable:
            self._set_state(reachable=False, error=error)

    def _on_answer(self, error: str = "") -> None:
        """A canary has arrived. With an error: etcd answers reads but refuses the canary."""
        self._progressed_at = self._clock()
        if not error:
            self._proven_at = self._progressed_at
        self._failures = 0
        self._set_state(reachable=True, error=error)

    def _set_state(self, *, reachable: bool, error: str) -> None:
        if (reachable, error) == (self._reachable, self._error):
            return
        if reachable != self._reachable:
            self._since = self._clock()
            if reachable:
                _log.info("etcd is reachable and the watch delivers")
            else:
                _log.warning("etcd is unreachable: %s", error)
        self._reachable, self._error = reachable, error
        self._listener.etcd_changed(self.etcd_state)

    # --- the reading --------------------------------------------------------------------------------------------

    async def _read_and_follow(self) -> None:
        """Read everything, then follow the watch until it fails. Ends with an EtcdError."""
        async with self._client.watch(timeout=self._step) as watcher:
            await self._read()
            connects = self._client.connects
            root = f"{self._root}/"
            await watcher.add(root, end=prefix_end(root), start_revision=self._mirror.revision + 1)
            if self._client.connects != connects:  # an etcd restored in between would report another history
                raise WatchLost("the connection was lost between the reading and the watch")
            try:
                self._watcher = watcher
                await self._follow(watcher)
            finally:
                self._watcher = None
                self._arrived.set()

    async def _follow(self, watcher: Watcher) -> None:
        """Apply events and prove the watch until either fails. Raises EtcdError, or a group that contains a bug."""
        works = {"mirror watch": self._apply_events(watcher), "mirror canary": self._prove_watch()}
        await side_by_side(EtcdError, works)

    async def _read(self) -> None:
        """Read all locks as of one revision and notify the differences. Raises EtcdError."""
        reading = await read_locks(self._client, self._root, timeout=self._step, on_page=self._on_page)
        self._load(reading.listing, reading.revision, reading.cluster)

    def _on_page(self) -> None:
        self._progressed_at = self._clock()

    def _load(self, listing: Listing, revision: int, cluster: int) -> None:
        before, known_cluster = self._mirror.revision, self._mirror.cluster
        changed = self._mirror.load(listing, revision, cluster)
        self._progressed_at = self._clock()
        _log.info("read %d locks from etcd at revision %d", len(self._mirror.names()), revision)
        if revision < before or known_cluster not in (0, cluster):
            _log.warning("etcd was replaced or lost data: its revision was %d and is %d", before, revision)
            self._listener.etcd_changed(self.etcd_state)
        for name in changed:
            self._listener.lock_changed(name)

    # --- the watch ----------------------------------------------------------------------------------------------

    async def _apply_events(self, watcher: Watcher) -> None:
        async for batch in watcher:
            for event in batch.events:
                changed = self._mirror.apply(event)
                if changed is not None and changed.ended is not None:
                    self._ended.add(changed.lock, changed.ended, self._step)
                elif changed is not None:
                    self._listener.lock_changed(changed.lock)
            self._arrived.set()
            await asyncio.sleep(0)  # a flood of events must not hold up everything else
        raise WatchLost("the watch was closed")

    async def _prove_watch(self) -> None:
        refused_since: float | None = None
        while True:
            try:
                await self.confirm()
                self._on_answer()
                refused_since = None
            except WritesRefused as error:
                await self._read_anything()
                refused_since = refused_since or self._clock()
                self._on_answer(f"etcd takes no writes: {error}")
                if self._clock() > refused_since + UNPROVEN_SECONDS:
                    raise WatchLost("etcd has refused the canary for a while, so that the watch is unproven") from None
            await asyncio.sleep(self._step)

    async def confirm(self) -> None:
        """Return once the mirror holds everything committed before this call; within two thirds of `max_silence`.

        For a caller that begins to act on the mirror after only watching. Raises EtcdError or WritesRefused.
        """
        watcher = self._watcher
        if watcher is None:
            raise WatchLost("the locks are just being read")
        loaded = self._mirror.revision
        revision = await self._canary.write(self._step)
        if revision <= loaded:
            raise WatchLost(f"etcd lost data: its revision is {revision}, and was {loaded}")
        try:
            async with time_limit(self._step):
                await self._reached(revision, watcher)
        except TimeoutError:
            raise WatchLost(f"the watch was silent: a change did not come within {self._step:.3g} s") from None

    async def _reached(self, revision: int, watcher: Watcher) -> None:
        while self._mirror.revision < revision and self._watcher is watcher:
            self._arrived.clear()
            await self._arrived.wait()
        if self._watcher is not watcher:
            raise WatchLost("the watch was lost")

    async def _read_anything(self) -> None:
        """A linearizable read: it succeeds only if the member is alive and in touch with the others."""
        await self._client.range(locks_prefix(self._root), timeout=self._step)
