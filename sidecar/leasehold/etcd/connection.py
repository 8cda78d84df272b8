"""One connection to one etcd member: its calls and its streams, each bounded in time.

It lives until something fails on it: a call without an answer in time, a lost or closing peer, an answer that says the
member serves nobody. Then it is closed, all that is under way on it fails at once, and it is never used again.

grpclib cancels the tasks that stand in a stream when the connection breaks. So every stream has a task of its own here:
a caller's task is cancelled by nobody but its owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Generic, TypeVar

from grpclib.client import Stream as GrpcStream
from grpclib.client import StreamStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from leasehold.etcd.addresses import Address
from leasehold.etcd.channel import Channel
from leasehold.etcd.endpoints import Endpoint
from leasehold.etcd.errors import EtcdError, NotSent, OutcomeUnknown, is_lasting, spoils_connection, translate
from leasehold.etcd.rpc_grpc import AuthStub, KVStub, LeaseStub, MaintenanceStub, WatchStub

Q = TypeVar("Q")
A = TypeVar("A")

_LETTING_GO: Final = 1.0
"""Seconds that a closed transport gets to let go of its socket."""


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
        self._on_lost = on_lost
        self._tasks: set[asyncio.Task[Any]] = set()
        self._channel = Channel(endpoint, self.close)
        self.kv = KVStub(self._channel)
        self.lease = LeaseStub(self._channel)
        self.watch = WatchStub(self._channel)
        self.auth = AuthStub(self._channel)
        self.maintenance = MaintenanceStub(self._channel)

    def __str__(self) -> str:
        shown = self.endpoint.host not in (self.address.host, "") and self.address.host
        return f"{self.endpoint.url} ({shown})" if shown else self.endpoint.url

    async def open(self, context: ssl.SSLContext | None) -> None:
        """Connect. Raises Unreachable; the caller bounds the time."""
        await self._channel.open(self.address, context)

    async def call(self, method: UnaryUnaryMethod[Q, A], request: Q, metadata: Mapping[str, str], timeout: float) -> A:
        """Make one call, answered within `timeout` seconds. Raises EtcdError. May be cancelled at any moment."""
        if self.lost is not None:
            raise NotSent(f"no connection to {self}: {self.lost}")
        task = self.spawn(self._ask(method, request, metadata), f"etcd {method.name}")
        try:
            await asyncio.wait((task,), timeout=timeout)
        finally:
            answered = task.done()
            task.cancel()
        if not answered:
            raise self.silent(timeout)
        try:
            return task.result()
        except Exception as error:
            raise self.failure(error) from error

    async def _ask(self, method: UnaryUnaryMethod[Q, A], request: Q, metadata: Mapping[str, str]) -> A:
        async with method.open(metadata=metadata) as stream:
            await stream.send_message(request, end=True)
            self.flush()
            if (answer := await stream.recv_message()) is not None:
                return answer
            # Raised inside the block, it makes grpclib look for the status that etcd ended the call with.
            raise StreamTerminatedError("etcd ended the call without an answer")

    def silent(self, timeout: float) -> OutcomeUnknown:
        """Give the connection up because a request got no answer in time; the error to raise."""
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
        """What an exception of grpclib means; gives the connection up where that is its fault."""
        if isinstance(error, EtcdError):
            return error
        if isinstance(error, GRPCError):
            translated = translate(error, str(self))
            if spoils_connection(translated):
                self.unfit = is_lasting(translated)
                self.close(translated.reason)
            return translated
        # Anything else: a lost connection, GOAWAY, a reset stream, a broken frame or message.
        self.close(str(error) or type(error).__name__)
        return OutcomeUnknown(f"the call to {self} broke off: {self.lost}")

    def flush(self) -> None:
        """Write now what was sent in this turn of the loop."""
        self._channel.flush()

    def spawn(self, coroutine: Coroutine[Any, Any, A], name: str) -> asyncio.Task[A]:
        """Run something of this connection in a task of its own."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone: then nobody else asks for it

    def close(self, reason: str) -> None:
        """Close at once; whatever is under way on it fails. The first reason counts."""
        if self.lost is not None:
            return
        self.lost = reason
        self._channel.abort()
        self._on_lost(self, reason)

    async def closed(self) -> None:
        """After `close`: wait until nothing of it is left, or a second has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LETTING_GO):
                await self._channel.gone()
                if self._tasks:
                    await asyncio.wait(set(self._tasks))


class Stream(Generic[Q, A]):
    """An open stream in both directions, in a task of its own.

    `on_answer` gets every message; `on_end` is called once, with the reason, unless we closed the stream ourselves.
    Neither may block. What is to be sent is queued: `send` never waits.
    """

    def __init__(
        self,
        connection: Connection,
        method: StreamStreamMethod[Q, A],
        metadata: Mapping[str, str],
        on_answer: Callable[[A], None],
        on_end: Callable[[EtcdError], None],
    ) -> None:
        self.connection = connection
        self.ended = False
        self._method = method
        self._metadata = metadata
        self._on_answer = on_answer
        self._on_end = on_end
        self._outbox: asyncio.Queue[tuple[Q, Callable[[], None] | None]] = asyncio.Queue()
        self._task = connection.spawn(self._run(), f"etcd {method.name}")

    def send(self, request: Q, about_to_send: Callable[[], None] | None = None) -> None:
        """Queue a request; `about_to_send` is called at the instant before it is written."""
        self._outbox.put_nowait((request, about_to_send))

    def close(self) -> None:
        """Reset the stream, without a word to `on_end`; the connection goes on."""
        self.ended = True
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._converse()
        except Exception as error:
            self._end(self.connection.failure(error))

    def _end(self, error: EtcdError) -> None:
        if not self.ended:
            self.ended = True
            self._on_end(error)

    async def _converse(self) -> None:
        async with self._method.open(metadata=self._metadata) as stream:
            await stream.send_request()
            writer = self.connection.spawn(self._write(stream), f"etcd {self._method.name} writer")
            try:
                while (answer := await stream.recv_message()) is not None:
                    if not self.ended:
                        self._on_answer(answer)
            finally:
                writer.cancel()
            # Raised inside the block, it makes grpclib look for the status that etcd ended the stream with.
            raise StreamTerminatedError("etcd ended the stream")

    async def _write(self, stream: GrpcStream[Q, A]) -> None:
        while True:
            request, about_to_send = await self._outbox.get()
            if about_to_send is not None:
                about_to_send()
            await stream.send_message(request)
            self.connection.flush()
