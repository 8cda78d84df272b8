"""One HTTP/2 connection to etcd, as a grpclib channel that is never reopened in place.

grpclib's own channel reconnects by itself, to the same place, with the same certificates, in the middle of whatever
call comes next. Ours is open or lost; what follows a loss is decided elsewhere. It counts as open only when etcd's
first HTTP/2 frame has come: the kernel accepts connections for a process that is frozen, or speaks something else.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from grpclib.client import Channel as GrpcChannel
from grpclib.client import Handler
from grpclib.config import Configuration
from grpclib.protocol import H2Protocol

from leasehold.etcd.endpoints import Endpoint
from leasehold.etcd.gathering import GatheringTransport
from leasehold.etcd.tls import handshake_failure
from leasehold.resolver import Address

if TYPE_CHECKING:  # grpclib's own dependency, not ours
    from h2.config import H2Configuration

# One stream whose reader is slow must not hold up the others by using up the connection's window.
_WINDOWS: Final = Configuration(http2_connection_window_size=64 * 2**20, http2_stream_window_size=4 * 2**20)

_SETTINGS_FRAME: Final = 4
_FRAME_HEADER: Final = 9


class Unreachable(Exception):
    """No connection came about; the text says why."""


class _Protocol(H2Protocol):
    """grpclib's protocol, which also tells when etcd has answered, and when the transport is gone."""

    def __init__(self, handler: Handler, config: Configuration, h2_config: H2Configuration) -> None:
        super().__init__(handler, config, h2_config)
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._first = b""
        self.writes: GatheringTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a connection carries a stream"
        self.writes = GatheringTransport(transport)
        super().connection_made(self.writes)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self._first += data[:_FRAME_HEADER]
            if len(self._first) >= _FRAME_HEADER:
                self._judge()
        super().data_received(data)

    def _judge(self) -> None:
        if self._first[3] == _SETTINGS_FRAME and self._first[:2] == b"\0\0":
            self.answered.set_result(None)
        elif self._first.startswith(b"HTTP/"):
            self._refuse("it speaks HTTP/1, not gRPC: is this etcd's client port?")
        else:
            self._refuse("it does not speak HTTP/2: is this etcd's client port?")

    def connection_lost(self, exc: BaseException | None) -> None:
        if not self.answered.done():
            self._refuse(self._why_lost(exc))
        if not self.gone.done():
            self.gone.set_result(None)
        super().connection_lost(exc)

    def _why_lost(self, exc: BaseException | None) -> str:
        if isinstance(exc, ssl.SSLError):
            return handshake_failure(exc)
        if self._first[:1] == b"\x15":  # a TLS alert record
            return "it speaks TLS: use https://"
        return "it closed the connection at once: does it want https://, or a client certificate?"

    def _refuse(self, why: str) -> None:
        self.answered.set_exception(Unreachable(why))
        self.answered.exception()  # whoever waited may have given up: then nobody else asks for it


class _Handler(Handler):
    """grpclib's side of a connection: it is told of the end, by whichever way that comes."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost

    def close(self) -> None:
        first = not self.connection_lost
        super().close()
        if first:
            self._on_lost()


class Channel(GrpcChannel):
    """A grpclib channel over one connection. `on_lost` is called once, with the reason, when that is lost or closed."""

    def __init__(self, endpoint: Endpoint, on_lost: Callable[[str], None]) -> None:
        # A fully qualified name may end in a dot; certificates, and what servers call themselves, never do.
        self._name = endpoint.host.rstrip(".") or "localhost"
        super().__init__(host=self._name, port=endpoint.port, config=_WINDOWS)
        self._scheme = "https" if endpoint.tls else "http"
        self._endpoint = endpoint
        self._single = _Protocol(_Handler(lambda: on_lost(self._why())), self._config, self._h2_config)
        self._transport: asyncio.BaseTransport | None = None

    def _why(self) -> str:
        if self._single.gone.done():
            return "the other side closed the connection, or the network did"
        return "etcd is going away (GOAWAY), or broke the protocol"

    async def open(self, address: Address, context: ssl.SSLContext | None) -> None:
        """Connect, and wait for etcd's first frame. Raises Unreachable; the caller bounds the time."""
        try:
            await self._connect(address, context)
            await self._single.answered
        except ssl.SSLError as error:
            raise Unreachable(handshake_failure(error)) from error
        except ConnectionError as error:
            if context is None or error.errno == errno.ECONNREFUSED:
                raise Unreachable(_text(error)) from error
            raise Unreachable(f"it broke off the TLS handshake ({_text(error)}): is it an http:// endpoint?") from error
        except OSError as error:
            raise Unreachable(_text(error)) from error
        finally:
            if not self._is_answered():
                self.abort()
        self._protocol = self._single

    async def _connect(self, address: Address, context: ssl.SSLContext | None) -> None:
        if self._endpoint.path:
            self._transport, _ = await self._loop.create_unix_connection(lambda: self._single, self._endpoint.path)
            return
        self._transport, _ = await self._loop.create_connection(
            lambda: self._single,
            address.host,
            self._endpoint.port,
            family=address.family,
            ssl=context,
            server_hostname=self._name if context else None,
        )

    def _is_answered(self) -> bool:
        answered = self._single.answered
        return answered.done() and not answered.cancelled() and answered.exception() is None

    async def _create_connection(self) -> H2Protocol:
        """What grpclib calls to connect again, when a call finds the connection lost."""
        raise ConnectionError("the connection was lost")

    def flush(self) -> None:
        """Write now what was sent in this turn of the loop, not at its end."""
        if self._single.writes is not None:
            self._single.writes.flush()

    def abort(self) -> None:
        """Close at once: a polite close would wait for a peer that may be frozen."""
        self.close()
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    async def gone(self) -> None:
        """Wait until the transport has let go of its socket."""
        if self._transport is not None:
            await self._single.gone


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or "closed"
