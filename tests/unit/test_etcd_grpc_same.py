"""What a call makes of an answer is what another gRPC client makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from leasehold.etcd.rpc_pb2 import RangeRequest, RangeResponse
from tests.support.http2_peer import PATH, Answer, Http, Pair, saying, status, trailers_only

# --- beside another client -------------------------------------------------------------------------------------------


async def outcome_of_ours(answer: Answer) -> object:
    heard = Pair(answer).call()
    if heard.ends == [None]:
        return heard.messages[0] if heard.messages else "no answer"
    return heard.error.code.value


async def outcome_of_grpclib(answer: Answer) -> object:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = Http(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        writer.write(http.data_to_send())
        while data := await reader.read(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    answer(http, event.stream_id)
            writer.write(http.data_to_send())
        writer.close()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    channel = Channel("127.0.0.1", server.sockets[0].getsockname()[1])
    method: UnaryUnaryMethod[Any, Any] = UnaryUnaryMethod(channel, PATH, RangeRequest, RangeResponse)
    try:
        return (await method(RangeRequest())).SerializeToString()
    except GRPCError as error:
        return error.status.name
    except (StreamTerminatedError, ProtocolError, AssertionError, NotImplementedError):
        return "broken"
    finally:
        channel.close()
        server.close()
        await served.wait()


SAME = {
    "an answer": saying(RangeResponse(count=7).SerializeToString()),
    "an empty answer": saying(b""),
    "trailers only": trailers_only,
    "a status behind an answer": saying(b"", trailers=[("grpc-status", "14"), ("grpc-message", "gone")]),
    **{f"HTTP {code}": status(code) for code in ("400", "401", "403", "404", "429", "502", "503", "504")},
}


@pytest.mark.parametrize("what", SAME)
async def test_another_client_makes_the_same_of_it(what: str) -> None:
    """grpclib, over a socket; where gRPC says what an answer means, both must say it."""
    assert await outcome_of_ours(SAME[what]) == await outcome_of_grpclib(SAME[what])
