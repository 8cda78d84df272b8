"""The addresses behind a host name, looked up without ever being held up by a resolver that hangs.

asyncio's own look-ups run in a pool of threads that the end of the event loop waits for: a process told to stop would
hang with the resolver. Ours run in a thread that nobody waits for, one at a time for each name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an endpoint. `host` is an IP address, or empty for a Unix socket."""

    host: str = ""
    family: int = socket.AF_UNSPEC


class Resolver:
    """Looks one host name up, as often as asked."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._pending: asyncio.Future[list[Address]] | None = None

    async def addresses(self) -> list[Address]:
        """All addresses of the name, each once, in the system's order. Raises OSError or UnicodeError.

        When the caller gives up, the look-up goes on, and the next caller gets what it finds: a resolver slower than
        our patience is still of use.
        """
        literal = _literal(self._host)
        if literal is not None:
            return [literal]
        if self._pending is None:
            self._pending = in_a_thread(lambda: _look_up(self._host, self._port), "resolver")
        pending = self._pending
        try:
            return await asyncio.shield(pending)
        finally:
            if pending.done() and self._pending is pending:
                self._pending = None


def _literal(host: str) -> Address | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return Address(host, socket.AF_INET if version == 4 else socket.AF_INET6)


def _look_up(host: str, port: int) -> list[Address]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(str(info[4][0]), info[0]) for info in infos))


def in_a_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run `work` in a daemon thread: no caller, and no end of the process, waits for a resolver or disk that hangs.

    The future may be cancelled; the thread goes on, and its result is dropped. Raises OSError if there can be no more
    threads.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            finish = partial(future.set_result, work())
        except Exception as error:
            finish = partial(_fail, future, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: future.done() or finish())

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:  # the container is out of process ids: it passes, like any failure out there
        raise OSError(errno.EAGAIN, str(error)) from None
    return future


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    future.set_exception(error)
    future.exception()  # whoever asked may have given up
