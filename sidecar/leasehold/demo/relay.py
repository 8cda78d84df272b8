"""A sidecar's way to etcd: a TCP relay on loopback, which the tour can cut.

A cut one does what a lost network does: nothing. No connection is closed and no byte passes, in either direction.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

_CHUNK_BYTES = 65536


class Relay:
    """One relay. `url` is where it listens, once it is started; `cut` is whether nothing passes."""

    def __init__(self) -> None:
        self.url = ""
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._target = ("", 0)

    @property
    def cut(self) -> bool:
        """Whether nothing passes."""
        return not self._open.is_set()

    async def start(self, target: str) -> None:
        """Relay to the server at this URL from now on."""
        parts = urlsplit(target)
        self._target = parts.hostname or "", parts.port or 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def sever(self) -> None:
        """Let nothing pass any more."""
        self._open.clear()

    def heal(self) -> None:
        """Let everything pass again. What was sent meanwhile arrives late, as packets do that are sent again."""
        self._open.set()

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server's callback runs as a task"
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._open.wait()
                there = await asyncio.open_connection(*self._target)
                await self._join(reader, writer, *there)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other_reader: asyncio.StreamReader,
        other_writer: asyncio.StreamWriter,
    ) -> None:
        """Both directions, until either ends."""
        ways = [
            asyncio.create_task(self._copy(reader, other_writer)),
            asyncio.create_task(self._copy(other_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            other_writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
