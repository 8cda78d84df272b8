"""Sockets to listen on: TCP (IPv4, IPv6 or both) and Unix, bound before anything is served, and removed after.

A problem that the user can fix is a `ListenError`, whose text completes "--listen is ':4040': ".
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from leasehold.base.address import Address, UnixAddress
from leasehold.http.acceptor import Acceptor
from leasehold.http.server import IDLE_SECONDS, MAX_CONNECTIONS, App, Server

BACKLOG: Final = 128
"""Clients that may wait in the kernel's queue to be accepted."""
_PROBE_SECONDS: Final = 1.0


class ListenError(Exception):
    """It is not possible to listen on this address; the text says why, and how to fix it."""


class Listener:
    """A running server. `address` has the actual port, even if port 0 was requested."""

    def __init__(self, app: App, server: Server, acceptor: Acceptor, address: Address | UnixAddress) -> None:
        self.address = address
        self._app = app
        self._server = server
        self._acceptor = acceptor
        self._inode = _inode(address.path) if isinstance(address, UnixAddress) else None

    @property
    def port(self) -> int:
        """The bound TCP port. Raises TypeError for a Unix socket."""
        if isinstance(self.address, UnixAddress):
            raise TypeError("a Unix socket has no port")
        return self.address.port

    def connections(self) -> int:
        """How many clients are connected now."""
        return self._server.open_connections

    async def close(self, timeout: float = 1.0) -> None:
        """Stop accepting, end streams, wait up to `timeout` seconds for answers, then close all connections."""
        self._acceptor.close()
        self._app.close()
        self._server.pre_shutdown()  # idle connections end now, not after the timeout
        await self._server.shutdown(timeout)
        if isinstance(self.address, UnixAddress) and _inode(self.address.path) == self._inode:
            with suppress(OSError):  # the stale file is detected at the next start
                self.address.path.unlink()


async def listen(
    app: App, address: Address | UnixAddress, *, max_connections: int = MAX_CONNECTIONS, idle: float = IDLE_SECONDS
) -> Listener:
    """Bind `address` and serve `app` there. Raises ListenError.

    A connection may be without a complete request for `idle` seconds.
    """
    bound = _bind_unix(address.path) if isinstance(address, UnixAddress) else bind_tcp(address)
    server = Server(app, within_descriptors(max_connections), idle)
    if isinstance(address, Address):
        address = Address(address.host, bound.getsockname()[1])
    return Listener(app, server, Acceptor(bound, server), address)


def within_descriptors(connections: int) -> int:
    """Return `connections`, or half of the process's limit of file descriptors if that is less.

    Without free descriptors a server cannot accept, and asyncio then waits a second before it tries again.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft // 2)


def bind_tcp(address: Address) -> socket.socket:
    """A socket that listens there. Raises ListenError, or OSError if no file descriptor is left.

    An empty host means all addresses of IPv4 and IPv6, as far as this machine has them: in some clusters pods have only
    one of the two. `::` also means all addresses, but requires IPv6.
    """
    dual = socket.has_dualstack_ipv6()
    host = address.host or ("::" if dual else "0.0.0.0")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and dual
    try:
        return socket.create_server((host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is impossible in DNS
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise ListenError(_tcp_sentence(error)) from error


def _tcp_sentence(error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "the port is in use; choose another, or end the program that listens there"
    if number == errno.EADDRNOTAVAIL:
        return "this machine has no such address; leave the host out, as in :4040, for all of its addresses"
    if number == errno.EACCES:
        return "this user may not listen on that port; choose one above 1023"
    if number == errno.EAFNOSUPPORT:
        return "this machine has no IPv6; leave the host out, as in :4040, for all of its addresses"
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"it cannot be used ({reason}); use HOST:PORT with an address of this machine"


def _bind_unix(path: Path) -> socket.socket:
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(path))
        # For the owner and the directory's group: an app with another user id shares the pod's fsGroup. Set before
        # listen(): until then nobody can connect, whatever the umask allows.
        path.chmod(0o660)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise ListenError(f"no socket can be made there ({reason}); use a path in a writable directory") from error
    return bound


def _remove_stale(path: Path) -> None:
    """Remove a socket file that a dead process left behind. Raises ListenError if it may be in use."""
    if _inode(path) is None:
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ListenError("a file that is not a socket is there; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # the only answer that proves that nobody listens
            path.unlink()
            return
        except OSError as error:
            raise ListenError(f"a socket is there that cannot be tried ({error}); remove it") from error
    raise ListenError("another process listens there; choose another path, or end that process")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
