"""Clients that mean no good, all at once, against one HTTP server on loopback: `python hostile_clients.py PORT`.

Prints `ready` once they are all at it. Each keeps at it, at a rate of its own, until the process is ended: what is
tried is whether a server stays quick beside them, not whether it can outrun a flood.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

IDLE, SLOW = 1000, 50
REQUEST = b"GET /leader HTTP/1.1\r\nHost: localhost\r\n\r\n"
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"GET /leader HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20),
    b"GET /leader HTTP/1.1\r\n" + b"a: b\r\n" * (1 << 17) + b"\r\n",
    b"GET /" + b"x" * (1 << 20),
    b"LEAD /leader HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"DELETE /leader HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /leader HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    b"POST /leader HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 4_000_000,
    REQUEST * 50,
)

Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect, and say nothing."""
    await reader.read()


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a request a byte at a time, and never its end."""
    writer.write(b"GET /leader HTTP/1.1\r\nHost: localhost\r\nX: ")
    while not reader.at_eof():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def watch_and_never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Subscribe to events, and read none."""
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.sleep(5)


async def scrape(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for what costs most to make."""
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.read(65536)


def garbage(rng: Random) -> Attack:
    """Send something that is no proper request, and sometimes leave in the middle of it."""

    async def attack(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rng.choice(GARBAGE))
        with suppress(TimeoutError):
            async with asyncio.timeout(rng.choice((0.001, 0.2))):
                await reader.read()

    return attack


async def keep_at_it(port: int, attack: Attack, pause: float, begun: asyncio.Semaphore) -> None:
    """Attack, and again `pause` seconds after the server had enough of it."""
    first = True
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
            if first:
                first = False
                begun.release()
            with suppress(OSError):
                await attack(reader, writer)
            writer.transport.abort()
        await asyncio.sleep(pause)


async def main() -> None:
    port, rng, begun = int(sys.argv[1]), Random(1), asyncio.Semaphore(0)
    crowd: list[tuple[Attack, float]] = [
        *[(idle, 20.0)] * IDLE,  # those closed to make room for others come back
        *[(slow, 1.0)] * SLOW,
        *[(watch_and_never_read, 1.0)] * 10,
        *[(garbage(rng), 1.0)] * 10,
        *[(scrape, 0.2)] * 2,
    ]
    tasks = [asyncio.create_task(keep_at_it(port, attack, pause, begun)) for attack, pause in crowd]
    for _ in tasks:
        await begun.acquire()
    print("ready", flush=True)  # noqa: T201  # tells the test
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
