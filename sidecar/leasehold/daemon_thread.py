"""Blocking work off the event loop, in a thread that no process waits for at its end.

asyncio's own pool is waited for when the loop ends, so a process that is told to stop would hang with a disk or a
resolver that does. A thread that hangs cannot be ended: a caller bounds its wait, and starts no second one meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_in_daemon_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Start `work` in a thread of its own; the future has its result, or what it raised. Called on the loop.

    A future that is cancelled does not stop the thread. Raises OSError (EAGAIN) if no thread can be started.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return  # the caller has given up
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # without an error it is what `work` returned
        else:
            future.set_exception(error)
            future.exception()  # the caller may have given up: then nobody else retrieves it

    def run() -> None:
        try:
            outcome: tuple[T | None, BaseException | None] = (work(), None)
        except BaseException as error:
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(finish, *outcome)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:  # the container is out of process ids: that passes, like a failure of the network
        raise OSError(errno.EAGAIN, str(error)) from None
    return future
