"""What comes about in the very turn of the loop in which its caller gives up: nothing of it may stay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from leasehold.etcd import channel, methods
from leasehold.etcd.auth import Authenticator
from leasehold.etcd.connection import Connection
from leasehold.etcd.dialer import Dialer
from leasehold.etcd.endpoints import parse_endpoints
from leasehold.etcd.errors import NotSent, OutcomeUnknown
from leasehold.etcd.rpc_pb2 import StatusRequest
from leasehold.etcd.session import Session
from leasehold.etcd.tls import TLSFiles
from tests.support.http_client import until
from tests.support.loop_turns import let_pass, turns
from tests.support.wrong_server import LONG

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""An empty HTTP/2 SETTINGS frame, the first thing that a server says."""


class Server:
    """Speaks the first word of HTTP/2, unless it is to be silent, and counts its clients."""

    def __init__(self) -> None:
        self.silent = False
        self.open = 0
        self.served = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.served += 1
        writer.write(b"" if self.silent else SETTINGS)
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()

    async def until_left(self) -> None:
        await until(lambda: self.served > 0 and not self.open)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Dialer]]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    dialer = Dialer(parse_endpoints([f"http://127.0.0.1:{port}"]), TLSFiles())
    yield made, dialer
    await dialer.close()
    listening.close()


async def test_a_connection_of_a_cancelled_caller_is_closed(
    server: tuple[Server, Dialer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is cancelled in the turn of the loop in which the connection is made."""
    made, dialer = server
    judge = channel.Channel._judge

    def judge_and_cancel(protocol: channel.Channel) -> None:
        judge(protocol)
        caller.cancel()

    monkeypatch.setattr(channel.Channel, "_judge", judge_and_cancel)
    caller = asyncio.create_task(dialer.connection(asyncio.get_running_loop().time() + 30))
    with pytest.raises(asyncio.CancelledError):
        await caller
    await made.until_left()


async def test_closing_as_an_attempt_times_out(server: tuple[Server, Dialer]) -> None:
    """Both happen in the same turn of the loop: the caller is told that the client is closed."""
    made, dialer = server
    made.silent = True
    loop = asyncio.get_running_loop()
    caller = asyncio.create_task(dialer.connection(loop.time() + 30))
    await until(lambda: dialer._limit is not None and made.served == 1)
    assert dialer._limit is not None
    dialer._limit._on_timeout()  # type: ignore[attr-defined]  # what asyncio calls when the time is over
    await dialer.close()
    with pytest.raises(NotSent, match="the etcd client is closed"):
        await caller
    await made.until_left()


async def test_all_who_wait_get_the_connection_at_once(server: tuple[Server, Dialer]) -> None:
    """Not one in each turn of the loop: while hundreds of calls begin, a turn takes long."""
    _, dialer = server
    deadline = asyncio.get_running_loop().time() + 60
    calls = {asyncio.create_task(dialer.connection(deadline)) for _ in range(300)}
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await turns(5)
    assert len({task.result() for task in calls}) == 1


async def test_a_cancelled_connecting_call_leaves_it_to_the_next(server: tuple[Server, Dialer]) -> None:
    made, dialer = server
    made.silent = True
    deadline = asyncio.get_running_loop().time() + 60
    first, *others = (asyncio.create_task(dialer.connection(deadline)) for _ in range(3))
    await until(lambda: made.open == 1)
    made.silent = False
    first.cancel()
    await asyncio.wait((first,))
    connections = await asyncio.gather(*others)
    assert first.cancelled()
    assert connections[0] is connections[1]


async def test_a_silent_etcd_is_told_in_the_same_words_however_long_connecting_took(
    server: tuple[Server, Dialer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that repeats is one log line as long as its words stay the same."""
    _, dialer = server
    connect, session = dialer.connection, Session(dialer, Authenticator("", None), time.monotonic, LONG)
    told = set()
    for seconds in (0.0, LONG / 2):

        async def connect_slowly(until: float, seconds: float = seconds) -> Connection:
            let_pass(seconds)
            connection = await connect(until)
            asyncio.get_running_loop().call_soon(let_pass, LONG)  # the call is sent before that
            return connection

        monkeypatch.setattr(dialer, "connection", connect_slowly)
        with pytest.raises(OutcomeUnknown) as raised:
            await session.call(methods.STATUS, StatusRequest(), None)
        told.add(raised.value.reason)
    (words,) = told
    assert words.endswith("did not answer within 600 s")
