"""What the rest of the process sees of the election: its state, published after each event. Frozen."""

from __future__ import annotations

from enum import StrEnum

from leasehold.base.records import dataclass
from leasehold.lock.names import LockName
from leasehold.lock.reason import Reason


class State(StrEnum):
    """Where a sidecar stands in the election; the transitions are listed in `election.py`."""

    IDLE = "idle"
    JOINING = "joining"
    WAITING = "waiting"
    HOLDING = "holding"
    UNSURE = "unsure"
    YIELDING = "yielding"


class Cause(StrEnum):
    """Why a candidate gives up its place on purpose."""

    SHUTDOWN = "shutdown"
    REQUEST = "request"
    PAUSE = "pause"
    PREFERRED = "preferred"
    UNHEALTHY = "unhealthy"
    SUSPENDED = "suspended"
    CAPACITY = "capacity"
    TOKEN = "token"
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the endpoint, metrics, state file and hooks ever see of the election."""

    lock: LockName
    identity: str
    state: State
    token: int | None = None
    """The fencing token: the create revision of our own key, while we have one."""
    key: str | None = None
    """That key in etcd: a write that compares its create revision with the token is fenced."""
    term_since: float | None = None
    """When this process first held under this token."""
    deadline: float | None = None
    """The lease deadline: holding is over then, whatever `state` still says."""
    leader: str | None = None
    """The identity of the first holder, as last seen; None when the lock was seen vacant or is unknown."""
    position: int | None = None
    """How many candidates stood ahead of ours when the queue was last read."""
    cause: Cause | None = None
    """While yielding: why."""
    last_error: str | None = None
    reason: Reason | None = None
    """Why this sidecar does not lead; None while it does. What the clock says since: `reason_at`."""

    def is_holding(self, now: float) -> bool:
        """Whether this sidecar may say at this instant that it leads."""
        return self.state is State.HOLDING and self.deadline is not None and now < self.deadline

    def valid_for(self, now: float) -> float:
        """Seconds for which that answer stays true unless renewed; 0 when not holding."""
        return max(0.0, self.deadline - now) if self.is_holding(now) and self.deadline is not None else 0.0
