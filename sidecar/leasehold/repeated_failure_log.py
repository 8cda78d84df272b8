"""Logs a failure that lasts: once when it begins, again when its reason changes, and when it is over. Pure.

An operation that is retried every few seconds would otherwise fill the log with one sentence. The repetitions are
logged at level debug.
"""

from __future__ import annotations

import logging


class RepeatedFailureLog:
    """One operation that may fail for a while."""

    def __init__(self, log: logging.Logger, problem: str) -> None:
        """`problem` is a clause that says what does not work, such as "the Locks cannot be listed"."""
        self._log = log
        self._problem = problem
        self._last_reason = ""

    def failed(self, reason: object) -> None:
        """It failed for this reason and will be retried."""
        text = str(reason)
        level = logging.DEBUG if text == self._last_reason else logging.WARNING
        self._log.log(level, "%s: %s; trying again", self._problem, text)
        self._last_reason = text

    def succeeded(self) -> None:
        """It succeeded."""
        if self._last_reason:
            self._log.info("recovered: %s", self._problem)
        self._last_reason = ""
