"""Forward proxies on loopback, of the two kinds that kubeconfigs name: HTTP (CONNECT) and SOCKS 5.

Whatever host a client names, they connect it to one port of this machine, and note the name.
"""

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_NO_AUTHENTICATION = b"\x05\x00"
_SOCKS_CONNECTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
_IPV4, _NAME = 1, 3


class ForwardProxy:
    """A proxy on a port of its own while the block runs. `asked` are the hosts that clients named."""

    scheme = ""

    def __init__(self, target: int) -> None:
        self.asked: list[str] = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    host = proxy.greet(self.request)
                    proxy.asked.append(host)
                    with socket.create_connection(("127.0.0.1", target)) as upstream:
                        _join(self.request, upstream)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}"

    def greet(self, client: socket.socket) -> str:
        """Hear whom the client wants, and tell it that it is connected; the host it named."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class HttpProxy(ForwardProxy):
    """CONNECT."""

    scheme = "http"

    def greet(self, client: socket.socket) -> str:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += _exactly(client, 1)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return request.split()[1].decode().rpartition(":")[0]


class SocksProxy(ForwardProxy):
    """SOCKS 5 without authentication (RFC 1928)."""

    scheme = "socks5"

    def greet(self, client: socket.socket) -> str:
        _exactly(client, _exactly(client, 2)[1])
        client.sendall(_NO_AUTHENTICATION)
        kind = _exactly(client, 4)[3]
        if kind == _NAME:
            host = _exactly(client, _exactly(client, 1)[0]).decode()
        else:
            assert kind == _IPV4, "no test has IPv6 here"
            host = socket.inet_ntoa(_exactly(client, 4))
        _exactly(client, 2)
        client.sendall(_SOCKS_CONNECTED)
        return host


def _exactly(client: socket.socket, count: int) -> bytes:
    read = b"".join(_chunks(client, count))
    if len(read) < count:
        raise ConnectionError("the client has gone")
    return read


def _chunks(client: socket.socket, count: int) -> Iterator[bytes]:
    while count and (chunk := client.recv(count)):
        count -= len(chunk)
        yield chunk


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on in both directions until either side ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            chunk = ready.recv(65536)
            if not chunk:
                return
            (other if ready is one else one).sendall(chunk)
