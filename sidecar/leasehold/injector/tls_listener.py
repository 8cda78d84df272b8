"""The webhook's listener: TLS, for whoever in the cluster connects.

A pod whose review gets no answer is refused, so nobody may take the injector's memory. `leasehold.http.server` bounds
the connections; the handshakes before them are bounded here, since each has 256 KiB of asyncio's buffers from its
start.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final

from leasehold.http.listener import within_descriptors
from leasehold.http.server import App, Server

_log = logging.getLogger("leasehold.injector.tls_listener")

MOST_CONNECTIONS: Final = 256
"""More than the 200 changes that an API server makes at once: each review under way has a connection of its own."""
MOST_HANDSHAKES: Final = 256
"""As many again may shake hands; those after them wait in the kernel's queue."""
HANDSHAKE_WITHIN: Final = 10.0
HURRY: Final = 1.0
"""Seconds after which a handshake is given up when others wait."""
_REST: Final = 0.1
"""Seconds to wait when no connection can be accepted, such as for want of file descriptors."""


class TlsListener:
    """A server that is up. `accepting` goes on until `close`; when it ends before, nobody is answered any more."""

    def __init__(self, app: App, bound: socket.socket, context: ssl.SSLContext, idle: float) -> None:
        """`bound` listens already; `idle` seconds without a complete request, and a connection is closed."""
        bound.setblocking(False)
        self._bound = bound
        self._context = context
        self._server = Server(app, within_descriptors(MOST_CONNECTIONS), idle)
        self._handshakes: dict[asyncio.Task[None], float] = {}  # since when, in that order
        self.accepting = asyncio.create_task(self._accept(), name="listener")

    async def close(self, timeout: float) -> None:
        """Accept no more, give answers under way `timeout` seconds, then close what is left."""
        for task in (self.accepting, *self._handshakes):
            task.cancel()
        await asyncio.wait([self.accepting, *self._handshakes])
        self._bound.close()
        self._server.pre_shutdown()
        await self._server.shutdown(timeout)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_room()
            try:
                client, _ = await loop.sock_accept(self._bound)
            except OSError as error:
                _log.warning("no connection could be accepted: %s", error.strerror or error)
                await asyncio.sleep(_REST)
                continue
            task = asyncio.create_task(self._let_in(client))
            self._handshakes[task] = loop.time()
            task.add_done_callback(lambda task: self._handshakes.pop(task, None))
            await asyncio.sleep(0)  # where many wait, sock_accept never lets anybody else have the loop

    async def _wait_for_room(self) -> None:
        """Return when one of the handshakes has ended, should there be too many, or has had its time."""
        loop = asyncio.get_running_loop()
        while len(self._handshakes) >= MOST_HANDSHAKES:
            first, since = next(iter(self._handshakes.items()))
            if (left := since + HURRY - loop.time()) <= 0:
                first.cancel()
            await asyncio.wait(self._handshakes, timeout=max(left, 0.01), return_when=asyncio.FIRST_COMPLETED)

    async def _let_in(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._server, client, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_WITHIN
            )
        except OSError as error:  # it went away, said nothing, or does not believe the certificate
            _log.debug("a TLS handshake failed: %s", error)
