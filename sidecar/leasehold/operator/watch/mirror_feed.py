"""What keeps the mirror true: one reading of all locks in pages, then one watch on the root, for ever.

A watch tells nothing of its own end in the worst case: that of a frozen member is silent, and so is one with no events.
So a canary, a key of our own under the same root, is written every third of `silence`, and must come back through the
watch: then everything that was written before it has come as well. When the watch is lost, or the canary does not
come, everything is read again, and what differs is told; nothing is ever assumed about the time in between.

`store` says whether etcd can be trusted to be what the mirror shows. It becomes reachable with the first canary after a
reading, and unreachable when a second attempt in a row has failed: a restart of etcd or a move to another member is
not worth telling. Whether the mirror is behind at some instant, only `canary` can say.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from leasehold.etcd import EtcdClient, EtcdError, KeyValue, Watcher, WatchLost
from leasehold.lock.keys import prefix_end
from leasehold.lock.names import LockName
from leasehold.operator.plan.observed import EtcdState
from leasehold.operator.watch.ended_candidates import EndedCandidates
from leasehold.operator.watch.etcd_canary import EtcdCanary, WritesRefused
from leasehold.operator.watch.mirror import Listing, Mirror, locks_prefix

_log = logging.getLogger("leasehold.operator.mirror_feed")

PAGE: Final = 500
"""Keys that one request of the reading asks for: etcd answers it in milliseconds, and lets others in between."""
READ_AGAIN: Final = 60.0
"""Seconds after which everything is read again, while etcd refuses the canary and so the watch cannot be proven."""
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts; each pause is drawn between half of it and all of it."""


class MirrorFeed:
    """Keeps one mirror."""

    def __init__(
        self,
        client: EtcdClient,
        root: str,
        mirror: Mirror,
        *,
        identity: str,
        clock: Callable[[], float],
        changed: Callable[[LockName], None],
        store_changed: Callable[[EtcdState], None],
        silence: float,
    ) -> None:
        """`silence` is in seconds: how long a watch that no longer delivers can go unnoticed.

        `identity` names this replica's canary. `changed` and `store_changed` are called on the event loop and must not
        block. The user of etcd needs the right to read and write everything under `root`.
        """
        self._client = client
        self._root = root
        self._mirror = mirror
        self._clock = clock
        self._changed = changed
        self._store_changed = store_changed
        self._step = silence / 3
        self._canary = EtcdCanary(client, root, identity)
        self._departures = EndedCandidates(client, mirror, changed)
        self._arrived = asyncio.Event()
        self._reachable = False
        self._since = self._turned = clock()
        self._error = "etcd has not been read yet"
        self._proven_at: float | None = None
        self._failures = 0
        """Attempts in a row that came to no canary."""
        self._brief = 0
        """Attempts in a row that failed at once."""
        self._watched: Watcher | None = None

    @property
    def store(self) -> EtcdState:
        """etcd as a whole, as far as known."""
        return EtcdState(self._reachable, self._mirror.revision, self._since, self._error)

    def canary_age(self) -> float | None:
        """Seconds since the watch last brought a canary; None before the first. It grows while etcd is away."""
        return None if self._proven_at is None else self._clock() - self._proven_at

    def beat_age(self) -> float:
        """Seconds since the feed last got on, were it by noticing a failure: for a probe that must outlive etcd."""
        return self._clock() - self._turned

    async def run(self) -> None:
        """For ever. Raises what a bug raises: then the process must end."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                try:
                    await self._keep()
                except EtcdError as error:
                    self._failed(str(error))
                self._brief = self._brief + 1 if loop.time() < began + self._step else 0
                await asyncio.sleep(self._pause())
        finally:
            await self._departures.close()

    def _pause(self) -> float:
        """Seconds until the next attempt. One that took its time, such as a call without an answer, needs none."""
        if self._brief <= 1:
            return 0.0
        return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._brief - 2, 8)) * random.uniform(0.5, 1.0)

    # --- the state of etcd --------------------------------------------------------------------------------------

    def _failed(self, error: str) -> None:
        self._turned = self._clock()
        self._failures += 1
        _log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "the locks are read again: %s", error)
        if self._failures > 1 or not self._reachable:
            self._set_store(reachable=False, error=error)

    def _proven(self, error: str = "") -> None:
        """A canary has come; or, with an error, etcd answers reads and refuses it."""
        self._turned = self._clock()
        if not error:
            self._proven_at = self._turned
        self._failures = 0
        self._set_store(reachable=True, error=error)

    def _set_store(self, *, reachable: bool, error: str) -> None:
        if (reachable, error) == (self._reachable, self._error):
            return
        if reachable != self._reachable:
            self._since = self._clock()
            if reachable:
                _log.info("etcd is usable: the watch delivers")
            else:
                _log.warning("etcd is not usable: %s", error)
        self._reachable, self._error = reachable, error
        self._store_changed(self.store)

    # --- the reading --------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Read everything, then follow the watch until that fails. Ends with an EtcdError."""
        async with self._client.watch(timeout=self._step) as watcher:
            await self._read()
            connects = self._client.connects
            root = f"{self._root}/"
            await watcher.add(root, end=prefix_end(root), start_revision=self._mirror.revision + 1)
            if self._client.connects != connects:  # an etcd restored in between would have another history to tell
                raise WatchLost("the connection was lost between the reading and the watch")
            try:
                self._watched = watcher
                await _first_of(self._take_all(watcher), self._prove_for_ever())
            finally:
                self._watched = None
                self._arrived.set()

    async def _read(self) -> None:
        """Read all locks as they were at one revision, and tell what differs. Raises EtcdError."""
        prefix = locks_prefix(self._root)
        listing, end = Listing(self._root), prefix_end(prefix)
        page = await self._client.range(prefix, end=end, limit=PAGE, timeout=self._step)
        revision, connects = page.origin.revision, self._client.connects
        start = _take(listing, page.kvs)
        while page.more:
            self._turned = self._clock()
            page = await self._client.range(start, end=end, limit=PAGE, revision=revision, timeout=self._step)
            start = _take(listing, page.kvs)
        if self._client.connects != connects:
            raise WatchLost("the connection was lost during the reading")
        self._load(listing, revision, page.origin.cluster)

    def _load(self, listing: Listing, revision: int, cluster: int) -> None:
        before, known = self._mirror.revision, self._mirror.cluster
        touched = self._mirror.load(listing, revision, cluster)
        self._turned = self._clock()
        _log.info("the locks in etcd are read: %d, at revision %d", len(self._mirror.names()), revision)
        if revision < before or known not in (0, cluster):
            _log.warning("etcd is another, or lost data: its revision was %d and is %d", before, revision)
            self._store_changed(self.store)
        for name in touched:
            self._changed(name)

    # --- the watch ----------------------------------------------------------------------------------------------

    async def _take_all(self, watcher: Watcher) -> None:
        async for batch in watcher:
            for event in batch.events:
                touched = self._mirror.apply(event)
                if touched is not None and touched.gone is not None:
                    self._departures.went(touched.lock, touched.gone, self._step)
                elif touched is not None:
                    self._changed(touched.lock)
            self._arrived.set()
            await asyncio.sleep(0)  # a flood of events must not hold up everything else
        raise WatchLost("the watch was closed")

    async def _prove_for_ever(self) -> None:
        refused_since: float | None = None
        while True:
            try:
                await self.canary()
                self._proven()
                refused_since = None
            except WritesRefused as error:
                await self._read_anything()
                refused_since = refused_since or self._clock()
                self._proven(f"etcd takes no writes: {error}")
                if self._clock() > refused_since + READ_AGAIN:
                    raise WatchLost("etcd has refused the canary for a while, so that the watch is unproven") from None
            await asyncio.sleep(self._step)

    async def canary(self) -> None:
        """Return when the mirror holds all that was committed before this call; within two thirds of `silence`.

        For one who begins to act on the mirror, after having merely watched. Raises EtcdError or WritesRefused.
        """
        watched = self._watched
        if watched is None:
            raise WatchLost("the locks are just being read")
        loaded = self._mirror.revision
        revision = await self._canary.write(self._step)
        if revision <= loaded:
            raise WatchLost(f"etcd lost data: its revision is {revision}, and was {loaded}")
        try:
            async with asyncio.timeout(self._step):
                await self._reached(revision, watched)
        except TimeoutError:
            raise WatchLost(f"the watch was silent: a change did not come within {self._step:.3g} s") from None

    async def _reached(self, revision: int, watched: Watcher) -> None:
        while self._mirror.revision < revision and self._watched is watched:
            self._arrived.clear()
            await self._arrived.wait()
        if self._watched is not watched:
            raise WatchLost("the watch was lost")

    async def _read_anything(self) -> None:
        """A linearizable read: the member at the other end lives, and is in touch with the others."""
        await self._client.range(locks_prefix(self._root), timeout=self._step)


def _take(listing: Listing, kvs: tuple[KeyValue, ...]) -> bytes:
    """Add a page to a listing; where the next one begins."""
    for kv in kvs:
        listing.put(kv)
    return kvs[-1].key + b"\0" if kvs else b""


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run them side by side until one fails; its exception. The others are ended first."""
    tasks = [asyncio.create_task(work, name="mirror watch") for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
