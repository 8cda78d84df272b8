"""A blocking call in a thread of its own, for calls that may hang for as long as they like.

asyncio's own threads (`asyncio.to_thread`) are joined when the event loop ends: a process that was told to stop would
hang with the disk or the resolver. A daemon thread is abandoned instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from typing import TypeVar

from leasehold.base.threads.without_signals import start_without_signals

T = TypeVar("T")


def run_in_daemon_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Start `work` in a thread of this name; the future gets what it returns or raises.

    Cancelling the future does not end the thread: its result is then dropped. Raises OSError if the system has no
    thread left.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.done():  # the caller has given up
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # the result of `work` if there is no error
        else:
            future.set_exception(error)
            future.exception()  # a caller that has given up must not cause "exception was never retrieved"

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as error:
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, *outcome)

    try:
        start_without_signals(run, name)
    except RuntimeError as error:  # the container is out of process ids: a failure that passes
        raise OSError(errno.EAGAIN, str(error)) from None
    return future
