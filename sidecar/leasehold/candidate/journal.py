"""The log of the election: who leads, from when to when, why that ended, and what is wrong.

It listens to the publisher and changes nothing. Why the sidecar does not lead is logged when it changes. A problem is
logged when it begins, when it turns into another one, and when it is over. A problem that comes and goes, or two that
alternate, are logged at most once a minute each; so is a reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from leasehold.base.logs import afterwards
from leasehold.candidate.leadership import Change, ChangeFeed, LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot
from leasehold.lock.reason import Code

_log = logging.getLogger("leasehold.journal")

QUIET_SECONDS: Final = 60.0
_MAX_REMEMBERED_PROBLEMS: Final = 32
_WORTH_A_LINE: Final = {
    Code.PAUSED,
    Code.DRAINING,
    Code.DELETING,
    Code.SUSPENDED,
    Code.SPEC_UNREADABLE,
    Code.BEHIND,
    Code.TOKEN_LIMIT,
    Code.PREFERRED,
}
"""Of the others, some pass within a moment, errors are logged as such, and the app's health where it is probed."""


class Journal:
    """The log of one sidecar's election, from `start` until `stop`."""

    def __init__(self, board: Publisher, who: str = "this sidecar") -> None:
        """`who` is how the log names the candidate."""
        self._board = board
        self._who = who
        self._feed = ChangeFeed(board, self._on_change, do=afterwards)  # not in the turn in which a lock changes hands
        self._stop_listening: Callable[[], None] | None = None
        self._logged_at: dict[str, float] = {}
        self._problem = False

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._stop_listening = self._board.listen(self._on_snapshot)
        self._feed.start()

    def stop(self) -> None:
        """End. Nothing is logged from now on."""
        if self._stop_listening is not None:
            self._stop_listening()
        self._feed.stop()

    def _on_change(self, change: Change, before: LeadershipStatus, after: LeadershipStatus) -> None:
        match change:
            case Change.GAINED:
                fields = {"lock": after.lock, "token": after.token}
                _log.info("gained: %s leads", self._who, extra={"fields": fields})
            case Change.LOST:
                fields = {"lock": before.lock, "token": before.token}
                why = after.not_leading_because or "a new term has begun"
                code = {"reason": after.reason.code.value} if after.reason else {}
                _log.info("lost leadership: %s", why, extra={"fields": fields | code})
            case Change.LEADER if not after.leading:
                _log.info("another leads", extra={"fields": {"lock": after.lock, "leader": after.leader}})
            case _:
                return

    def _on_snapshot(self, before: Snapshot, after: Snapshot) -> None:
        self._log_error(before, after)
        reason = after.reason
        if reason is None or (before.reason and before.reason.code is reason.code) or reason.code not in _WORTH_A_LINE:
            return
        if self._is_news(reason.code):
            fields = {"lock": str(after.lock), "reason": reason.code.value}
            text = reason.sentence(self._board.clock())
            afterwards(partial(_log.info, "does not lead: %s", text, extra={"fields": fields}))

    def _log_error(self, before: Snapshot, after: Snapshot) -> None:
        if after.last_error is None:
            if self._problem:
                _log.info("recovered")
            self._problem = False
        elif after.last_error != before.last_error and self._is_news(after.last_error):
            self._problem = True
            fields = {"reason": after.reason.code.value} if after.reason else {}
            _log.warning("%s; trying again", after.last_error.rstrip("."), extra={"fields": fields})

    def _is_news(self, problem: str) -> bool:
        now = self._board.clock()
        self._logged_at = {logged: at for logged, at in self._logged_at.items() if now - at < QUIET_SECONDS}
        if problem in self._logged_at or len(self._logged_at) >= _MAX_REMEMBERED_PROBLEMS:
            return False
        self._logged_at[problem] = now
        return True
