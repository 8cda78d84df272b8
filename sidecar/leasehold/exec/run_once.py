"""`--once-per`: the command runs only if it has not succeeded under this lock within a period.

Recorded is the end of a command that exited with 0, by the holder, while it still holds: the transaction requires its
own key with its own token. A command that fails, or whose host crashes before the record is written, leaves no record,
and the next in the queue runs it. So a run is repeated rather than left out, and a crash between the command's end and
the record repeats one that had succeeded.

The period is the TTL of the record's own lease, so only etcd's clock counts. A change of etcd's leader starts it again:
it can last almost twice as long then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from leasehold.candidate.run_log import LastRun, RunLog, RunLogError

_log = logging.getLogger("leasehold.run_once")

_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 1.0


class RunOnce:
    """The record of one lock, for one stay in its queue. `changed` is called when an answer has come."""

    def __init__(self, run_log: RunLog, period: int, timeout: float, changed: Callable[[], None]) -> None:
        """`period` and `timeout`, that of one request, are in seconds."""
        self._run_log = run_log
        self._period = period
        self._timeout = timeout
        self._changed = changed
        self._asked: int | None = None
        self._answered: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self.last: LastRun | None = None
        """The run that makes another one superfluous."""

    def is_known(self, token: int) -> bool:
        """Whether `last` is of the term with this token; if not, it is read.

        The holder before recorded its run before it gave the lock up, so a read in our own term cannot miss it.
        """
        if self._asked != token:
            self._asked = token
            self.close()
            self._reading = asyncio.create_task(self._read(token), name="exec reads the last run")
        return self._answered == token

    async def _read(self, token: int) -> None:
        while True:
            try:
                self.last = await self._run_log.last_run(self._timeout)
            except RunLogError as error:
                _log.warning("the last run cannot be read: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._answered = token
            self._changed()
            return

    async def record(self, identity: str, key: str, token: int) -> None:
        """Record that the command has succeeded; the caller still holds the lock."""
        run = LastRun(identity, datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
        why = ""
        for _ in range(_ATTEMPTS):
            try:
                if await self._run_log.record(run, key, token, self._period, self._timeout):
                    return
                why = "the lease has ended"
                break
            except RunLogError as error:
                why = str(error)
                await asyncio.sleep(_PAUSE_SECONDS)
        _log.error("the command has succeeded, but that is not recorded, so it may be run again: %s", why)

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
