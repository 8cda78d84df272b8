"""A steady, open stream of questions: each has its instant, whatever became of those before it.

Its latency is counted from that instant. A question that had to wait, because every connection was still busy or the
measurer was late, shows that; a closed loop would leave out just those.
"""

import re
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from tests.bench.samples import MeasurementFailed, Sample

_PATIENCE = 120.0
_QUESTION = b"GET /leader HTTP/1.1\r\nHost: localhost\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LEFT = re.compile(rb'"validForSeconds": ([0-9.]+)')


@dataclass
class Answers:
    """What came back. `least_left` is the least `validForSeconds` of any 200."""

    latency: Sample = field(default_factory=lambda: Sample("answered"))
    lateness: Sample = field(default_factory=lambda: Sample("of that, the measurer's own delay"))
    not_leading: int = 0
    least_left: float = float("inf")

    def take(self, answer: bytes, due: float) -> None:
        """Judge one answer to the question that was due then."""
        self.latency.add(time.monotonic() - due)
        left = _LEFT.search(answer)
        if not answer.startswith(b"HTTP/1.1 200") or left is None:
            self.not_leading += 1
        else:
            self.least_left = min(self.least_left, float(left[1]))


class _Connection:
    """One keep-alive connection, with at most one question under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._received = b""

    def ask(self, due: float) -> None:
        self.due = due
        self._received = b""
        self.socket.sendall(_QUESTION)

    def answer(self) -> bytes | None:
        """The whole answer, or None while some of it is missing."""
        received = self.socket.recv(65536)
        if not received:
            raise MeasurementFailed("the sidecar closed a connection")
        self._received += received
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or length is None or len(body) < int(length[1]):
            return None
        return self._received


class Stream:
    """Questions over a pool of connections. It uses `select`, which alone waits for less than a millisecond."""

    def __init__(self, port: int, connections: int) -> None:
        self._idle = deque(_Connection(port) for _ in range(connections))
        self._busy: dict[socket.socket, _Connection] = {}
        self.answers = Answers()

    def run(self, rate: float, seconds: float) -> Answers:
        """Ask `rate` times a second for that long, and wait for the last answers. Raises MeasurementFailed."""
        begun, count, asked = time.monotonic(), int(rate * seconds), 0
        while asked < count or self._busy:
            due = begun + asked / rate if asked < count else None
            if due is not None and self._idle and time.monotonic() >= due:
                self._ask(due)
                asked += 1
            else:
                self._receive(due)
        return self.answers

    def close(self) -> None:
        """Hang up."""
        for connection in (*self._idle, *self._busy.values()):
            connection.socket.close()

    def _ask(self, due: float) -> None:
        connection = self._idle.popleft()
        self._busy[connection.socket] = connection
        connection.ask(due)
        self.answers.lateness.add(time.monotonic() - due)

    def _receive(self, due: float | None) -> None:
        """Wait for answers, and take those that have come; not beyond `due` while a connection is free for it."""
        waits_for_due = due is not None and bool(self._idle)
        patience = max(0.0, due - time.monotonic()) if waits_for_due and due is not None else _PATIENCE
        ready, _, _ = select.select(list(self._busy), [], [], patience)
        if not ready and not waits_for_due:
            raise MeasurementFailed(f"no answer has come for {_PATIENCE} s")
        for one in ready:
            connection = self._busy[one]
            answer = connection.answer()
            if answer is not None:
                self.answers.take(answer, connection.due)
                self._idle.append(self._busy.pop(one))
