"""What a user of a running sidecar sees over HTTP: whole answers, and the events as they arrive.

Only the standard library, so that our own web code has no part in judging itself.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 120.0
"""Seconds without a byte after which a question has failed; the longest silence promised is a heartbeat's."""


@dataclass(frozen=True)
class Reply:
    """One answer; the names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def fields(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def ask(method: str, url: str, headers: Mapping[str, str] | None = None) -> Reply:
    """One request on a connection of its own. `url` is `http://host:port/path`, or `unix:FILE:/path`."""
    connection, path = _connection(url)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read().decode())
    finally:
        connection.close()


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    if url.startswith("unix:"):
        file, _, path = url.removeprefix("unix:").rpartition(":")
        return _UnixConnection(file), path
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT), parts.path


class EventStream:
    """A consumer of `GET /events`, while entered."""

    def __init__(self, url: str) -> None:
        self._connection, path = _connection(f"{url}/events")
        self._connection.request("GET", path)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = {name.lower(): value for name, value in self._answer.getheaders()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event that is no heartbeat: its name and its data. EOFError when the stream has ended."""
        while True:
            name, data = self.any()
            if name != "heartbeat":
                return name, data

    def any(self) -> tuple[str, dict[str, Any]]:
        """The next event of any kind."""
        name = ""
        while line := self._answer.readline().decode():
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))
        raise EOFError("the stream has ended")

    def until(self, name: str) -> dict[str, Any]:
        """The data of the next event of this name, whatever comes before it."""
        while True:
            came, data = self.any()
            if came == name:
                return data
