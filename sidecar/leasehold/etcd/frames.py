"""HTTP/2 frames, cut from a stream of bytes, within bounds that the library does not set.

The library decodes a block of headers of up to a MiB, in a time that grows with its square, and remembers every setting
that a peer has named. A peer that is broken, or is no etcd, must cost neither seconds of CPU nor megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

FRAME_BYTES: Final = 16_384
"""The largest payload of a frame that we announce, the least that HTTP/2 allows."""
HEADER_LIST_BYTES: Final = 65_536
"""The largest list of headers that we announce; compressed it must not be larger either."""
GOAWAY: Final = 7
_HEADERS: Final = 1
_SETTINGS: Final = 4
_CONTINUATION: Final = 9
_FRAME_HEADER_BYTES: Final = 9
_SETTING_BYTES: Final = 6
_LAST_SETTING: Final = 8
"""The highest id of a setting that the library knows. HTTP/2 has the receiver ignore those that it does not know."""


class Broken(Exception):
    """The connection is of no more use: the text says what the other side did."""


class FrameReader:
    """Cuts frames from the bytes that come."""

    def __init__(self) -> None:
        self._input = bytearray()
        self._header_block_bytes = 0

    def frames(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete with these bytes. Raises Broken at the first that is out of bounds."""
        self._input += data
        while len(self._input) >= _FRAME_HEADER_BYTES:
            length = int.from_bytes(self._input[:3], "big")
            if length > FRAME_BYTES:
                raise Broken(f"etcd broke the protocol: a frame of {length:,} bytes")
            whole = _FRAME_HEADER_BYTES + length
            if len(self._input) < whole:
                return
            frame = bytes(self._input[:whole])
            del self._input[:whole]
            yield self._bounded(frame)

    def _bounded(self, frame: bytes) -> bytes:
        kind, length = frame[3], len(frame) - _FRAME_HEADER_BYTES
        if kind in (_HEADERS, _CONTINUATION):
            self._header_block_bytes = length + (self._header_block_bytes if kind == _CONTINUATION else 0)
            if self._header_block_bytes > HEADER_LIST_BYTES:
                raise Broken(f"etcd broke the protocol: headers of {self._header_block_bytes:,} bytes")
        elif kind == _SETTINGS and length % _SETTING_BYTES == 0:  # the library refuses any other length
            return _known_settings(frame)
        return frame


def _known_settings(frame: bytes) -> bytes:
    starts = range(_FRAME_HEADER_BYTES, len(frame), _SETTING_BYTES)
    settings = (frame[start : start + _SETTING_BYTES] for start in starts)
    known = b"".join(each for each in settings if int.from_bytes(each[:2], "big") <= _LAST_SETTING)
    return len(known).to_bytes(3, "big") + frame[3:_FRAME_HEADER_BYTES] + known
