"""One HTTP/2 connection to etcd: its socket, and what goes over it. It is open or lost, and never opened again.

It counts as open only when etcd's first HTTP/2 frame has come: the kernel accepts connections for a process that is
frozen, or speaks something else. What is sent is written at once, headers and message as one piece: written apart they
are two packets and two awakenings of etcd.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Mapping

from leasehold.base.threads.resolver import Address
from leasehold.etcd.endpoints import Endpoint
from leasehold.etcd.errors import RpcError
from leasehold.etcd.frames import Broken
from leasehold.etcd.grpc import GrpcConnection
from leasehold.etcd.grpc_call import Call
from leasehold.etcd.tls import handshake_failure

_SETTINGS_FRAME = 4
_FRAME_HEADER = 9


class Unreachable(Exception):
    """No connection came about; the text says why."""


class Channel(asyncio.Protocol):
    """The connection. `on_lost` is called with the reason when it is lost; it may be called more than once."""

    def __init__(self, endpoint: Endpoint, on_lost: Callable[[str], None]) -> None:
        # A fully qualified name may end in a dot; certificates, and what servers call themselves, never do.
        self._name = endpoint.host.rstrip(".") or "localhost"
        self._endpoint = endpoint
        self._on_lost = on_lost
        self._grpc = GrpcConnection("https" if endpoint.tls else "http", f"{self._name}:{endpoint.port}")
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._first = b""

    # --- opening --------------------------------------------------------------------------------------------

    async def open(self, address: Address, context: ssl.SSLContext | None) -> None:
        """Connect, and wait for etcd's first frame. Raises Unreachable; the caller bounds the time."""
        try:
            await self._connect(address, context)
            await self._answered
        except OSError as error:
            raise Unreachable(_why_unreachable(error, tls=context is not None)) from error
        finally:
            if not self._is_answered():
                self.abort()

    async def _connect(self, address: Address, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        if self._endpoint.path:
            await loop.create_unix_connection(lambda: self, self._endpoint.path)
            return
        await loop.create_connection(
            lambda: self,
            address.host,
            self._endpoint.port,
            family=address.family,
            ssl=context,
            server_hostname=self._name if context else None,
        )

    def _is_answered(self) -> bool:
        return self._answered.done() and not self._answered.cancelled() and self._answered.exception() is None

    # --- asyncio's side -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send HTTP/2's preface."""
        assert isinstance(transport, asyncio.Transport), "a connection carries a stream"
        self._transport = transport
        self._write()

    def data_received(self, data: bytes) -> None:
        """Take what came, and answer it."""
        if not self._answered.done():
            self._first += data[:_FRAME_HEADER]
            if len(self._first) >= _FRAME_HEADER:
                self._judge()
        try:
            self._grpc.receive(data)
        except Broken as error:
            self._lose(str(error))
        self._write()

    def _judge(self) -> None:
        if self._first[3] == _SETTINGS_FRAME and self._first[:2] == b"\0\0":
            self._answered.set_result(None)
        elif self._first.startswith(b"HTTP/"):
            self._refuse("it speaks HTTP/1, not gRPC: is this etcd's client port?")
        else:
            self._refuse("it does not speak HTTP/2: is this etcd's client port?")

    def eof_received(self) -> None:
        """Nothing more comes. asyncio would first send what is unsent, to a peer that may never read it."""
        self._lose("the other side closed the connection")

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport has let go of its socket."""
        if not self._answered.done():
            self._refuse(self._why_lost(exc))
        if not self._gone.done():
            self._gone.set_result(None)
        self._lose("the other side closed the connection, or the network did")

    def _why_lost(self, exc: BaseException | None) -> str:
        if self._endpoint.tls and isinstance(exc, ssl.SSLError):
            return handshake_failure(exc)
        if self._first[:1] == b"\x15":  # a TLS alert record
            return "it speaks TLS: use https://"
        return "it closed the connection at once: does it want https://, or a client certificate?"

    def _refuse(self, why: str) -> None:
        self._answered.set_exception(Unreachable(why))
        self._answered.exception()  # whoever waited may have given up: then nobody else asks for it

    def _lose(self, reason: str) -> None:
        self._on_lost(reason)

    # --- calls ----------------------------------------------------------------------------------------------

    def call(
        self,
        path: str,
        metadata: Mapping[str, str],
        on_message: Callable[[bytes], None],
        on_end: Callable[[RpcError | None], None],
    ) -> Call:
        """Begin a call, as `GrpcConnection.call` describes; nothing is sent yet."""
        return self._grpc.call(path, metadata, on_message, on_end)

    def open_stream(self, call: Call) -> None:
        """Open a call's stream ahead of its first message, if the peer allows many more. Raises nothing."""
        try:
            self._grpc.open_stream(call)
        except Broken as error:
            self._lose(str(error))
        self._write()

    def send(self, call: Call, message: bytes, *, end: bool = False) -> None:
        """Send a message, the last if `end`. Raises nothing: a connection that is of no more use is lost."""
        try:
            self._grpc.send(call, message, end=end)
        except Broken as error:
            self._lose(str(error))
        self._write()

    def cancel(self, call: Call) -> None:
        """Give a call up: nothing more is heard of it."""
        try:
            self._grpc.cancel(call)
        except Broken as error:
            self._lose(str(error))
        self._write()

    def _write(self) -> None:
        output = self._grpc.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    # --- the end --------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Close at once: a polite close would wait for a peer that may be frozen."""
        if self._transport is not None:
            self._transport.abort()

    async def gone(self) -> None:
        """Wait until the transport has let go of its socket."""
        if self._transport is not None:
            await self._gone


def _why_unreachable(error: OSError, *, tls: bool) -> str:
    if tls and isinstance(error, ssl.SSLError):  # without TLS, `ssl` need not be loaded
        return handshake_failure(error)
    if tls and isinstance(error, ConnectionError) and error.errno != errno.ECONNREFUSED:
        return f"it broke off the TLS handshake ({_text(error)}): is it an http:// endpoint?"
    return _text(error)


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or "closed"
