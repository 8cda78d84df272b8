"""Passes TCP connections from one network namespace to another, as a program of its own; the standard library alone.

    relay.py NAMESPACE HOST:PORT NAMESPACE HOST:PORT

A socket stays in the namespace that it was made in. So this listens in the first, and then enters the second, where
all that it connects to is. A namespace is the path of its file. It prints a line when it listens.
"""

import asyncio
import ctypes
import os
import socket
import sys

_CLONE_NEWNET = 0x40000000
_CHUNK = 65536


def enter(namespace: int) -> None:
    """Make this process's further sockets in the namespace of this open file. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)  # Python has os.setns from 3.12 on
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy one direction until it ends, and tell the other side of that."""
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        sink.close()


async def serve(listener: socket.socket, host: str, port: int) -> None:
    """Pass on every connection that comes, for ever."""

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(host, port)
        except OSError:  # refused there, so closed here
            writer.close()
            return
        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_server(passed, sock=listener)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(listens: str, at: str, connects: str, to: str) -> None:
    """Do it."""
    first, second = (os.open(namespace, os.O_RDONLY) for namespace in (listens, connects))  # while both can be found
    enter(first)
    host, _, port = at.rpartition(":")
    listener = socket.create_server((host, int(port)), backlog=512)
    enter(second)
    host, _, port = to.rpartition(":")
    asyncio.run(serve(listener, host, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
