"""One connection to one etcd member: its calls and its streams, each bounded in time.

It lives until something fails on it: a call without an answer in time, a lost or closing peer, an answer that says the
member serves nobody. Then it is closed, all that is under way on it fails, and it is never used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from leasehold.base.threads.resolver import Address
from leasehold.etcd.channel import Channel
from leasehold.etcd.deadline import Deadline, NoAnswer, answered
from leasehold.etcd.endpoints import Endpoint
from leasehold.etcd.errors import (
    Code,
    EtcdError,
    NotSent,
    OutcomeUnknown,
    RpcError,
    is_lasting,
    spoils_connection,
    translate,
)
from leasehold.etcd.grpc_call import Call
from leasehold.etcd.identity import Identity
from leasehold.etcd.methods import Method

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

CLOSE_TIMEOUT_SECONDS: Final = 1.0
"""How long to wait until a closed transport has released its socket."""


class Connection:
    """A live connection to etcd. `on_lost` is called once, with the reason, when it is lost or closed."""

    def __init__(self, endpoint: Endpoint, address: Address, on_lost: Callable[[Connection, str], None]) -> None:
        self.endpoint = endpoint
        self.address = address
        self.lost: str | None = None
        self.unfit = False
        """Whether it was closed because the member does not serve us, and will not for some time."""
        self.member = 0
        """The id of the member that answered last."""
        self.proven = False
        """Whether etcd has answered a call on it."""
        self.identity = Identity()
        """Who we are to etcd on it."""
        self.awaited = 0
        """How many requests on it wait for an answer."""
        self._on_lost = on_lost
        self._calls: set[Call] = set()
        self._ahead: _Unary | None = None
        self._channel = Channel(endpoint, self.close)

    def __str__(self) -> str:
        shown = self.endpoint.host not in (self.address.host, "") and self.address.host
        return f"{self.endpoint.url} ({shown})" if shown else self.endpoint.url

    async def open(self, context: ssl.SSLContext | None, identity: Identity) -> None:
        """Connect as `identity`, which `context` presents. Raises Unreachable; the caller bounds the time."""
        self.identity = identity
        await self._channel.open(self.address, context)

    async def call(self, method: Method[Q, A], request: Q, metadata: Mapping[str, str], deadline: Deadline) -> A:
        """Make one call, answered by then. Raises EtcdError. May be cancelled at any moment."""
        if self.lost is not None:
            raise NotSent(f"no connection to {self}: {self.lost}")
        unary = self._opened(method) or self._unary(method, metadata)
        call = unary.call
        self.awaited += 1
        self.send(call, request, end=True)
        try:
            return method.answer.FromString(await answered(unary.answer, deadline))
        except NoAnswer:
            raise _as_sent(call, self.silent(deadline.timeout)) from None
        except (RpcError, DecodeError) as error:
            raise _as_sent(call, self.failure(error)) from error
        finally:
            self.awaited -= 1
            self.cancel(call)

    def open_ahead(self, method: Method[Q, A]) -> None:
        """Open the stream for the next call of this method, unless there is one. The call must have no metadata.

        Then only its message is to be sent: headers are a sixth of what a leader does before its deletion is sent.
        """
        if self.lost is None:
            opened = self._opened(method)
            self._ahead = opened or self._unary(method, {})
            if opened is None:
                self._channel.open_stream(self._ahead.call)

    def _unary(self, method: Method[Q, A], metadata: Mapping[str, str]) -> _Unary:
        unary = _Unary()
        unary.call = self.begin(method, metadata, unary.take, unary.end)
        return unary

    def _opened(self, method: Method[Q, A]) -> _Unary | None:
        """The call whose stream was opened ahead, from now on its caller's; None too if the peer has ended it."""
        if not method.ahead or self._ahead is None:
            return None
        ahead, self._ahead = self._ahead, None
        if not ahead.call.ended:
            return ahead
        self.cancel(ahead.call)
        return None

    def begin(
        self,
        method: Method[Q, A],
        metadata: Mapping[str, str],
        on_message: Callable[[bytes], None],
        on_end: Callable[[RpcError | None], None],
    ) -> Call:
        """Begin a call whose messages come as bytes; nothing is sent yet. `on_end` is called once, unless cancelled."""
        call = self._channel.call(method.path, metadata, on_message, on_end)
        if self.lost is not None:
            asyncio.get_running_loop().call_soon(call.end, RpcError(Code.UNAVAILABLE, self.lost))
        self._calls.add(call)
        return call

    def send(self, call: Call, request: Message, *, end: bool = False) -> None:
        """Write a message now. Never waits, and raises nothing."""
        if self.lost is None:
            self._channel.send(call, request.SerializeToString(), end=end)

    def cancel(self, call: Call) -> None:
        """Be done with a call: nothing more is heard of it; the connection goes on."""
        self._calls.discard(call)
        if not call.ended and self.lost is None:
            self._channel.cancel(call)
        call.ended = True

    def silent(self, timeout: float) -> OutcomeUnknown:
        """Give the connection up because a request got no answer in time; the error to raise.

        `timeout` is the limit in seconds of the whole operation. What was left of it for this request would differ each
        time, and so would a log line that is there once as long as it stays the same.
        """
        self.close(f"no answer within {timeout:.3g} s")
        return OutcomeUnknown(f"{self} did not answer within {timeout:.3g} s")

    def no_etcd(self) -> OutcomeUnknown:
        """Give the connection up because the other end cannot be led on; the error to raise."""
        self.unfit = True
        self.close(
            f"{self} is not an etcd that Leasehold can lead on: its answers name no cluster and no member, so no "
            "keep-alive can be confirmed (kine answers so); use an etcd"
        )
        return OutcomeUnknown(self.lost or "")

    def failure(self, error: Exception) -> EtcdError:
        """What became of a call that ended so; gives the connection up where that is its fault."""
        if isinstance(error, EtcdError):
            return error
        if isinstance(error, RpcError) and self.lost is None:
            translated = translate(error, str(self))
            if spoils_connection(translated):
                self.unfit = is_lasting(translated)
                self.close(translated.reason)
            return translated
        # A lost connection, a broken frame or message.
        self.close(str(error) or type(error).__name__)
        if self.unfit:  # another call has found that out: one sentence for all, so that it is logged once
            return OutcomeUnknown(self.lost or "")
        return OutcomeUnknown(f"the call to {self} broke off: {self.lost}")

    def close(self, reason: str) -> None:
        """Close at once; whatever is under way on it fails. The first reason counts."""
        if self.lost is not None:
            return
        self.lost = reason
        self._channel.abort()
        loop = asyncio.get_running_loop()
        for call in self._calls:  # in turns of their own: whoever closes is in the middle of something
            loop.call_soon(call.end, RpcError(Code.UNAVAILABLE, reason))
        self._calls.clear()
        self._on_lost(self, reason)

    async def closed(self) -> None:
        """After `close`: wait until nothing of it is left, or a second has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._channel.gone()


def _as_sent(call: Call, error: EtcdError) -> EtcdError:
    """The same, if anything of the call was sent: it may have waited for the peer's limit of streams to the end."""
    return error if call.stream else NotSent(error.reason)


class _Unary:
    """The one answer to a call that has one."""

    call: Call

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._message: bytes | None = None

    def take(self, message: bytes) -> None:
        """Keep the answer. Raises RpcError at a second one: they could come without end."""
        if self._message is not None:
            raise RpcError(Code.INTERNAL, "etcd gave more than one answer to the call")
        self._message = message

    def end(self, error: RpcError | None) -> None:
        if self.answer.done():
            return
        if error is None and self._message is not None:
            self.answer.set_result(self._message)
        else:
            self.answer.set_exception(error or RpcError(Code.INTERNAL, "etcd ended the call without an answer"))
            self.answer.exception()  # its caller may be gone: then nobody else asks for it


class Stream(Generic[Q, A]):
    """An open stream in both directions.

    `on_answer` gets every message; `on_end` is called once, with the reason, unless we closed the stream ourselves.
    Neither may block.
    """

    def __init__(
        self,
        connection: Connection,
        method: Method[Q, A],
        metadata: Mapping[str, str],
        on_answer: Callable[[A], None],
        on_end: Callable[[EtcdError], None],
    ) -> None:
        self.connection = connection
        self.ended = False
        self._method = method
        self._on_answer = on_answer
        self._on_end = on_end
        self._call = connection.begin(method, metadata, self._take, self._over)

    def send(self, request: Q, about_to_send: Callable[[], None] | None = None) -> None:
        """Write a request now; `about_to_send` is called at the instant before."""
        if about_to_send is not None:
            about_to_send()
        self.connection.send(self._call, request)

    def close(self) -> None:
        """Reset the stream, without a word to `on_end`; the connection goes on."""
        self.ended = True
        self.connection.cancel(self._call)

    def _take(self, message: bytes) -> None:
        if self.ended:
            return
        try:
            self._on_answer(self._method.answer.FromString(message))
        except Exception as error:  # what cannot be read, or is believed by nobody: the count of answers is lost
            self._end(self.connection.failure(error))

    def _over(self, error: RpcError | None) -> None:
        self._end(self.connection.failure(error or RpcError(Code.UNKNOWN, "etcd ended the stream")))

    def _end(self, error: EtcdError) -> None:
        if not self.ended:
            self.ended = True
            self.connection.cancel(self._call)
            self._on_end(error)
