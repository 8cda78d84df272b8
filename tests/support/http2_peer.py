"""A peer that speaks HTTP/2 by another library, and the answers, good and bad, that it gives to a gRPC call."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.settings import SettingCodes

from leasehold.etcd.errors import RpcError
from leasehold.etcd.grpc import GrpcConnection

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]
PATH = "/etcdserverpb.KV/Range"
Http = h2.connection.H2Connection
Answer = Callable[[Http, int], None]


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">?I", compressed, len(message)) + message


@dataclass
class Heard:
    """What one call has brought."""

    messages: list[bytes] = field(default_factory=list)
    ends: list[RpcError | None] = field(default_factory=list)

    @property
    def error(self) -> RpcError:
        (error,) = self.ends
        assert error is not None
        return error


class Pair:
    """Our side and a peer, which hands whole requests to `answer`. `cut`: so many bytes at a time reach our side."""

    def __init__(self, answer: Answer, *, cut: int = 0, settings: dict[SettingCodes, int] | None = None) -> None:
        self.ours = GrpcConnection("http", "etcd:2379")
        self.peer = Http(h2.config.H2Configuration(client_side=False))
        self.peer.local_settings = h2.settings.Settings(client=False, initial_values=settings or {})
        self.peer.initiate_connection()
        self.requests: dict[int, bytes] = {}
        self.open = self.most_open = 0
        self._answer = answer
        self._cut = cut

    def call(self, message: bytes = b"", metadata: dict[str, str] | None = None) -> Heard:
        heard = Heard()
        call = self.ours.call(PATH, metadata or {}, heard.messages.append, heard.ends.append)
        self.ours.send(call, message, end=True)
        self.talk()
        return heard

    def talk(self) -> None:
        """Let both sides hear each other until neither has more to say. Raises Broken."""
        while True:
            ours, theirs = self.ours.take_output(), self.peer.data_to_send()
            if not ours and not theirs:
                return
            for start in range(0, len(theirs), self._cut or len(theirs) or 1):
                self.ours.receive(theirs[start : start + (self._cut or len(theirs))])
            for event in self.peer.receive_data(ours):
                self._hear(event)

    def _hear(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            case h2.events.DataReceived():
                self.requests[event.stream_id] = self.requests.get(event.stream_id, b"") + event.data
                self.peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.open -= 1
                self._answer(self.peer, event.stream_id)


def saying(message: bytes, *, trailers: list[tuple[str, str]] | None = None) -> Answer:
    def answer(http: Http, stream: int) -> None:
        http.send_headers(stream, HEAD)
        body = framed(message)
        for start in range(0, len(body), 16_384):
            http.send_data(stream, body[start : start + 16_384])
        http.send_headers(stream, trailers or OK, end_stream=True)

    return answer


def trailers_only(http: Http, stream: int) -> None:
    http.send_headers(stream, [*HEAD, ("grpc-status", "5"), ("grpc-message", "no%20lease")], end_stream=True)


def status(code: str) -> Answer:
    return lambda http, stream: http.send_headers(stream, [(":status", code)], end_stream=True)


def no_status(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(b"x"), end_stream=True)


def half(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(bytes(100))[:50])
    http.send_headers(stream, OK, end_stream=True)


def compressed(http: Http, stream: int) -> None:
    http.send_headers(stream, HEAD)
    http.send_data(stream, framed(b"x", compressed=True))


def other_type(http: Http, stream: int) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "text/html")])
    http.send_data(stream, b"<html>", end_stream=True)


def reset(http: Http, stream: int) -> None:
    http.reset_stream(stream, 7)
