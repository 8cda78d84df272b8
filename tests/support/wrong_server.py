"""Servers that break gRPC on purpose, which no real etcd does; the frames that they send are real."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.rpc_pb2 import RangeResponse, ResponseHeader

LONG = 600.0
"""Seconds that a call may take here; only `let_pass` uses them up."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[EtcdClient]:
    """A client of a server that treats each connection with `serve`."""
    ended: list[asyncio.Event] = []

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        mine = ended[-1]
        with contextlib.suppress(ConnectionError, h2.exceptions.ProtocolError):
            await serve(reader, writer)
        writer.close()
        mine.set()

    server = await asyncio.start_server(treat, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with EtcdClient([f"http://127.0.0.1:{port}"], clock=now, timeout=LONG) as client:
            yield client
    finally:
        server.close()
        for each in ended:
            await each.wait()


async def until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


# --- gRPC, up to a point ---------------------------------------------------------------------------------------------

OK_HEADERS = [(":status", "200"), ("content-type", "application/grpc")]
RANGE = RangeResponse(header=ResponseHeader(cluster_id=1, member_id=1)).SerializeToString()


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">?I", compressed, len(message)) + message


Answer = Callable[[h2.connection.H2Connection, int], None]


def speaking(answer: Answer, *, at: type[h2.events.Event] = h2.events.DataReceived) -> Serve:
    """A server of HTTP/2 that treats each request with `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, at):
                    answer(http, event.stream_id)  # type: ignore[attr-defined]  # both kinds of event have it
            writer.write(http.data_to_send())

    return serve


def reset(http: h2.connection.H2Connection, stream: int) -> None:
    http.reset_stream(stream, error_code=7)
