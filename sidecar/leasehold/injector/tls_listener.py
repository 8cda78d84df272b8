"""The webhook's listener: TLS, open to every process in the cluster.

The API server refuses a pod if its review gets no answer, so no client may exhaust the injector's memory.
`leasehold.http.server` limits the connections; this module limits the handshakes before them, each of which has 256 KiB
of asyncio's buffers from its start.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final

from leasehold.base.logs import SeldomWarning
from leasehold.http.listener import within_descriptors
from leasehold.http.server import App, Server

_log = logging.getLogger("leasehold.injector.tls_listener")

MAX_CONNECTIONS: Final = 256
"""More than the 200 writes that an API server handles at once: each review under way has its own connection."""
MAX_HANDSHAKES: Final = 256
"""Further clients wait in the kernel's queue."""
HANDSHAKE_TIMEOUT_SECONDS: Final = 10.0
CROWDED_HANDSHAKE_SECONDS: Final = 1.0
"""A handshake that takes longer is ended if others wait."""
_ACCEPT_RETRY_SECONDS: Final = 0.1
"""The pause after a failure to accept, such as when file descriptors run out."""


class TlsListener:
    """A running server. `accepting` is its task; if it ends before `close`, no new client is served."""

    def __init__(self, app: App, bound: socket.socket, context: ssl.SSLContext, idle: float) -> None:
        """`bound` already listens; a connection is closed after `idle` seconds without a complete request."""
        bound.setblocking(False)
        self._bound = bound
        self._context = context
        self._server = Server(app, within_descriptors(MAX_CONNECTIONS), idle)
        self._failure = SeldomWarning(_log, "connections cannot be accepted: %s; trying again")
        self._handshakes: dict[asyncio.Task[None], float] = {}  # start time of each, the oldest first
        self.accepting = asyncio.create_task(self._accept(), name="listener")

    async def close(self, timeout: float) -> None:
        """Stop accepting, wait up to `timeout` seconds for answers under way, then close all connections."""
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
                self._failure.give(error.strerror or error)
                await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
                continue
            task = asyncio.create_task(self._handshake(client))
            self._handshakes[task] = loop.time()
            task.add_done_callback(lambda task: self._handshakes.pop(task, None))
            await asyncio.sleep(0)  # if clients wait, sock_accept returns without giving other tasks a turn

    async def _wait_for_room(self) -> None:
        """Wait while there are too many handshakes; end the oldest if it takes too long."""
        loop = asyncio.get_running_loop()
        while len(self._handshakes) >= MAX_HANDSHAKES:
            first, since = next(iter(self._handshakes.items()))
            if (left := since + CROWDED_HANDSHAKE_SECONDS - loop.time()) <= 0:
                first.cancel()
            await asyncio.wait(self._handshakes, timeout=max(left, 0.01), return_when=asyncio.FIRST_COMPLETED)

    async def _handshake(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                self._server, client, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_TIMEOUT_SECONDS
            )
        except OSError as error:  # the client left, stayed silent, or does not trust the certificate
            _log.debug("a TLS handshake failed: %s", error)
