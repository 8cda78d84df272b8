"""What lies between sidecars and members: delays, losses, duplicates, late arrivals, cuts.

A message is normally a few milliseconds on its way. On a *rough* link it may be lost, slow, or very late: then it
takes effect long after its sender has given up on it. On a *cut* link all is lost, or held until the cut is mended.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leasehold.election import events as ev

from .cluster import Member
from .service import Request

if TYPE_CHECKING:
    from .host import Host
    from .node import Connection, Process
    from .world import World

LATE = 12.0
"""The most seconds that a request may be late."""


@dataclass(slots=True)
class Link:
    """One host's way to etcd."""

    rough: float = 0.0
    """The share of messages that meet with trouble."""
    cut: set[int] = field(default_factory=set)
    """Places (in the list of members) of those it cannot reach."""
    rejects: bool = False
    """Whether a cut is noticed at once (no route to host), and nothing is lost in silence."""
    slow: float = 0.0
    """The most seconds by which answers come late, though they come."""
    held: list[Callable[[], None]] = field(default_factory=list)


class Network:
    """Carries requests to members, and brings their answers back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng: random.Random = world.rng
        self.links: dict[str, Link] = {}

    def link(self, process: Process) -> Link:
        return self.links.setdefault(process.host.name, Link())

    def mend(self, host: Host) -> None:
        """End a cut: what was held goes on now; a connection that lost something does not survive."""
        link, process = self.links[host.name], host.process
        link.cut.clear()
        if process is not None and process.watcher is not None and process.watcher.silent:
            process.when_awake(lambda: process.broken("connection reset"))
        held, link.held = link.held, []
        for action in held:
            self.world.timeline.after(self._usual(), action)

    # --- to etcd

    def carry(self, process: Process, action: Callable[[], None], request: Request | None = None) -> None:
        """Bring a request, or without one the start of a watch, to the process's member."""
        link, member, watcher = self.link(process), process.member, process.watcher
        connection = process.connect()

        def arrive() -> None:
            restarted = connection.boot != member.boots  # it knows no old connection
            if member.down or restarted or (link.rejects and process.host.connection in link.cut):
                self._refuse(process, connection, request)
            else:
                action()

        delay = self._delay_of_request(link, process, arrive)
        if delay is not None:
            self.world.timeline.after(delay, arrive)
        elif request is None:
            self._miss(process, lambda: process.watcher is watcher)

    def _delay_of_request(self, link: Link, process: Process, arrive: Callable[[], None]) -> float | None:
        """Seconds on the way; None for never, or not before the link is mended."""
        if process.host.connection in link.cut and not link.rejects:
            if self.rng.random() < 0.3:
                link.held.append(arrive)
            return None
        if self.rng.random() >= link.rough:
            return self._usual()
        luck = self.rng.random()
        if luck < 0.3:
            return None
        return self.rng.uniform(0.05, 2.5) if luck < 0.7 else self.rng.uniform(1.0, LATE)

    def _usual(self) -> float:
        return self.rng.uniform(0.0005, 0.004)

    def _miss(self, process: Process, still: Callable[[], bool]) -> None:
        """The start of a watch was lost: its client notices by its own timeout."""

        def give_up() -> None:
            if still():
                process.broken("the watch was not started")

        self.world.timeline.after(self.world.patience, process.when_awake, give_up)

    def _refuse(self, process: Process, connection: Connection, request: Request | None) -> None:
        """Nobody listens at that address."""

        def fail() -> None:
            if request is None and process.connection is connection:
                process.broken("connection refused")
            elif request is not None and process.pending.get(getattr(request.command, "op", 0)) is request:
                process.fail(request, "connection refused")

        self.world.timeline.after(self._usual(), process.when_awake, fail)

    def hang_up(self, member: Member) -> None:
        """The member's process ended: its connections break, though not all clients hear of it."""
        for host in self.world.hosts:
            process = host.process
            if process is not None and process.member is member and self.rng.random() < 0.8:
                self.world.timeline.after(self._usual(), process.when_awake, self._breaker(process, member))

    def _breaker(self, process: Process, member: Member) -> Callable[[], None]:
        def hear() -> None:
            if process.member is member:
                process.broken("connection reset")

        return hear

    # --- from etcd

    def bring(self, process: Process, connection: Connection, request: Request, event: ev.Event) -> None:
        """Bring an answer back, if its connection still stands when it arrives; now and then even if not."""
        link = self.link(process)
        if process.connection is not connection and self.rng.random() < 0.7:
            return
        place = self.world.cluster.members.index(request.member)
        if place in link.cut:
            return
        delay = self._delay_of_answer(link)
        if delay is not None:
            self.world.timeline.after(delay, process.when_awake, lambda: self._deliver(process, connection, event))
        if link.rough and self.rng.random() < 0.3 * link.rough:
            again = self.rng.uniform(0.001, LATE)
            self.world.timeline.after(again, process.when_awake, lambda: process.take(event))

    def _deliver(self, process: Process, connection: Connection, event: ev.Event) -> None:
        if process.connection is connection or self.rng.random() < 0.3:
            process.take(event)

    def _delay_of_answer(self, link: Link) -> float | None:
        if link.slow:
            return self.rng.uniform(0.0, link.slow)
        if self.rng.random() >= link.rough:
            return self._usual()
        return None if self.rng.random() < 0.3 else self.rng.uniform(0.05, 2.5)

    def delay_of_event(self, process: Process) -> float | None:
        """Seconds that a watch event takes now; None when the link is cut."""
        link = self.link(process)
        if process.host.connection in link.cut:
            return None
        return self._usual() if self.rng.random() >= link.rough else self.rng.uniform(0.005, 1.5)
