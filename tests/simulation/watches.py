"""Watches of the model etcd: each sidecar's set of them at one member, and when their events arrive.

Each key watched is a watch of its own, as is the queue, as is the spec: each brings its events in order, but they
overtake one another. An event that two of them match arrives twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from leasehold.election import commands as cmd
from leasehold.election import events as ev

from .cluster import Cluster, Member
from .store import Change, Compacted


class Listener(Protocol):
    """Whoever watches: a sidecar's process, seen from the network."""

    lease: int | None

    def delay(self) -> float | None:
        """Seconds that an event takes on its way now; None when it is lost, and the connection with it."""

    def is_ended_by(self, change: Change) -> bool:
        """Whether this change ends its candidate."""

    def hear(self, watcher: Watcher, event: ev.Event) -> None:
        """An event has arrived."""


class Watcher:
    """What one `Watch` command started."""

    def __init__(self, command: cmd.Watch, member: Member, listener: Listener) -> None:
        self.command, self.member, self.listener = command, member, listener
        self.closed: float | None = None
        self.silent = False
        """Whether it is as if open, and brings nothing any more."""
        self._lanes: dict[str, float] = {}

    def lanes(self, change: Change) -> list[str]:
        """Which watches of this set match the change."""
        if isinstance(change, ev.SpecChanged):
            return ["spec"] if self.command.spec else []
        key = change.key if isinstance(change, ev.EntryGone) else change.entry.key
        lanes = [key] if key in self.command.keys else []
        return [*lanes, "queue"] if self.command.queue else lanes

    def arrival(self, lane: str, earliest: float, delay: float) -> float:
        """When the next event of this watch arrives: never before the one sent before it."""
        instant = max(self._lanes.get(lane, 0.0), earliest + delay)
        self._lanes[lane] = instant
        return instant

    @property
    def is_open(self) -> bool:
        return self.closed is None and not self.silent


class Hub:
    """Carries what the quorum agreed on to those who watch."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.watchers: list[Watcher] = []
        self.on_told: Callable[[int, float, Watcher], None] = lambda lease, instant, watcher: None
        """Called for each deletion of a watcher's own key: when any sound watch of it would have told it."""
        self._published = cluster.store.revision

    def register(self, watcher: Watcher) -> None:
        """A `Watch` command has reached its member: send what has happened since its revision."""
        if watcher.closed is not None:
            return
        if watcher.member.hung:
            watcher.member.parked.append(lambda: self.register(watcher))
            return
        if not (watcher.command.keys or watcher.command.queue or watcher.command.spec):
            watcher.closed = self.cluster.timeline.now
            return
        try:
            past = self.cluster.store.since(watcher.command.revision)
        except Compacted:
            self._send(watcher, "spec", ev.WatchLost("compacted"))
            watcher.silent = True
            return
        self.watchers.append(watcher)
        for _, changes in past:
            for change in changes:
                self._offer(watcher, change, resync=0.1)

    def publish(self) -> None:
        """Something was agreed on."""
        store = self.cluster.store
        fresh = [change for change in store.history[-8:] if change[0] > self._published]
        self._published = store.revision
        if any(watcher.closed is not None for watcher in self.watchers):
            self.watchers = [watcher for watcher in self.watchers if watcher.closed is None]
        for _, changes in fresh:
            for watcher in self.watchers:
                for change in changes:
                    self._offer(watcher, change)

    def reset(self) -> None:
        """The store was restored: nobody watches it."""
        self.watchers.clear()
        self._published = self.cluster.store.revision

    def _offer(self, watcher: Watcher, change: Change, resync: float = 0.0) -> None:
        member = watcher.member
        if not watcher.is_open:
            return
        if not member.is_well:
            member.parked.append(lambda: self._offer(watcher, change))
            return
        lanes, lease = watcher.lanes(change), watcher.listener.lease
        if lease is not None and watcher.listener.is_ended_by(change):
            instant = max([self._send(watcher, lane, change, resync) for lane in lanes or ["missing"]])
            self.on_told(lease, instant, watcher)
        else:
            for lane in lanes:
                self._send(watcher, lane, change, resync)

    def _send(self, watcher: Watcher, lane: str, event: ev.Event, resync: float = 0.0) -> float:
        """Put an event on its way; the instant of its arrival, endless when it is lost."""
        delay = watcher.listener.delay()
        if delay is None:
            watcher.silent = True
            return float("inf")
        timeline = self.cluster.timeline
        instant = watcher.arrival(lane, timeline.now + self.cluster.rng.uniform(0.0, resync), delay)
        if lane != "missing":
            timeline.at(instant, watcher.listener.hear, watcher, event)
        return instant
