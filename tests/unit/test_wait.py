"""`leasehold wait` against servers that are no sidecars, or poor ones. With real sidecars: tests/integration."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from leasehold.base.clock import now as clock
from leasehold.cli import wait

LEADING = {"leading": True, "token": 7, "leader": "me"}
Serve = Callable[[Callable[[str], bytes | None]], str]


def answer(status: int, body: object) -> bytes:
    data = json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that gives each path its answer, then closes; None keeps the connection open, in silence."""
    listeners: list[socket.socket] = []
    kept: list[socket.socket] = []

    def loop(listener: socket.socket, reply: Callable[[str], bytes | None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
                path = connection.recv(65536).split()[1].decode()
                data = reply(path)
                if data is None:
                    kept.append(connection)
                    continue
                connection.sendall(data)
                connection.close()
            except (OSError, IndexError):
                return

    def start(reply: Callable[[str], bytes | None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=loop, args=(listener, reply), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)
    for one in (*listeners, *kept):
        one.close()


def waiting(url: str, seconds: float = 0.3) -> tuple[int | None, str]:
    one = wait.Wait(url, clock() + seconds)
    return one.for_token(), one.last


def test_the_token_is_the_answer(serve: Serve) -> None:
    assert waiting(serve(lambda path: answer(200, LEADING)), seconds=600)[0] == 7


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, {"hello": "world"}),
        answer(200, [1]),
        answer(200, LEADING | {"leading": "yes"}),
        answer(200, LEADING | {"token": None}),
        answer(503, LEADING),
        answer(404, "no such page"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=str,
)
def test_nothing_but_a_leading_sidecar_is_believed(reply: bytes, serve: Serve) -> None:
    token, last = waiting(serve(lambda path: reply))
    assert token is None
    assert last


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the wait's own end is near: a question that outlives it hangs, which the test run notices."""
    for limit in ("ANSWER_TIMEOUT_SECONDS", "SILENCE_SECONDS"):
        monkeypatch.setattr(wait, limit, 3600.0)


@pytest.mark.usefixtures("endless")
def test_a_silent_server_costs_the_timeout(serve: Serve) -> None:
    """No more time than that is spent on a server that never answers."""
    assert waiting(serve(lambda path: None), seconds=0.5)[0] is None


@pytest.fixture
def soon_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets all the time of a wait of 600 s pass but half a second: no pause of this process can come before it."""
    jumps: list[float] = []
    monkeypatch.setattr(wait, "clock", lambda: clock() + sum(jumps))
    return lambda: jumps.append(599.5)


@pytest.mark.usefixtures("endless")
def test_a_question_cut_short_hides_no_answer(serve: Serve, soon_over: Callable[[], None]) -> None:
    """The last question may get less time than an answer takes: what was answered before it is told."""
    answers = iter([answer(503, {"leading": False, "token": None, "leader": "other"})])

    def reply(path: str) -> bytes | None:
        if path == "/events":
            soon_over()
            return answer(404, {})
        return next(answers, None)

    assert waiting(serve(reply), seconds=600) == (None, "'other' leads")


@pytest.mark.usefixtures("endless")
def test_a_silent_stream_costs_the_timeout(serve: Serve, soon_over: Callable[[], None]) -> None:
    """No more time than that is spent on an event stream without events."""

    def reply(path: str) -> bytes | None:
        if path == "/events":
            return None
        soon_over()
        return answer(503, LEADING | {"leading": False})

    assert waiting(serve(reply), seconds=600) == (None, "'me' leads")


def test_each_event_is_an_occasion_to_ask(serve: Serve) -> None:
    """The stream only says when to look."""
    asked: list[str] = []

    def reply(path: str) -> bytes:
        asked.append(path)
        if path == "/events":
            return b"HTTP/1.1 200 OK\r\n\r\n" + b"event: state\ndata: {}\n\n" * 2
        return answer(200, LEADING) if asked.count("/leader") == 3 else answer(503, LEADING | {"leading": False})

    assert waiting(serve(reply), seconds=600)[0] == 7
    assert asked == ["/leader", "/events", "/leader", "/leader"]


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert waiting(f"http://127.0.0.1:{port}") == (
        None,
        f"http://127.0.0.1:{port} does not answer (connection refused)",
    )
