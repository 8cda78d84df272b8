"""The resume file as the runner uses it: off the event loop, one step after the other, each within a time limit.

A disk may hang, and a thread that waits for it cannot be ended: the process does not wait for these threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from leasehold.base.threads.worker import Worker
from leasehold.base.time_limit import time_limit
from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable

_log = logging.getLogger("leasehold.resume")

T = TypeVar("T")

DISK_TIMEOUT_SECONDS: Final = 5.0
"""How long one step on the disk may take."""


class ResumeStore:
    """Remembers our candidate for the process after us. Without a resume file it does nothing."""

    def __init__(self, file: ResumeFile | None) -> None:
        self._file = file
        self._worker = Worker("resume file")

    @property
    def mark_seconds(self) -> float:
        """What a mark takes, at most. Python runs one thread at a time: what the loop does meanwhile delays it."""
        return 0.001 if self._file else 0.0

    async def load(self) -> Resumable | None:
        """The candidate to resume, if there is one that can be read in time."""
        try:
            return await self._off_loop(self._file.load) if self._file else None
        except (OSError, TimeoutError) as error:
            _log.warning(
                "the resume file cannot be read, joining as a new candidate: %s",
                str(error) or "the disk does not answer",
            )
            return None

    @property
    def ghost(self) -> int | None:
        """After `load`: a lease that an earlier process gave up, and that may have outlived it."""
        return self._file.ghost if self._file else None

    async def save(self, candidate: Resumable) -> None:
        """Remember this candidate. A failure is logged: it costs a failover at the next restart, no more."""
        file = self._file
        if file is None:
            return
        try:
            await self._off_loop(lambda: file.save(candidate))
        except (OSError, TimeoutError) as error:
            _log.warning("a restart of this container will cost a failover: cannot write the resume file: %s", error)

    async def mark(self, lease: int) -> bool:
        """Mark this lease, so that no later process resumes it. Returns whether that is certain."""
        file = self._file
        if file is None:
            return True
        try:
            await self._off_loop(lambda: file.mark(lease))
        except (OSError, TimeoutError) as error:
            _log.error("the resume file cannot be marked: %s", str(error) or "the disk does not answer")
            return False
        return True

    async def _off_loop(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread. Raises what it raises, OSError if no thread can be started, or TimeoutError.

        After a timeout the thread goes on, and its outcome is ignored.
        """
        async with time_limit(DISK_TIMEOUT_SECONDS):
            return await self._worker.do(work)
