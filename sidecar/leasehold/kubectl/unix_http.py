"""One HTTP request over a socket of the file system, with a deadline for the whole of it."""

from __future__ import annotations

import json
import math
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any, Final
from urllib.parse import urlencode

NETWORK_ERRORS: Final = (OSError, HTTPException)
_CHUNK_BYTES: Final = 65536


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Answer:
    """A response whose body has not been read. Every wait for more of it ends at the deadline, by TimeoutError."""

    def __init__(self, path: str, end: float) -> None:
        self._end = end
        self._connection = _Connection(path)
        self._connection.timeout = self._left()
        self._connection.connect()
        self._socket: socket.socket = self._connection.sock
        self.status = 0
        self.headers: Sequence[tuple[str, str]] = ()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> None:
        """Send the request, and read the status and the headers."""
        # Without Accept-Encoding, kubectl decides on compression, and undoes it.
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        length = {} if body is None else {"Content-Length": str(len(body))}
        for name, value in {"Connection": "close", **headers, **length}.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        self._socket.settimeout(self._left())
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.getheaders()

    def header(self, name: str) -> str:
        """The header's first value, or ""."""
        return next((value for one, value in self.headers if one.lower() == name), "")

    def read(self) -> bytes:
        """The whole body."""
        parts: list[bytes] = []
        while True:
            self._socket.settimeout(self._left())
            part = self._response.read1(_CHUNK_BYTES)
            if not part:
                whole = b"".join(parts)
                if self._response.length:
                    raise IncompleteRead(whole, self._response.length)
                return whole
            parts.append(part)

    def lines(self) -> Iterator[bytes]:
        """The body's lines as they come."""
        while True:
            self._socket.settimeout(self._left())
            line = self._response.readline()
            if not line:
                return
            yield line

    def close(self) -> None:
        """Close the connection."""
        if hasattr(self, "_response"):
            self._response.close()
        self._connection.close()

    def _left(self) -> float | None:
        if math.isinf(self._end):
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def request(
    path: str,
    method: str,
    target: str,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Mapping[str, Any] | None = None,
    seconds: float | None = None,
) -> Answer:
    """Ask at the socket `path`; without `seconds` there is no deadline. The caller closes the answer."""
    headers = {"Accept": "application/json", "User-Agent": "kubectl-leasehold"}
    if body is not None:
        headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = Answer(path, time.monotonic() + (math.inf if seconds is None else seconds))
    try:
        words = f"{target}?{urlencode(query)}" if query else target
        answer.ask(method, words, headers, None if body is None else json.dumps(body).encode())
    except BaseException:
        answer.close()
        raise
    return answer
