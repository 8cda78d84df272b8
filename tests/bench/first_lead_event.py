"""When a sidecar began to lead, by its own `GET /events`, read as fast as it comes."""

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Self

from tests.bench.samples import MeasurementFailed


class Gains:
    """The instants (of `time.monotonic`) at which a sidecar told that it leads. Connected by the constructor."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._gains: queue.Queue[float] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self, timeout: float) -> float:
        """When it next told that it leads. Raises MeasurementFailed after `timeout` seconds."""
        try:
            return self._gains.get(timeout=timeout)
        except queue.Empty:
            raise MeasurementFailed(f"no sidecar told within {timeout} s that it leads") from None

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):  # the other end may have gone first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        rest, event = b"", b""
        with suppress(OSError):  # ends when either side hangs up
            while received := self._socket.recv(65536):
                now = time.monotonic()
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    if line.startswith(b"event: "):
                        event = line[7:].strip()
                    elif line.startswith(b"data: ") and _is_gain(event, line):
                        self._gains.put(now)


def _is_gain(event: bytes, data: bytes) -> bool:
    return event == b"gained" or (event == b"state" and b'"leading": true' in data)
