"""One gRPC call as its two sides tell it: messages with their prefix, and the status at the end. Without I/O."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from leasehold.etcd.errors import Code, RpcError

MESSAGE_BYTES: Final = 64 * 2**20
"""The largest message that is taken: ten thousand locks are four million bytes."""
_PREFIX: Final = struct.Struct(">?I")

_HTTP_STATUS: Final = {
    "400": Code.INTERNAL,
    "401": Code.UNAUTHENTICATED,
    "403": Code.PERMISSION_DENIED,
    "404": Code.UNIMPLEMENTED,
    "429": Code.UNAVAILABLE,
    "502": Code.UNAVAILABLE,
    "503": Code.UNAVAILABLE,
    "504": Code.UNAVAILABLE,
}
"""What gRPC has a client make of an answer that is none of gRPC's: a proxy's, mostly."""


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: whether it is compressed, its length, and itself."""
    return _PREFIX.pack(False, len(message)) + message


class Call:
    """One call, unary or streaming.

    `on_message` gets each message's bytes; an RpcError that it raises ends the call. `on_end` is called once, when the
    other side has ended the call: with None for the status OK, else with the error. Neither is called after
    `GrpcConnection.cancel`, nor may either block.
    """

    __slots__ = ("_head", "_headers", "_received", "ended", "on_end", "on_message", "outbox", "sent_end", "stream")

    def __init__(
        self,
        headers: Sequence[tuple[str, str]],
        on_message: Callable[[bytes], None],
        on_end: Callable[[RpcError | None], None],
    ) -> None:
        self._headers = headers
        self.on_message = on_message
        self.on_end = on_end
        self.stream = 0
        """The stream's id; 0 until it may be opened."""
        self.outbox: deque[memoryview] = deque()
        self.sent_end = False
        self.ended = False
        self._received = bytearray()
        self._head = False

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """What opens the stream."""
        return self._headers

    def end(self, error: RpcError | None) -> None:
        """Tell the caller that the call is over; only the first time counts."""
        if not self.ended:
            self.ended = True
            self.on_end(error)

    def take_head(self, headers: Mapping[str, str]) -> None:
        """The answer's headers; those of an answer without a message bring the status along. Raises RpcError."""
        self._head = True
        status, kind = headers.get(":status", ""), headers.get("content-type", "")
        if status != "200":
            raise RpcError(_HTTP_STATUS.get(status, Code.UNKNOWN), f"HTTP status {status or 'missing'}, not gRPC's")
        if not kind.startswith("application/grpc"):
            raise RpcError(Code.UNKNOWN, f"content type {kind or 'missing'}, not gRPC's")

    def take_data(self, data: bytes) -> None:
        """A part of the answer's body; whole messages go to `on_message`. Raises RpcError."""
        if not self._head:
            raise RpcError(Code.INTERNAL, "a body without headers")
        self._received += data
        while len(self._received) >= _PREFIX.size and not self.ended:
            compressed, length = _PREFIX.unpack_from(self._received)
            if compressed:
                raise RpcError(Code.INTERNAL, "a compressed message, which was not asked for")
            if length > MESSAGE_BYTES:
                raise RpcError(Code.RESOURCE_EXHAUSTED, f"a message of {length:,} bytes")
            if len(self._received) < _PREFIX.size + length:
                return
            message = bytes(self._received[_PREFIX.size : _PREFIX.size + length])
            del self._received[: _PREFIX.size + length]
            self.on_message(message)

    def take_trailers(self, headers: Mapping[str, str]) -> RpcError | None:
        """The error that the status stands for; None for OK."""
        code = code_of(headers.get("grpc-status", ""))
        if code is None and self._received:
            return RpcError(Code.INTERNAL, "the call ended within a message")
        return RpcError(code, unquote(headers.get("grpc-message", ""))) if code else None


def code_of(status: str) -> Code | None:
    """The code of a `grpc-status` header; None for OK. What is not a number of gRPC's is UNKNOWN."""
    if status == "0":
        return None
    known = status.isascii() and status.isdigit() and len(status) < 3 and 0 < int(status) < len(_CODES)
    return _CODES[int(status)] if known else Code.UNKNOWN


_CODES: Final = (
    Code.UNKNOWN,  # 0 is OK
    Code.CANCELLED,
    Code.UNKNOWN,
    Code.INVALID_ARGUMENT,
    Code.DEADLINE_EXCEEDED,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.PERMISSION_DENIED,
    Code.RESOURCE_EXHAUSTED,
    Code.FAILED_PRECONDITION,
    Code.ABORTED,
    Code.OUT_OF_RANGE,
    Code.UNIMPLEMENTED,
    Code.INTERNAL,
    Code.UNAVAILABLE,
    Code.DATA_LOSS,
    Code.UNAUTHENTICATED,
)
