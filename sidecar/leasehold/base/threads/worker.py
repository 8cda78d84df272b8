"""One thread for blocking calls that may hang, one after the other in the order in which they were asked for.

A new thread for each call costs a tenth of a millisecond, where somebody waits for it. This one is made with the first
call, and waits for the next. It is a daemon thread, for the reason that `daemon_thread` gives.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from leasehold.base.threads.without_signals import start_without_signals

T = TypeVar("T")


class Worker:
    """The thread, and what it has to do. To be used on one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._started = False

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have `work` done after all that was asked for before; the future gets what it returns or raises.

        Cancelling the future stops nothing: the result is dropped. Raises OSError if the system has no thread left.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            try:
                outcome: tuple[T | None, BaseException | None] = (work(), None)
            except BaseException as error:
                outcome = (None, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_finish, future, *outcome)

        self._start()
        self._calls.put(call)
        return future

    def _start(self) -> None:
        if self._started:
            return
        try:
            start_without_signals(self._run, self._name)
        except RuntimeError as error:  # the container is out of process ids: a failure that passes
            raise OSError(errno.EAGAIN, str(error)) from None
        self._started = True

    def _run(self) -> None:
        while True:
            self._calls.get()()


def _finish(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():  # the caller has given up
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # a caller that has given up must not cause "exception was never retrieved"
