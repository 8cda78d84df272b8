"""gRPC over one HTTP/2 connection, without I/O: bytes in, callbacks and bytes out.

HTTP/2 itself (frames, HPACK, stream states, window arithmetic) is the library's. What stands here is what gRPC adds,
and what the library leaves to its caller:

* Bytes are cut into frames first, and the library gets one at a time: it forgets the events of a chunk in which a later
  frame is an error.
* GOAWAY is kept from the library, which closes its state at any: etcd sends a PING in the same write, and answers that
  are done may follow. All of a chunk is taken; then the connection is over, and the caller dials again.
* What is sent is split by the peer's frame size, and waits for its windows and for its limit of streams.
* The library remembers every closed stream, up to 65,536 of them (13 MiB). Here it remembers those that we reset: only
  on them may the peer's frames be under way. Forgotten, such a frame would break the connection.
* etcd measures the bandwidth: it sends a PING when it gets a message, and no other one before that is answered. Our
  answer goes along with what we send next. Alone it would wake etcd once more: 7 % of what an idle candidate costs it.
* A peer may send frames without end that bring no call forward, each within the protocol. There is a limit to them.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, ParamSpec, TypeVar

from jh2 import events
from jh2.config import H2Configuration
from jh2.connection import H2Connection
from jh2.exceptions import H2Error, StreamClosedError
from jh2.hpack import HPACKError
from jh2.settings import SettingCodes, Settings
from jh2.stream import StreamClosedBy
from jh2.utilities import SizeLimitDict

from leasehold.etcd.errors import Code, RpcError
from leasehold.etcd.frames import FRAME_BYTES, GOAWAY, HEADER_LIST_BYTES, Broken, FrameReader
from leasehold.etcd.grpc_call import Call, framed

P = ParamSpec("P")
R = TypeVar("R")

STREAM_WINDOW_BYTES: Final = 4 * 2**20
CONNECTION_WINDOW_BYTES: Final = 64 * 2**20
"""One stream whose reader is slow must not hold up the others by using up the connection's window."""
DEFAULT_WINDOW_BYTES: Final = 65_535
"""Both windows of a peer that has not said otherwise."""
HEADER_TABLE_BYTES: Final = 4_096
QUIET_FRAMES: Final = 10_000
"""So many frames in a row may bring no call forward: PING, SETTINGS, empty DATA and the like."""
SPARE_STREAMS: Final = 16
"""So many streams must be left for calls before one is opened ahead."""
RESET_STREAMS: Final = 2_000
"""How many streams that we reset are remembered, at 200 bytes each."""
PROBE: Final = bytes((0, 0, 8, 6, 0, 0, 0, 0, 0, 2, 4, 16, 16, 9, 14, 7, 7))
"""The PING by which gRPC for Go estimates the bandwidth; those by which it looks whether we are alive hold zeros."""
_PROBE_ANSWER: Final = PROBE[:4] + b"\1" + PROBE[5:]
_CANCEL: Final = 8


class _Http2(H2Connection):  # type: ignore[misc]  # the library ships no types
    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self._closed_streams = _ResetStreams(size_limit=RESET_STREAMS)


class _ResetStreams(SizeLimitDict):  # type: ignore[misc]  # the library ships no types
    def __setitem__(self, stream: int, closed_by: StreamClosedBy | None) -> None:
        if closed_by is StreamClosedBy.SEND_RST_STREAM:
            super().__setitem__(stream, closed_by)


def _or_broken(method: Callable[P, R]) -> Callable[P, R]:
    """Make a Broken of the library's errors, which all mean the same: the connection is over."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (H2Error, HPACKError, ValueError) as error:
            raise Broken(f"etcd broke the protocol ({error})") from error

    return guarded


class GrpcConnection:
    """The calls of one connection. After each method that can make output, `take_output` is to be written."""

    def __init__(self, scheme: str, authority: str) -> None:
        # What we send is ours, and right: looking at it costs more than encoding it.
        settings = H2Configuration(client_side=True, header_encoding="utf-8")
        settings.validate_outbound_headers = settings.normalize_outbound_headers = False
        self._http = _Http2(settings)
        self._http.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.HEADER_TABLE_SIZE: HEADER_TABLE_BYTES,
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                SettingCodes.MAX_FRAME_SIZE: FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_BYTES,
            },
        )
        # The library takes a stream's first window to be 6 MiB unless the peer's SETTINGS name it, which etcd's do not.
        # HTTP/2's default is 65,535, and etcd resets a stream that sends more (FLOW_CONTROL_ERROR).
        self._http.remote_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.HEADER_TABLE_SIZE: HEADER_TABLE_BYTES,
                SettingCodes.INITIAL_WINDOW_SIZE: DEFAULT_WINDOW_BYTES,
            },
        )
        self._http.initiate_connection()
        self._http.increment_flow_control_window(CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
        self._common = (
            (":method", "POST"),
            (":scheme", scheme),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "leasehold"),
        )
        self._reader = FrameReader()
        self._quiet = 0
        self._probed = False
        self._open: dict[int, Call] = {}
        self._waiting: deque[Call] = deque()
        self._leaving = ""

    def take_output(self) -> bytes:
        """What is to be written now."""
        output: bytes = self._http.data_to_send()
        if output and self._probed:
            self._probed = False
            output += _PROBE_ANSWER
        return output

    # --- calls ----------------------------------------------------------------------------------------------

    def call(
        self,
        path: str,
        metadata: Mapping[str, str],
        on_message: Callable[[bytes], None],
        on_end: Callable[[RpcError | None], None],
    ) -> Call:
        """Begin a call. Its stream is opened with its first message, once the peer allows one more."""
        return Call([(":path", path), *self._common, *metadata.items()], on_message, on_end)

    @_or_broken
    def send(self, call: Call, message: bytes, *, end: bool = False) -> None:
        """Send one message; `end`: it is the last. Raises Broken."""
        call.outbox.append(memoryview(framed(message)))
        call.sent_end = end
        if call.stream:
            self._flush(call)
        elif call not in self._waiting:
            self._waiting.append(call)
            self._open_waiting()

    @_or_broken
    def open_stream(self, call: Call) -> None:
        """Open a call's stream ahead of its first message, if the peer allows many more. Raises Broken."""
        if not self._waiting and self._http.remote_settings.max_concurrent_streams - len(self._open) > SPARE_STREAMS:
            self._waiting.append(call)
            self._open_waiting()

    @_or_broken
    def cancel(self, call: Call) -> None:
        """Give a call up: nothing more is heard of it. Raises Broken."""
        call.ended = True
        if call in self._waiting:
            self._waiting.remove(call)
        self._drop(call, reset=True)

    def _drop(self, call: Call, *, reset: bool) -> None:
        """Be done with a call's stream; `reset` unless both sides have ended it."""
        if self._open.pop(call.stream, None) is None:
            return
        if reset:
            with contextlib.suppress(
                StreamClosedError
            ):  # both sides may have ended it in the frame that was just taken
                self._http.reset_stream(call.stream, _CANCEL)
        self._open_waiting()

    def _open_waiting(self) -> None:
        while self._waiting and len(self._open) < self._http.remote_settings.max_concurrent_streams:
            call = self._waiting.popleft()
            call.stream = self._http.get_next_available_stream_id()
            self._open[call.stream] = call
            self._http.send_headers(call.stream, call.headers)
            self._flush(call)

    def _flush(self, call: Call) -> None:
        """Send what the windows allow; the rest goes when they open."""
        while call.outbox and call.stream in self._open:
            allowed = min(self._http.local_flow_control_window(call.stream), self._http.max_outbound_frame_size)
            if allowed <= 0:
                return
            part, rest = call.outbox[0][:allowed], call.outbox[0][allowed:]
            if rest:
                call.outbox[0] = rest
            else:
                call.outbox.popleft()
            end = call.sent_end and not call.outbox
            self._quiet = 0
            self._http.send_data(call.stream, bytes(part), end_stream=end)

    # --- what comes -----------------------------------------------------------------------------------------

    @_or_broken
    def receive(self, data: bytes) -> None:
        """Take bytes of the peer's. Raises Broken, when all that counts in them has been taken."""
        for frame in self._reader.frames(data):
            self._quiet += 1
            if self._quiet > QUIET_FRAMES:
                raise Broken(f"etcd sent {QUIET_FRAMES:,} frames in a row that belong to no call")
            if frame[3] == GOAWAY:
                self._leaving = "etcd is going away (GOAWAY)"
                continue
            if frame == PROBE and not self._probed:
                self._probed = True
                continue
            for event in self._http.receive_data(frame):
                self._treat(event)
        if self._leaving:
            raise Broken(self._leaving)

    def _treat(self, event: events.Event) -> None:
        match event:
            case events.DataReceived():
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.data:
                    self._judge(event.stream_id, lambda call: call.take_data(event.data))
            case events.ResponseReceived():
                self._head(event)
            case events.TrailersReceived():
                self._trailers(event.stream_id, dict(event.headers))
            case events.StreamEnded():
                self._end(event.stream_id, RpcError(Code.UNKNOWN, "the call ended without a status"))
            case events.StreamReset():
                self._end(
                    event.stream_id,
                    RpcError(Code.UNKNOWN, f"the call was reset (code {event.error_code})"),
                    reset=False,
                )
            case events.WindowUpdated() | events.RemoteSettingsChanged():
                self._resume()

    def _head(self, event: events.ResponseReceived) -> None:
        headers = dict(event.headers)
        self._judge(event.stream_id, lambda call: call.take_head(headers))
        if "grpc-status" in headers and event.stream_ended:  # trailers only: an error, most often
            self._trailers(event.stream_id, headers)

    def _trailers(self, stream: int, headers: Mapping[str, str]) -> None:
        call = self._open.get(stream)
        if call is not None:
            self._end(stream, call.take_trailers(headers))

    def _judge(self, stream: int, take: Callable[[Call], None]) -> None:
        call = self._open.get(stream)
        if call is None:
            return
        self._quiet = 0
        try:
            take(call)
        except RpcError as error:
            self._drop(call, reset=True)
            call.end(error)

    def _end(self, stream: int, error: RpcError | None, *, reset: bool | None = None) -> None:
        """The other side has ended a call. HTTP/2 wants a reset from a side that had more to send."""
        call = self._open.get(stream)
        if call is not None:
            self._quiet = 0
            unfinished = bool(call.outbox) or not call.sent_end
            self._drop(call, reset=unfinished if reset is None else reset)
            call.end(error)

    def _resume(self) -> None:
        for call in list(self._open.values()):
            self._flush(call)
        self._open_waiting()
