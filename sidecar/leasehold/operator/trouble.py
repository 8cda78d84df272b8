"""A trouble that lasts, in the log: told when it begins, when it becomes another, and when it is over. Pure.

Whatever is tried again every few seconds would otherwise fill the log with one sentence; it is there at level debug.
"""

from __future__ import annotations

import logging


class RepeatedFailureLog:
    """One thing that may fail for a while."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        """`what` says in a clause what does not work, such as "the Locks cannot be listed"."""
        self._log = log
        self._what = what
        self._told = ""

    def because(self, reason: object) -> None:
        """It has failed, for this reason, and is tried again."""
        said = str(reason)
        level = logging.DEBUG if said == self._told else logging.WARNING
        self._log.log(level, "%s: %s; trying again", self._what, said)
        self._told = said

    def over(self) -> None:
        """It has succeeded."""
        if self._told:
            self._log.info("over: %s", self._what)
        self._told = ""
