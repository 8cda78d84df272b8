"""Why a sidecar does not lead: one value, with a code for programs and a sentence for people.

It is made where the cause is known (`why_not.py` reads it off the election), and shown unchanged by `/leader`,
`/readyz`, `state.json`, the metric and the log. `REASONS` lists each code with its sentence; documentation and tests
go by that table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Code(StrEnum):
    """What keeps a sidecar from standing in the queue, or from leading."""

    STARTING = "starting"
    STOPPING = "stopping"
    PAUSED = "paused"
    APP_STARTING = "app-starting"
    APP_UNHEALTHY = "app-unhealthy"
    JOINING = "joining"
    RESUMING = "resuming"
    UNDECLARED = "undeclared"
    ETCD_UNREACHABLE = "etcd-unreachable"
    ETCD_LOGIN = "etcd-login"
    ETCD_FULL = "etcd-full"
    ETCD_REFUSES = "etcd-refuses"
    ETCD_LOST_DATA = "etcd-lost-data"
    KEY_LOST = "key-lost"
    TAKEN_OVER = "taken-over"
    UNCONFIRMED = "unconfirmed"
    DRAINING = "draining"
    LEAVING = "leaving"
    DELETING = "deleting"
    SUSPENDED = "suspended"
    SPEC_UNREADABLE = "spec-unreadable"
    BEHIND = "behind"
    TOKEN_LIMIT = "token-limit"
    PREFERRED = "preferred"
    NEXT = "next"


class Wording(NamedTuple):
    """A code in words. `in_queue` is whether a sidecar with this reason has a place in the queue.

    `until` is what happens in so many seconds, `{}`; empty if nothing passes by itself.
    """

    sentence: str
    in_queue: bool
    until: str = ""


REASONS: Final[dict[Code, Wording]] = {
    Code.STARTING: Wording("the sidecar is starting", False),
    Code.STOPPING: Wording("the sidecar is stopping", False),
    Code.PAUSED: Wording("paused; POST /resume on the control listener lets it join again", False),
    Code.APP_STARTING: Wording("the app has not answered as healthy yet", False),
    Code.APP_UNHEALTHY: Wording("the app is unhealthy", False, "no answer counts for another {} s"),
    Code.JOINING: Wording("joining the queue", False),
    Code.RESUMING: Wording("taking up the term of this pod's earlier process", False),
    Code.UNDECLARED: Wording("the lock is not declared, and --require-lock demands that", False, "looks again in {} s"),
    Code.ETCD_UNREACHABLE: Wording("etcd does not answer", False),
    Code.ETCD_LOGIN: Wording("etcd does not accept the user or its rights", False),
    Code.ETCD_FULL: Wording("etcd has no space left", False),
    Code.ETCD_REFUSES: Wording("etcd refuses the request", False),
    Code.ETCD_LOST_DATA: Wording("etcd has lost data; joining again", False),
    Code.KEY_LOST: Wording("lost its place in the queue; joining again", False),
    Code.TAKEN_OVER: Wording("another process acts for this sidecar's key", False),
    Code.UNCONFIRMED: Wording("the lease deadline has passed without a confirmed keep-alive", True),
    Code.DRAINING: Wording(
        "no longer leads, and keeps its key until the protected work has stopped", True, "{} s left for that"
    ),
    Code.LEAVING: Wording("giving up its place in the queue", True),
    Code.DELETING: Wording("the lock is being deleted", True),
    Code.SUSPENDED: Wording("the lock is suspended", True),
    Code.SPEC_UNREADABLE: Wording("the lock's spec cannot be read, and the last good one suspends the lock", True),
    Code.BEHIND: Wording("others stand ahead in the queue", True),
    Code.TOKEN_LIMIT: Wording("the lock asks every holder up to a token above this one to hand over", True),
    Code.PREFERRED: Wording("the lock prefers another candidate", True),
    Code.NEXT: Wording("its turn has come, and it reads the queue before it leads", True),
}
"""Each code in words. The etcd codes also name what keeps a waiter's lease unconfirmed: then it is in the queue."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a sidecar does not lead. Instants are seconds of the clock that the snapshot's deadline is on."""

    code: Code
    detail: str = ""
    """What is known beyond the code's own sentence; a clause without a full stop."""
    since: float = 0.0
    """When this code became the reason; a new detail does not change it."""
    until: float | None = None
    """When it passes, or is tried again, without anybody's help; None if that is not known."""

    def sentence(self, now: float) -> str:
        """The reason for a person, as of `now`: what, why, and for how much longer; without a full stop."""
        wording = REASONS[self.code]
        text = f"{wording.sentence}: {self.detail}" if self.detail else wording.sentence
        left = 0.0 if self.until is None else self.until - now
        return f"{text}; {wording.until.format(math.ceil(left))}" if wording.until and left > 0 else text
