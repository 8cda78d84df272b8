"""What a person should find in the log of the election: who leads, from when to when, and what is wrong.

Listens to the board and changes nothing. A problem is said when it begins, when it becomes another one, and when it
is over; one that comes and goes, or two that take turns, are not said more than once a minute each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from leasehold.candidate.leadership import Change, ChangeFeed, LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot
from leasehold.logs import afterwards

_log = logging.getLogger("leasehold.journal")

QUIET_SECONDS: Final = 60.0
_REMEMBERED: Final = 32


class Journal:
    """The log of one sidecar's election, from `start` until `stop`."""

    def __init__(self, board: Publisher, who: str = "this sidecar") -> None:
        """`who` is what the log calls the candidate that it is about."""
        self._board = board
        self._who = who
        self._feed = ChangeFeed(board, self._tell, do=afterwards)  # not in the turn in which a lock changes hands
        self._stop_listening: Callable[[], None] | None = None
        self._said: dict[str, float] = {}
        self._problem = False

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._stop_listening = self._board.listen(self._look)
        self._feed.start()

    def stop(self) -> None:
        """End. What comes from now on is not logged."""
        if self._stop_listening is not None:
            self._stop_listening()
        self._feed.stop()

    def _tell(self, change: Change, before: LeadershipStatus, after: LeadershipStatus) -> None:
        match change:
            case Change.GAINED:
                fields = {"lock": after.lock, "token": after.token}
                _log.info("gained: %s leads", self._who, extra={"fields": fields})
            case Change.LOST:
                fields = {"lock": before.lock, "token": before.token}
                _log.info("lost: %s leads no more", self._who, extra={"fields": fields})
            case Change.LEADER if not after.leading:
                _log.info("another leads", extra={"fields": {"lock": after.lock, "leader": after.leader}})
            case _:
                return

    def _look(self, before: Snapshot, after: Snapshot) -> None:
        if after.last_error is None:
            if self._problem:
                _log.info("the last problem is over")
            self._problem = False
        elif after.last_error != before.last_error and self._is_news(after.last_error):
            self._problem = True
            _log.warning("%s; trying again", after.last_error.rstrip("."))

    def _is_news(self, problem: str) -> bool:
        now = self._board.clock()
        self._said = {said: at for said, at in self._said.items() if now - at < QUIET_SECONDS}
        if problem in self._said or len(self._said) >= _REMEMBERED:
            return False
        self._said[problem] = now
        return True
