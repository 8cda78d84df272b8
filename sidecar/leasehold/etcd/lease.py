"""Keep-alives of leases, all on one stream.

etcd answers the requests of a keep-alive stream one after another, in the order they came. So the n-th answer belongs
to the n-th request, and each of ours knows when *it* was sent: a late answer is never taken for a newer request's. A
request without an answer in time costs the connection, and with it the stream; nothing late can come after that.
(etcd's grpc-proxy answers keep-alives on a schedule of its own: do not put one in between. The dialer says so.)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from leasehold.etcd.codec import origin_of
from leasehold.etcd.connection import Connection, Stream
from leasehold.etcd.deadline import Deadline, NoAnswer, answered
from leasehold.etcd.errors import EtcdError, Refused
from leasehold.etcd.methods import LEASE_KEEP_ALIVE
from leasehold.etcd.model import KeepAliveAnswer
from leasehold.etcd.rpc_pb2 import LeaseKeepAliveRequest, LeaseKeepAliveResponse
from leasehold.etcd.session import Session


class _Renewal:
    """One request on its way: which lease, when it was sent, and who waits for the answer."""

    def __init__(self, lease: int) -> None:
        self.lease = lease
        self.sent: float | None = None
        self.answer: asyncio.Future[KeepAliveAnswer] = asyncio.get_running_loop().create_future()

    def fail(self, error: EtcdError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # its caller may have been cancelled: then nobody else asks for it


class KeepAlives:
    """The keep-alive stream of a client: opened when needed, and again after each loss."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lane: _Lane | None = None

    async def keep_alive(self, lease: int, timeout: float | None) -> KeepAliveAnswer:
        """Renew a lease; a ttl of 0 or less in the answer says that it is gone. Raises EtcdError."""
        deadline = self._session.deadline(timeout)
        return await self._session.with_token(deadline, lambda: self._attempt(lease, deadline))

    async def _attempt(self, lease: int, deadline: Deadline) -> KeepAliveAnswer:
        connection, metadata = await self._session.ready(deadline)
        if self._lane is None or self._lane.ended or self._lane.connection is not connection:
            self._lane = _Lane(self._session, connection, metadata)
        return await self._lane.renew(lease, deadline)

    def goes_over(self, connection: Connection) -> bool:
        """Whether leases are renewed over this connection."""
        return self._lane is not None and not self._lane.ended and self._lane.connection is connection

    def has_renewed_over(self, connection: Connection) -> bool:
        """Whether a lease was renewed over this connection."""
        return self.goes_over(connection) and self._lane is not None and self._lane.answered


class _Lane:
    """One keep-alive stream on one connection, with the requests that wait for an answer on it."""

    def __init__(self, session: Session, connection: Connection, metadata: Mapping[str, str]) -> None:
        self.connection = connection
        self.answered = False
        self._session = session
        self._metadata = metadata
        self._waiting: deque[_Renewal] = deque()
        self._stream = Stream(connection, LEASE_KEEP_ALIVE, metadata, self._on_answer, self._on_end)

    @property
    def ended(self) -> bool:
        return self._stream.ended

    async def renew(self, lease: int, deadline: Deadline) -> KeepAliveAnswer:
        renewal = _Renewal(lease)
        self._waiting.append(renewal)
        self.connection.awaited += 1
        self._stream.send(LeaseKeepAliveRequest(ID=lease), lambda: self._about_to_send(renewal))
        try:
            # A caller that is cancelled leaves its renewal in the queue, for the answer that is still to come.
            return await answered(renewal.answer, deadline)
        except NoAnswer:
            raise self.connection.silent(deadline.timeout) from None
        finally:
            self.connection.awaited -= 1

    def _about_to_send(self, renewal: _Renewal) -> None:
        renewal.sent = self._session.clock()

    def _on_answer(self, message: LeaseKeepAliveResponse) -> None:
        renewal = self._waiting[0] if self._waiting else None
        if renewal is None or renewal.sent is None or renewal.lease != message.ID:
            self.connection.close("a keep-alive answer came that belongs to no request")
            return
        self._waiting.popleft()
        self.answered = True
        self._session.dialer.answered(self.connection, message.header.member_id)
        if not renewal.answer.done():
            renewal.answer.set_result(KeepAliveAnswer(origin_of(message.header), message.ID, message.TTL, renewal.sent))

    def _on_end(self, error: EtcdError) -> None:
        if isinstance(error, Refused):
            self._session.refused(error, self._metadata)
        while self._waiting:
            self._waiting.popleft().fail(error)
