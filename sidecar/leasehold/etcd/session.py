"""What calls, keep-alives and watches have in common: a connection, a token, a time limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message

from leasehold.base.records import dataclass
from leasehold.etcd.auth import Authenticator
from leasehold.etcd.connection import Connection
from leasehold.etcd.deadline import Deadline
from leasehold.etcd.dialer import Dialer
from leasehold.etcd.errors import Code, Refused
from leasehold.etcd.methods import Method

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
R = TypeVar("R")

_TOKENS: Final = 3
"""How many tokens a call tries at most."""

_TRIES_WITHOUT_TOKEN: Final = 10
"""How often a call without a token is made at most while etcd's users change. A try costs little, unlike a login."""


@dataclass(frozen=True, slots=True)
class Session:
    """The parts of a client that its calls share. `clock` gives the instants named `sent`."""

    dialer: Dialer
    auth: Authenticator
    clock: Callable[[], float]
    timeout: float

    def deadline(self, timeout: float | None) -> Deadline:
        """When a call that begins now must be over; `timeout` in seconds, else the client's own."""
        return Deadline(timeout or self.timeout)

    async def ready(self, deadline: Deadline) -> tuple[Connection, Mapping[str, str]]:
        """A live connection and the metadata to send over it. Raises NotSent or Refused."""
        connection = await self.dialer.connection(deadline.for_connecting)
        return connection, await self.auth.metadata(connection, deadline.left_for_connecting())

    async def with_token(self, deadline: Deadline, attempt: Callable[[], Awaitable[R]]) -> R:
        """Do something again when it was refused for its token: nothing was done the first time.

        A second refusal may be that of a token which another call has fetched, and which is old by now, too. A client
        that is known by its certificate has no token, and is refused only while etcd's users change.
        """
        for _ in range((_TOKENS if self.auth.enabled else _TRIES_WITHOUT_TOKEN) - 1):
            try:
                return await attempt()
            except Refused as error:
                again = self._needs_token(error) if self.auth.enabled else error.users_changed
                # a try without time left would get no answer in time, and take a good connection with it
                if not again or deadline.left_for_connecting() <= 0:
                    raise
        return await attempt()

    async def call(self, method: Method[Q, A], request: Q, timeout: float | None) -> tuple[A, float]:
        """Make one call; its answer, and the instant just before it was sent. Raises EtcdError."""
        deadline = self.deadline(timeout)
        return await self.with_token(deadline, lambda: self._attempt(method, request, deadline))

    async def _attempt(self, method: Method[Q, A], request: Q, deadline: Deadline) -> tuple[A, float]:
        connection, metadata = await self.ready(deadline)
        sent = self.clock()
        try:
            answer = await connection.call(method, request, metadata, deadline)
        except Refused as error:
            self.refused(error, metadata)
            raise
        if method.has_header:
            header = cast(Any, answer).header
            if not header.cluster_id and not header.member_id:
                raise connection.no_etcd()
            self.dialer.answered(connection, header.member_id)
        self.auth.accepted()
        return answer, sent

    def _needs_token(self, error: Refused) -> bool:
        """Whether a call was refused for its token, or for having none: see `refused`."""
        return error.stale_token or (error.code is Code.PERMISSION_DENIED and self.auth.needs_login)

    def refused(self, error: Refused, metadata: Mapping[str, str]) -> None:
        """Let go of a token that etcd no longer takes.

        No token counts as one, where authentication was off at the last login: who came then, once it is on, is the
        user of our certificate, and may lack what the user has who should have logged in.
        """
        if error.stale_token or (error.code is Code.PERMISSION_DENIED and not metadata):
            self.auth.forget(metadata)
