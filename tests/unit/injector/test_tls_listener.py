"""The listener's bounds, by clients on real sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web as aio
from prometheus_client import CollectorRegistry

from leasehold.base.address import Address
from leasehold.http.listener import bind_tcp
from leasehold.http.server import App, answer
from leasehold.injector import tls_listener
from leasehold.injector.certificate import make
from leasehold.injector.certificate_keeper import Served
from leasehold.injector.metrics import InjectorMetrics
from leasehold.injector.tls_listener import TlsListener
from tests.unit.injector.handshakes import HOST

ASK = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Site:
    """A listener whose answers take a moment, as a review does that asks the API server."""

    def __init__(self) -> None:
        pair = make(HOST, datetime.now(UTC), timedelta(days=1))
        served = Served(InjectorMetrics(CollectorRegistry()))
        served.serve(pair)
        app = App()
        app.post("/", self._answer)
        bound = bind_tcp(Address("127.0.0.1", 0))
        self.port = bound.getsockname()[1]
        self.listener = TlsListener(app, bound, served.context, 60.0)
        self._trusting = ssl.create_default_context(cadata=pair.authority.decode())

    async def _answer(self, request: aio.BaseRequest) -> aio.Response:
        await asyncio.sleep(0.05)
        return answer({})

    async def status(self) -> int:
        """What one request on a connection of its own is answered; 0 when it isn't."""
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self._trusting, server_hostname=HOST, ssl_handshake_timeout=600
            )
            writer.write(ASK)
            line = await reader.readline()
            writer.close()
        except OSError:
            return 0
        return int(line.split()[1]) if line else 0


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    await made.listener.close(1.0)


async def test_two_hundred_handshakes_at_once_succeed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server may send as many reviews at once, each over a new connection."""
    monkeypatch.setattr(
        tls_listener, "HANDSHAKE_TIMEOUT_SECONDS", 600.0
    )  # a busy machine takes its time for two hundred
    answers = await asyncio.gather(*(site.status() for _ in range(200)))
    assert answers == [200] * 200


async def test_silent_connections_make_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections without a handshake are closed early when many of them are open."""
    monkeypatch.setattr(tls_listener, "MAX_HANDSHAKES", 10)
    monkeypatch.setattr(tls_listener, "CROWDED_HANDSHAKE_SECONDS", 0.05)
    silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(30)]
    assert await site.status() == 200
    for each in silent:
        each.close()


async def test_nobody_is_let_in_after_the_end(site: Site) -> None:
    await site.listener.close(1.0)
    assert await site.status() == 0
