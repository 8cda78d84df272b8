"""Exponential back-off with jitter: pauses that grow after failures and start over after a success."""

from __future__ import annotations

import random

from leasehold.base.records import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Pauses in seconds: `first` after one failure, doubling to `most`, each spread by up to `jitter` of itself."""

    first: float
    most: float
    jitter: float = 0.5
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_pause(self) -> float:
        """Count a failure; the seconds to wait before the next try."""
        pause = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return pause * self.rng.uniform(1.0 - self.jitter, 1.0)

    def reset(self) -> None:
        """A try succeeded: the next pause is the first again."""
        self.failures = 0
