"""What this pod wants of the election, and what its app says of itself."""

from __future__ import annotations

from leasehold.base.records import dataclass


@dataclass(frozen=True, slots=True)
class Intent:
    """What this pod wants."""

    started: bool = False
    paused: bool = False
    stopping: bool = False
    healthy: bool = True
    was_healthy: bool = False
    """Whether the app has been healthy before; without a probe it counts as that."""
    problem: str = ""
    """What is wrong with the app, while it is unhealthy."""
    unhealthy_until: float | None = None
    """The instant before which no answer of the app makes it healthy."""

    @property
    def wants_candidate(self) -> bool:
        """Whether the pod wants to be in the queue."""
        return self.started and self.healthy and not self.paused and not self.stopping
