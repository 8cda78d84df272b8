"""The addresses behind a host name, looked up without being held up by a system resolver that hangs.

A look-up runs in a daemon thread, which the end of the process does not wait for; one at a time for each name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from leasehold.base.records import dataclass
from leasehold.base.threads.daemon_thread import run_in_daemon_thread


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host. `host` is an IP address, or empty where there is none, as for a Unix socket."""

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

        If the caller gives up, the look-up goes on, and the next caller gets its result: a resolver that is slower than
        one caller's time limit is still of use.
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
