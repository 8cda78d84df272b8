"""A connection to the API server that stays open: where thousands of calls are made, or one is to be timed.

`Rest` opens one for each call, and the handshake of TLS costs more than the call.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from tests.cluster.rest import ApiError

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane


class Line:
    """One connection, as the administrator. Of one thread; closed by `with`, or `close`."""

    def __init__(self, api: "ControlPlane", timeout: float = 120) -> None:
        context = ssl.create_default_context(cafile=str(api.authority.path))
        self._connection = http.client.HTTPSConnection("127.0.0.1", api.port, context=context, timeout=timeout)
        self._token = api.token()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        self._connection.close()

    def hang_up(self) -> None:
        """End the connection under a thread that reads from `stream`; `close` is for afterwards."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        """The answer to one call; ApiError when it is refused, OSError when none comes."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise ApiError(answer.status, answer.reason, text[:1000])
        return json.loads(text)

    def stream(self, path: str) -> Iterator[Any]:
        """What a watch tells, event by event; ends with the connection."""
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
        answer = self._connection.getresponse()
        if answer.status >= 300:
            raise ApiError(answer.status, answer.reason, answer.read().decode()[:1000])
        return map(json.loads, answer)
