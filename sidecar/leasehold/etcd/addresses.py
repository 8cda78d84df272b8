"""The addresses behind a host name, looked up without ever being held up by a resolver that hangs.

asyncio's own look-ups run in a pool of threads that the end of the event loop waits for: a process told to stop would
hang with the resolver. Ours run in a thread that nobody waits for, one at a time for each name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from leasehold.daemon_thread import run_in_daemon_thread


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an endpoint. `host` is an IP address, or empty for a Unix socket."""

    host: str = ""
    family: int = socket.AF_UNSPEC


class Resolver:
    """Looks one host name up, as often as asked."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._pending: asyncio.Future[list[Address]] | None = None

    async def addresses(self) -> list[Address]:
        """All addresses of the name, each once, in the system's order. Raises OSError or UnicodeError.

        When the caller gives up, the look-up goes on, and the next caller gets what it finds: a resolver slower than
        our patience is still of use.
        """
        literal = _literal(self._host)
        if literal is not None:
            return [literal]
        if self._pending is None:
            self._pending = run_in_daemon_thread(lambda: _look_up(self._host, self._port), "resolver")
        pending = self._pending
        try:
            return await asyncio.shield(pending)
        finally:
            if pending.done() and self._pending is pending:
                self._pending = None


def _literal(host: str) -> Address | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return Address(host, socket.AF_INET if version == 4 else socket.AF_INET6)


def _look_up(host: str, port: int) -> list[Address]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(str(info[4][0]), info[0]) for info in infos))
