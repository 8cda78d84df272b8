"""The server's bounds: connections, headers, bodies and garbage. Every client here is a raw socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web as aio

from leasehold.base.address import Address
from leasehold.http.listener import Listener, listen
from leasehold.http.server import App, answer
from tests.support.http_client import Client, ask, connected, until
from tests.support.loop_turns import let_pass, turns

HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
NEVER = 3600.0


class Site:
    """A server with one quick route, and one that answers when the test says so."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.app = App()
        self.app.get("/", self.hello)
        self.app.get("/slow", self.slow)
        self.listener: Listener

    async def hello(self, request: aio.BaseRequest) -> aio.Response:
        return answer({"hello": "world"})

    async def slow(self, request: aio.BaseRequest) -> aio.Response:
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return answer({"hello": "at last"})


@asynccontextmanager
async def serving(*, max_connections: int = 256, idle: float = NEVER) -> AsyncIterator[Site]:
    site = Site()
    site.listener = await listen(site.app, Address("127.0.0.1", 0), max_connections=max_connections, idle=idle)
    try:
        yield site
    finally:
        await site.listener.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_request_that_never_comes_is_not_waited_for(sent: bytes) -> None:
    async with serving(idle=0.05) as site, connected(site.listener) as client:
        client.send(sent)
        await client.ended()


async def test_trickling_headers_keep_nothing_open() -> None:
    """The connection is closed after the idle time, whatever arrives meanwhile."""
    async with serving(idle=0.1) as site, connected(site.listener) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        ended = asyncio.ensure_future(client.ended())
        while not ended.done():
            client.send(b"X: y\r\n")
            await asyncio.sleep(0.01)
        await ended


async def test_a_connection_in_use_stays() -> None:
    async with serving(idle=NEVER) as site, connected(site.listener) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.waiting == 1)
        let_pass(2 * NEVER)  # an idle one would live for half of that
        await turns()
        site.open.set()
        assert (await client.reply()).json() == {"hello": "at last"}


async def test_the_connection_idle_for_longest_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(max_connections=4) as site, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(site.listener)) for _ in range(4)]
        for client in clients:
            await client.ask("GET", "/")
        await clients[0].ask("GET", "/")  # now the second has been idle for longest
        for _ in range(2):
            newcomer = await stack.enter_async_context(connected(site.listener))
            assert (await newcomer.ask("GET", "/")).status == 200
        await clients[1].ended()
        await clients[2].ended()
        for client in (clients[0], clients[3]):
            assert (await client.ask("GET", "/")).status == 200
    assert caplog.text.count("closed the longest idle") == 1


async def test_a_busy_connection_is_not_evicted() -> None:
    """Idle connections are closed instead when there are too many."""
    async with serving(max_connections=2) as site, AsyncExitStack() as stack:
        busy = await stack.enter_async_context(connected(site.listener))
        busy.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.waiting == 1)
        for _ in range(5):
            idle = await stack.enter_async_context(connected(site.listener))
            await idle.ask("GET", "/")
        site.open.set()
        assert (await busy.reply()).status == 200


async def test_an_unfinished_request_is_evicted_first() -> None:
    """A connection that was answered just now is kept."""
    async with serving(max_connections=2) as site, AsyncExitStack() as stack:
        endless = await stack.enter_async_context(connected(site.listener))
        endless.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        await until(lambda: site.waiting == 1)
        fresh = await stack.enter_async_context(connected(site.listener))
        await fresh.ask("GET", "/")
        assert (await ask(site.listener, "GET", "/")).status == 200
        await endless.ended()
        assert (await fresh.ask("GET", "/")).status == 200


async def test_a_newcomer_is_answered_when_all_are_busy() -> None:
    """However many keep the server busy: the kubelet's probe must not be the one that gets no answer."""
    async with serving(max_connections=2) as site, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connected(site.listener)) for _ in range(2)]
        for number, client in enumerate(busy):
            client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: site.waiting > number)  # noqa: B023  # it is awaited in the same turn of the loop
        assert (await ask(site.listener, "GET", "/")).status == 200
        await busy[0].ended()
        assert site.waiting == 1
        site.open.set()
        assert (await busy[1].reply()).status == 200


async def test_a_stream_makes_no_room() -> None:
    async with serving(max_connections=1) as site, connected(site.listener) as stream:
        site.app.streams.add("/slow")
        stream.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.waiting == 1)
        assert (await ask(site.listener, "GET", "/")).status == 200
        site.open.set()
        assert (await stream.reply()).status == 200


async def test_who_leaves_early_frees_its_handler() -> None:
    async with serving() as site:
        async with connected(site.listener) as client:
            client.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: site.waiting == 1)
        await until(lambda: site.waiting == 0)


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as site, connected(site.listener) as client:
        client.send(HELLO * 200 + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert [(await client.reply()).status for _ in range(201)] == [200] * 200 + [404]


MALFORMED = {
    "binary": b"\x00\xff\x01\x02\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"LEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "1 MB of one header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20),
    "1 MB of headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (1 << 17) + b"\r\n",
    "1 MB of path": b"GET /" + b"x" * (1 << 20),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a negative length": b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a broken chunk": b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    "a broken target": b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_not_http_gets_a_sentence_and_no_traceback(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with serving() as site, connected(site.listener) as client:
            client.send(sent)
            status, headers = await client.head()
            assert (status, headers["server"]) == (400, "leasehold")
            await client.ended()
            assert (await ask(site.listener, "GET", "/")).status == 200
    assert not [record for record in caplog.records if record.name.startswith(("leasehold", "aiohttp", "asyncio"))]


@pytest.mark.parametrize(
    "sent",
    [
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //leader HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_odd_but_valid_requests_get_404_or_405(sent: bytes) -> None:
    """An odd request is no reason to close the connection without an answer."""
    async with serving() as site, connected(site.listener) as client:
        client.send(sent)
        assert (await client.reply()).status in (404, 405)


async def test_a_request_to_upgrade_is_answered_as_any_other() -> None:
    async with serving() as site, connected(site.listener) as client:
        reply = await client.ask("GET", "/", Connection="Upgrade", Upgrade="websocket")
        assert reply.json() == {"hello": "world"}


async def test_a_huge_body_is_neither_waited_for_nor_kept() -> None:
    async with serving() as site, connected(site.listener) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert (await client.reply()).status == 200
        await flood_until_closed(client)


async def flood_until_closed(client: Client) -> None:
    """Send and send: the server must close the connection rather than read on."""
    async with asyncio.timeout(600):
        try:
            while not client.reader.at_eof():
                client.send(b"x" * 65536)
                await client.writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass


async def test_a_client_that_never_reads_costs_a_buffer() -> None:
    """Its requests wait in the kernel, its answers in a small buffer; others are answered meanwhile."""
    async with serving() as site, connected(site.listener) as greedy:
        greedy.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a real transport has it
        greedy.writer.transport.set_write_buffer_limits(high=1 << 16)
        try:
            async with asyncio.timeout(1):  # until everything between us is full
                while True:
                    greedy.send(HELLO * 100)
                    await greedy.writer.drain()
        except TimeoutError:
            pass
        assert (await ask(site.listener, "GET", "/")).status == 200
