"""What every fault has."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import ClassVar

from tests.nemesis.cluster_world import Candidate, World


class Fault:
    """One fault, once: made for a world, injected, healed. Whom it hits is decided when it is injected."""

    name: ClassVar[str]

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng

    def unavailable(self) -> str:
        """Why it cannot be done in this world, in one sentence; empty when it can."""
        return ""

    def available(self) -> bool:
        """Whether it can be done in this world."""
        return not self.unavailable()

    def inject(self) -> None:
        """Do it. May raise Unanswered where it needs etcd: then it may have been done."""
        raise NotImplementedError

    def heal(self) -> None:
        """Undo it, however much of it was done. Etcd is healthy again when a fault that needs it is healed."""

    def anybody(self) -> Candidate:
        """Whoever leads, more often than not; else any sidecar."""
        return self._chosen(self.world.candidates)

    def victim(self) -> Candidate:
        """As `anybody`, but one that no other fault has taken; it is this fault's own until all are healed."""
        chosen = self._chosen([one for one in self.world.candidates if one.name not in self.world.taken])
        self.world.taken.add(chosen.name)
        return chosen

    def _chosen(self, among: Sequence[Candidate]) -> Candidate:
        leader = self.world.leader()
        chosen = leader if leader and leader in among and self.rng.random() < 0.8 else self.rng.choice(among)
        self.world.say(f"{self.name}: {chosen.name}{' who leads' if chosen is leader else ''}")
        return chosen
