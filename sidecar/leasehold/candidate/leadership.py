"""What this sidecar reports of itself at one instant, and what has changed since its last report.

A `LeadershipStatus` is a snapshot judged by the clock: `/leader`, `/events`, `state.json` and the hooks' environment
show the same values. A `ChangeFeed` turns the publisher's snapshots into changes, and also notices when a deadline
passes without a newer snapshot. This module decides nothing: the snapshot and its deadline do.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from leasehold.base.records import dataclass, replace
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.lock.reason import Code, Reason


@dataclass(frozen=True, slots=True)
class LeadershipStatus:
    """A snapshot as it is to be read at one instant."""

    lock: str
    identity: str
    leading: bool
    token: int | None
    """The fencing token while leading, else None: a token that is not in force is of no use to anyone."""
    key: str | None
    """The etcd key that the token is the create revision of, while leading."""
    valid_for: float
    """Seconds for which `leading` stays true unless renewed."""
    leader: str | None
    """Who leads, as far as this sidecar knows. Never its own identity while it does not lead."""
    leading_for: float | None
    """Seconds since this process first led under this token; None while not leading."""
    position: int | None
    not_leading_because: str
    """Why this sidecar does not lead, in words for a log; empty while it leads. It is no part of `fields`."""
    reason: Reason | None
    """Why it does not lead, exactly; None while it leads."""
    at_instant: float
    """The instant that all this is as of."""

    @classmethod
    def at(cls, snapshot: Snapshot, now: float) -> LeadershipStatus:
        """Judge a snapshot at `now`, an instant of the publisher's clock."""
        leading = snapshot.is_holding(now)
        since = snapshot.term_since
        return cls(
            lock=str(snapshot.lock),
            identity=snapshot.identity,
            leading=leading,
            token=snapshot.token if leading else None,
            key=snapshot.key if leading else None,
            valid_for=snapshot.valid_for(now),
            leader=_leader(snapshot, leading),
            leading_for=now - since if leading and since is not None else None,
            position=snapshot.position,
            not_leading_because="" if leading else _why_not(snapshot),
            reason=None if leading else reason_at(snapshot),
            at_instant=now,
        )

    def fields(self, wall: float) -> dict[str, Any]:
        """The status as JSON fields. `wall`, the wall clock in seconds since 1970, is for display alone."""
        since = None if self.leading_for is None else iso(wall - self.leading_for)
        return {
            "lock": self.lock,
            "identity": self.identity,
            "leading": self.leading,
            "token": self.token,
            "key": self.key,
            # Rounded down: never promise more than there is.
            "validForSeconds": math.floor(self.valid_for * 1000) / 1000,
            "leader": self.leader,
            "since": since,
            "position": self.position,
            **self.reason_fields(wall),
        }

    def reason_fields(self, wall: float) -> dict[str, str | None]:
        """Why it does not lead, as JSON fields that are null while it does; `wall` as in `fields`."""
        reason = self.reason
        if reason is None:
            return dict.fromkeys(("reason", "reasonCode", "reasonSince", "reasonUntil"))
        offset = wall - self.at_instant
        return {
            "reason": reason.sentence(self.at_instant),
            "reasonCode": reason.code.value,
            "reasonSince": iso(reason.since + offset),
            "reasonUntil": None if reason.until is None else iso(reason.until + offset),
        }


def ended_fields(wall: float) -> dict[str, Any]:
    """What differs in the fields of a sidecar that has ended, at this second since 1970."""
    none = dict.fromkeys(("token", "key", "since", "reasonUntil"))
    why = {"reason": "the sidecar has ended", "reasonCode": Code.STOPPING.value, "reasonSince": iso(wall)}
    return {"leading": False, **none, **why}


def reason_at(snapshot: Snapshot) -> Reason | None:
    """Why a sidecar that does not lead does not, as the snapshot has it.

    A holder whose deadline has passed is one before any event says so.
    """
    if snapshot.state is not State.HOLDING:
        return snapshot.reason
    return Reason(Code.UNCONFIRMED, (snapshot.last_error or "").rstrip("."), since=snapshot.deadline or 0.0)


def _leader(snapshot: Snapshot, leading: bool) -> str | None:
    if leading:
        return snapshot.leader or snapshot.identity
    # Its own name would tell its app that it leads. The sidecar only knows that its key was once the first.
    return snapshot.leader if snapshot.leader != snapshot.identity else None


def _why_not(snapshot: Snapshot) -> str:
    if snapshot.state in (State.HOLDING, State.UNSURE):  # the clock says so before any event does
        problem = snapshot.last_error
        return f"the lease deadline has passed ({problem.rstrip('.')})" if problem else "the lease deadline has passed"
    if snapshot.cause is not None:
        return snapshot.cause.value
    return (snapshot.last_error or "this sidecar is not the holder").rstrip(".")


def iso(wall: float) -> str:
    """An instant of the wall clock (seconds since 1970) in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(round(wall), UTC).isoformat().replace("+00:00", "Z")


class Change(StrEnum):
    """What can differ between two statuses, in the order in which it is reported."""

    LOST = "lost"
    GAINED = "gained"
    LEADER = "leader"
    VACANCY = "vacancy"


def changes(before: LeadershipStatus, after: LeadershipStatus) -> list[Change]:
    """The changes that lead from `before` to `after`. A new token is a new term: lost, then gained."""
    found = []
    same_term = (before.leading, before.token) == (after.leading, after.token)
    if before.leading and not same_term:
        found.append(Change.LOST)
    if after.leading and not same_term:
        found.append(Change.GAINED)
    if before.leader != after.leader:
        found.append(Change.LEADER if after.leader is not None else Change.VACANCY)
    return found


def _at_once(do: Callable[[], None]) -> None:
    do()


class ChangeFeed:
    """Calls `report(change, before, after)` for each change from `start` until `stop`, both on the event loop."""

    def __init__(
        self,
        board: Publisher,
        report: Callable[[Change, LeadershipStatus, LeadershipStatus], None],
        do: Callable[[Callable[[], None]], None] = _at_once,
        *,
        first: bool = False,
    ) -> None:
        """`do` calls its argument, at once on the loop or later: in the order given, in any thread, one at a time.

        `first` as in `Publisher.listen`.
        """
        self._board = board
        self._report = report
        self._do = do
        self._first = first
        nothing = replace(board.snapshot, state=State.IDLE, leader=None)
        self._reported = LeadershipStatus.at(nothing, board.clock())
        self._judged: tuple[bool, int | None, str | None] | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, on the running event loop. A lead or a leader that is known already is reported as a change."""
        self._stop_listening = self._board.listen(lambda before, after: self._check(), first=self._first)
        self._check()

    def stop(self) -> None:
        """End. No later change is reported."""
        if self._stop_listening is not None:
            self._stop_listening()
        self._disarm()

    def _check(self) -> None:
        snapshot, now = self._board.snapshot, self._board.clock()
        self._disarm()
        # all that `changes` looks at: a keep-alive moves no more than the deadline
        judged = (snapshot.is_holding(now), snapshot.token, snapshot.leader)
        if judged != self._judged:
            self._judged = judged
            self._do(partial(self._compare, snapshot, now))
        if (left := snapshot.valid_for(now)) > 0:
            self._arm(left)

    def _arm(self, seconds: float) -> None:
        # The loop's clock and the publisher's may differ a little: a delay of zero could repeat itself in a circle.
        self._alarm = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._check)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _compare(self, snapshot: Snapshot, now: float) -> None:
        """Report how the status at `now` differs from the last one."""
        before, after = self._reported, LeadershipStatus.at(snapshot, now)
        self._reported = after
        for change in changes(before, after):
            self._report(change, before, after)
