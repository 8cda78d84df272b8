"""etcd's API as anybody can call it: gRPC by grpcio, messages by field numbers, no client of ours in between."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc

from tests.servers import Certificate

SECONDS: Final = 30.0
"""For a call to be answered, however busy the machine is."""

_NOTHING: Final = b""

Value = int | str | bytes | list[Any] | dict[int, Any]


def message(fields: Mapping[int, Value]) -> bytes:
    """A protobuf message from field numbers and values; dicts are messages within, lists are repeated fields."""
    return b"".join(_field(number, one) for number, value in fields.items() for one in _repeated(value))


def _repeated(value: Value) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _field(number: int, value: Value) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value % 2**64)
    data = message(value) if isinstance(value, dict) else value.encode() if isinstance(value, str) else value
    assert isinstance(data, bytes)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def fields_of(data: bytes) -> dict[int, Any]:
    """The last value of each field of a message: integers, and bytes undecoded."""
    found: dict[int, Any] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            found[tag >> 3], at = data[at : at + value], at + value
        else:
            found[tag >> 3] = value
    return found


class RawEtcd:
    """One connection to an etcd, by a client certificate."""

    def __init__(self, address: str, certificate: Certificate) -> None:
        """`address` is host:port."""
        files = (certificate.ca, certificate.key, certificate.cert)
        credentials = grpc.ssl_channel_credentials(*(path.read_bytes() for path in files))
        self._channel = grpc.secure_channel(address, credentials)

    def close(self) -> None:
        self._channel.close()

    def refusal(self, method: str, fields: Mapping[int, Value]) -> str:
        """Why etcd refuses this call, with the status; empty if it does what is asked.

        A stream is refused if its first answer is an error, or a watch that etcd cancels.
        """
        try:
            answer = self._first(method, message(fields))
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
        if answer == _NOTHING and method.endswith("/Observe"):
            return "it ended without an answer"
        if method.endswith("/Watch"):
            watch = fields_of(answer)
            return bytes(watch[6]).decode() if watch.get(4) else ""
        return ""

    def ask(self, method: str, fields: Mapping[int, Value]) -> dict[int, Any]:
        """The fields of the answer. Raises grpc.RpcError."""
        return fields_of(self._first(method, message(fields)))

    def _first(self, method: str, request: bytes) -> bytes:
        if method.endswith(("/Watch", "/LeaseKeepAlive")):
            stream = self._channel.stream_stream(method)(_open(request), timeout=SECONDS)
        elif method.endswith(("/Snapshot", "/Observe")):
            stream = self._channel.unary_stream(method)(request, timeout=SECONDS)
        else:
            return bytes(self._channel.unary_unary(method)(request, timeout=SECONDS))
        try:
            return bytes(next(iter(stream), _NOTHING))
        finally:
            stream.cancel()


def _open(request: bytes) -> Iterator[bytes]:
    yield request
