"""The resume file as the runner uses it: off the loop, one step after the other, never waited for without a limit.

A disk may hang for ever, and a thread that waits for it cannot be ended. So the threads are daemons, which a process
does not wait for at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from leasehold.candidate.resume_file import ResumeFile
from leasehold.election.events import Resumable

_log = logging.getLogger("leasehold.resume")

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds that one step on the disk may take."""


class ResumeStore:
    """Remembers our candidate for the process after us; with no resume file it has nothing to do."""

    def __init__(self, files: ResumeFile | None) -> None:
        self._files = files
        self._turn = asyncio.Lock()

    async def load(self) -> Resumable | None:
        """The candidate to resume, if there is one that can be read in time."""
        try:
            return await _off_loop(self._files.load) if self._files else None
        except (OSError, TimeoutError) as error:
            _log.warning("the resume file cannot be read, joining anew: %s", str(error) or "the disk does not answer")
            return None

    @property
    def ghost(self) -> int | None:
        """After `load`: a lease that an earlier process gave up, and that may have outlived it."""
        return self._files.ghost if self._files else None

    async def save(self, candidate: Resumable) -> None:
        """Remember this candidate. A failure is logged: it costs a failover at the next restart, no more."""
        files = self._files
        if files is None:
            return
        try:
            async with self._turn:
                await _off_loop(lambda: files.save(candidate))
        except (OSError, TimeoutError) as error:
            _log.warning("a restart of this container will cost a failover: cannot write the resume file: %s", error)

    async def mark(self, lease: int) -> bool:
        """See to it that no later process resumes this lease. Whether that is certain."""
        files = self._files
        if files is None:
            return True
        try:
            async with asyncio.timeout(PATIENCE), self._turn:
                await _off_loop(lambda: files.mark(lease))
        except (OSError, TimeoutError) as error:
            _log.error("the resume file cannot be marked: %s", str(error) or "the disk does not answer")
            return False
        return True


async def _off_loop(work: Callable[[], T]) -> T:
    """Run `work` in a thread. Raises what it raises, or TimeoutError after PATIENCE; then it goes on unheard.

    Raises OSError when there can be no more threads.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # the result of `work` when there is no error

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as error:
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody listens any more
            loop.call_soon_threadsafe(tell, *outcome)

    try:
        threading.Thread(target=run, name="resume file", daemon=True).start()
    except RuntimeError as error:  # the container is out of process ids: it passes, like any failure out there
        raise OSError(errno.EAGAIN, str(error)) from None
    return await asyncio.wait_for(done, PATIENCE)
