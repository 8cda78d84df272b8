"""Accepts the clients of a listening socket, also when the process or the machine has no file descriptor left.

asyncio's own server then tries as often as clients may be accepted in one turn, logs a traceback for each failure, and
has each of them try again as often a second later: after ten seconds that is a thousand tracebacks a second, and a loop
that does nothing else. Here one failure ends the turn, clients wait in the kernel's queue, and it is logged once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from leasehold.base.logs import SeldomWarning

_log = logging.getLogger("leasehold.acceptor")

ACCEPTS_PER_TURN: Final = 16
"""Clients accepted in one turn of the loop: a crowd of new clients must not delay the others."""
RETRY_SECONDS: Final = 1.0


class Acceptor:
    """Accepts from its making until `close`. Each client gets a protocol of `factory`'s."""

    def __init__(self, listening: socket.socket, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._clients: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._failure = SeldomWarning(_log, "connections cannot be accepted: %s; trying again")
        self._resume()

    def close(self) -> None:
        """Accept no more, and close the socket; clients that were accepted stay. A second time does nothing."""
        if self._listening.fileno() < 0:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _resume(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                client, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            task = self._loop.create_task(self._connect(client))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)

    def _pause(self, error: OSError) -> None:
        """No descriptor, or no memory: the socket would be readable all the time."""
        self._failure.give(error.strerror)
        self._loop.remove_reader(self._listening)
        self._retry = self._loop.call_later(RETRY_SECONDS, self._resume)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, client)
        except OSError as error:  # the client has left
            _log.debug("a connection ended at once: %s", error)
            client.close()
