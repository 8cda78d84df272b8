"""The HTTP server of all listeners: routes, JSON answers, and limits that keep it quick despite hostile clients.

aiohttp parses and writes; these limits are ours:

* A connection that stays silent, or sends its headers byte by byte, is closed `IDLE_SECONDS` after its last answer.
* There are at most `max_connections`. If one more arrives, the connection that has been idle for longest is closed; if
  none is idle, the one whose answer takes longest, but never a stream. So memory and file descriptors stay bounded, and
  the kubelet gets through a crowd, because the newest connection is never the one to close. A connection that has been
  idle for less than a second is spared if another one does not complete its request.
* Input that cannot be parsed gets one sentence as an answer, and no traceback: clients must not fill the log.
* No answer names a version.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from leasehold.base.logs import SeldomWarning
from leasehold.http import lean_aiohttp as web

log = logging.getLogger("leasehold.server")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

IDLE_SECONDS: Final = 75.0
"""How long a connection may have no complete request; longer than the minute that proxies usually allow."""
LINGER_SECONDS: Final = 1.0
"""How long the rest of a refused body is read and dropped, so that a reset does not overtake the answer."""
WRITE_BUFFER_BYTES: Final = 16 * 1024
"""An unread answer may take so much memory before the connection's next request has to wait."""
MAX_CONNECTIONS: Final = 256
_MIN_IDLE_SECONDS: Final = 1.0

_BASE_HEADERS: Final = {"Cache-Control": "no-store", "Server": "leasehold", "X-Content-Type-Options": "nosniff"}


def headers(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers that every answer has, and `more`."""
    return {**_BASE_HEADERS, **more} if more else dict(_BASE_HEADERS)


def answer(fields: Mapping[str, Any], status: int = 200, more: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer, never to be cached."""
    body = json.dumps(fields, ensure_ascii=False).encode() + b"\n"
    return web.Response(body=body, status=status, content_type="application/json", headers=headers(more))


def refusal(sentence: str, status: int, more: Mapping[str, str] | None = None) -> web.Response:
    """An error answer with one sentence."""
    return answer({"error": sentence}, status, more)


class App:
    """Routes by exact path and method, and callbacks for the server's end."""

    def __init__(self) -> None:
        self._routes: dict[str, dict[str, Handler]] = {}
        self._closers: list[Callable[[], None]] = []
        self.filters: list[Callable[[web.BaseRequest], web.Response | None]] = []
        """Each may refuse any request before its route is looked up."""
        self.streams: set[str] = set()
        """Paths with unending answers, whose number their handlers limit."""

    def get(self, path: str, handler: Handler) -> None:
        """Answer GET, HEAD with the same headers, and OPTIONS, the default check of HAProxy, with the same status."""
        self._routes.setdefault(path, {}).update(GET=handler, HEAD=handler, OPTIONS=handler)

    def post(self, path: str, handler: Handler) -> None:
        """Answer POST."""
        self._routes.setdefault(path, {})["POST"] = handler

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call this when the server begins to close: it ends unending answers."""
        self._closers.append(closer)

    def close(self) -> None:
        """Begin to close."""
        for closer in self._closers:
            closer()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. An exception of a handler is logged and answered with 500."""
        try:
            handler = self._find(request)
            return handler if isinstance(handler, web.Response) else await handler(request)
        except ConnectionError:  # the client is gone
            raise
        except Exception:
            log.exception("answering %s %s failed", request.method, request.path[:80])
            return refusal("This process failed to answer; its log says why.", 500)

    def _find(self, request: web.BaseRequest) -> Handler | web.Response:
        for check in self.filters:
            if (refused := check(request)) is not None:
                return refused
        methods = self._routes.get(request.path)
        if methods is None:
            return refusal(f"There is nothing here; ask for one of {', '.join(self._routes)}.", 404)
        if request.method not in methods:
            allowed = ", ".join(methods)
            return refusal(f"This path answers only {allowed}.", 405, {"Allow": allowed})
        return methods[request.method]


class Connection(web.RequestHandler):
    """One client's connection: aiohttp's, with our answer to input that it cannot parse."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer input that is not HTTP, or replace an answer that failed; the connection is closed after that."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer has begun and cannot be replaced")
        log.debug("refused what %s sent: %s", request.remote, exc)
        response = refusal("That is not a request this server understands.", status)
        response.force_close()
        return response


class Server(web.Server):
    """Creates a `Connection` per client, and closes the least important one if there are too many."""

    def __init__(self, app: App, max_connections: int = MAX_CONNECTIONS, idle: float = IDLE_SECONDS) -> None:
        super().__init__(self._serve, handler_cancellation=True)
        self._app = app
        self._max_connections = max_connections
        self._idle_seconds = idle
        self._open: set[web.RequestHandler] = set()
        self._idle: OrderedDict[web.RequestHandler, tuple[asyncio.Transport, float]] = OrderedDict()  # since when
        self._busy: OrderedDict[web.RequestHandler, tuple[asyncio.Transport, web.BaseRequest]] = OrderedDict()
        self._closed = 0
        self._crowded = SeldomWarning(log, "more than %d connections: closed the longest idle or busy (%d so far)")

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones among them."""
        return len(self._open)

    def __call__(self) -> web.RequestHandler:
        """A protocol for one more client."""
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None turns it off, which the annotation lacks
            keepalive_timeout=self._idle_seconds,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count a new connection, and make room for it."""
        super().connection_made(handler, transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._open.add(handler)
        self._idle[handler] = transport, time.monotonic()
        if len(self._open) > self._max_connections:
            self._make_room(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._open.discard(handler)
        for known in (self._idle, self._busy):
            known.pop(handler, None)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        # The connection is busy while the handler runs; while the client does not read the answer, it is idle.
        transport, _ = self._idle.pop(request.protocol, (None, 0.0))
        if transport is not None and request.path not in self._app.streams:
            self._busy[request.protocol] = transport, request
        try:
            return await self._app.handle(request)
        finally:
            self._busy.pop(request.protocol, None)
            if transport is not None and not transport.is_closing():
                self._idle[request.protocol] = transport, time.monotonic()

    def _make_room(self, newest: web.RequestHandler) -> None:
        victim = self._least_important(newest)
        if victim is None:  # all others are streams
            return
        transport, _ = self._idle.pop(victim, None) or self._busy.pop(victim)
        transport.abort()
        self._closed += 1
        self._crowded.give(self._max_connections, self._closed)

    def _least_important(self, newest: web.RequestHandler) -> web.RequestHandler | None:
        """The connection to close: the longest idle except `newest`, otherwise the longest busy.

        A connection that has been idle only briefly may be about to send a request: one with an unfinished request
        goes first.
        """
        idle = next((handler for handler in self._idle if handler is not newest), None)
        if idle is not None and time.monotonic() - self._idle[idle][1] >= _MIN_IDLE_SECONDS:
            return idle
        unfinished = next(
            (handler for handler, (_, request) in self._busy.items() if not request.content.is_eof()), None
        )
        return unfinished or idle or next(iter(self._busy), None)
