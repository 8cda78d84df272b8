"""A small HTTP client for the tests: raw sockets, so that what is sent and answered is exactly what is seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from leasehold.base.address import UnixAddress
from leasehold.http.listener import Listener

PATIENCE = 600.0
"""Seconds after which a test that waits for an answer gives up; only a fault takes that long."""


@dataclass(frozen=True)
class Reply:
    """One parsed answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a status line and headers (names in lower case)."""
        async with asyncio.timeout(PATIENCE):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines if line)
        return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """Read one answer with a known length, or of a connection that is closed after it."""
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE):
            if bodiless:
                body = b""
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                body = await self.reader.read()  # it ends with the connection
        return Reply(status, headers, body)

    async def ask(self, method: str, path: str, **headers: str) -> Reply:
        """Send a request without a body, and read its answer."""
        lines = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
        wire = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{wire}\r\n".encode())
        return await self.reply(bodiless=method == "HEAD")

    async def event(self) -> tuple[str, Any]:
        """Read the next server-sent event of a chunked answer: its name and its data."""
        name = ""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.reader.readline()).decode().strip()
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: "):
                    return name, json.loads(line.removeprefix("data: "))
                if not line and self.reader.at_eof():
                    raise EOFError

    async def ended(self) -> None:
        """Wait until the server has closed this connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that nothing announces."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # what is waited for is another's state, with no event to it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[Client]:
    """A connection to this listener, closed at the end."""
    where = listener.address
    if isinstance(where, UnixAddress):
        reader, writer = await asyncio.open_unix_connection(str(where.path))
    else:
        reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def ask(listener: Listener, method: str, path: str, **headers: str) -> Reply:
    """One request on a connection of its own."""
    async with connected(listener) as client:
        return await client.ask(method, path, **headers)
