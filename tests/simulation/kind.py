"""What sort of schedule a seed stands for: how many members and hosts, which faults, how often, how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .fault import Fault
from .faults import FAULTS, LOSSES, THEMES

DRIFT = 0.01


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of schedule this is."""

    members: int
    hosts: int
    ttl: int
    faults: tuple[Fault, ...]
    pace: float
    """Mean number of faults in one TTL."""
    length: float
    """TTLs for which faults go on."""
    clocks_hold: bool
    brisk: bool
    """Nothing but crashes: a dead holder must be replaced within its TTL and a second."""


def draw(rng: random.Random) -> Kind:
    """A sort of schedule. Few kinds of faults in one schedule find more than all of them in each."""
    brisk, themed = rng.random() < 0.04, rng.random() < 0.25
    chosen = [rng.choice(THEMES), rng.choice(FAULTS)] if themed else rng.sample(FAULTS, rng.randint(2, 8))
    if rng.random() < 0.1:
        chosen.append(rng.choice(LOSSES))
    return Kind(
        members=3 if themed else rng.choice((1, 3)),
        hosts=rng.choice((2, 3, 3, 4)),
        ttl=rng.choice((3, 4, 5, 8, 15)),
        faults=tuple(fault for fault in FAULTS if fault.name == "crash") if brisk else tuple(chosen),
        pace=rng.choice((1.0, 2.0, 4.0)),
        length=rng.uniform(2.0, 5.0),
        clocks_hold=rng.random() >= 0.04,
        brisk=brisk,
    )
