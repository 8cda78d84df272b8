"""Why a sidecar does not lead: one value, with a code for programs and a sentence for people.

It is made where the cause is known (`election/why_not.py` reads it off the election), and shown unchanged by `/leader`,
`/readyz`, `state.json`, the metric and the log. `REASONS` lists each code with its sentence; documentation and tests
go by that table.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple

from leasehold.base.records import dataclass


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
    """A code in words. `until` tells what passes by itself in so many seconds, `{}`; empty if nothing does."""

    sentence: str
    until: str = ""


REASONS: Final[dict[Code, Wording]] = {
    Code.STARTING: Wording("the sidecar is starting"),
    Code.STOPPING: Wording("the sidecar is stopping"),
    Code.PAUSED: Wording("paused; POST /resume on the control listener lets it join again"),
    Code.APP_STARTING: Wording("the app has not answered as healthy yet"),
    Code.APP_UNHEALTHY: Wording("the app is unhealthy", "no answer counts for another {} s"),
    Code.JOINING: Wording("joining the queue"),
    Code.RESUMING: Wording("taking up the term of this pod's earlier process"),
    Code.UNDECLARED: Wording("the lock is not declared, and --require-lock demands that", "looks again in {} s"),
    Code.ETCD_UNREACHABLE: Wording("etcd does not answer"),
    Code.ETCD_LOGIN: Wording("etcd does not accept the user or its rights"),
    Code.ETCD_FULL: Wording("etcd has no space left"),
    Code.ETCD_REFUSES: Wording("etcd refuses the request"),
    Code.ETCD_LOST_DATA: Wording("etcd has lost data; joining again"),
    Code.KEY_LOST: Wording("lost its place in the queue; joining again"),
    Code.TAKEN_OVER: Wording("another process acts for this sidecar's key"),
    Code.UNCONFIRMED: Wording("the lease deadline has passed without a confirmed keep-alive"),
    Code.DRAINING: Wording(
        "no longer leads, and keeps its key until the protected work has stopped", "{} s left for that"
    ),
    Code.LEAVING: Wording("giving up its place in the queue"),
    Code.DELETING: Wording("the lock is being deleted"),
    Code.SUSPENDED: Wording("the lock is suspended"),
    Code.SPEC_UNREADABLE: Wording("the lock's spec cannot be read, and the last good one suspends the lock"),
    Code.BEHIND: Wording("others stand ahead in the queue"),
    Code.TOKEN_LIMIT: Wording("the lock asks every holder up to a token above this one to hand over"),
    Code.PREFERRED: Wording("the lock prefers another candidate"),
    Code.NEXT: Wording("its turn has come, and it reads the queue before it leads"),
}
"""Each code in words. From `UNCONFIRMED` on, the sidecar has a place in the queue."""


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
