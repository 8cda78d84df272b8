"""A pod's place: its host's clock and its state directory, which outlive its sidecar's process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig

from .disk import Disk
from .node import Process

if TYPE_CHECKING:
    from .world import World


class Host:
    """A pod's place: what outlives its sidecar's process. `rate` is how fast its clock runs."""

    def __init__(self, world: World, settings: ElectionConfig, rate: float) -> None:
        self.world, self.settings, self.rate = world, settings, rate
        self.name = settings.record.identity
        self.offset = world.rng.uniform(0.0, 1e5)
        self.disk = Disk(world.timeline, world.rng)
        self.process: Process | None = None
        self.connection = world.rng.randrange(len(world.cluster.members))

    def clock(self) -> float:
        return self.offset + self.rate * self.world.timeline.now

    def true(self, local: float) -> float:
        """The true instant at which this host's clock shows `local`."""
        return (local - self.offset) / self.rate

    def start(self, *, resume: bool) -> Process:
        """Start a sidecar process; with `resume` it finds its state directory as the last one left it."""
        if not resume:
            self.disk = Disk(self.world.timeline, self.world.rng)
        found = self.disk.found()
        incarnation = f"{self.world.rng.getrandbits(32):08x}"
        settings = replace(self.settings, record=replace(self.settings.record, incarnation=incarnation))
        self.process = Process(self, settings, found)
        self.world.trace.add(self.name, "starts", found or "afresh")
        self.process.take(ev.Start(found))
        return self.process

    def crash(self) -> None:
        if self.process is not None:
            self.world.trace.add(self.name, "dies", "")
            self.world.disturbed = self.world.timeline.now
            self.process.end()
            self.process = None
