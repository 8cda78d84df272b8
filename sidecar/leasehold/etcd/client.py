"""The etcd client.

One connection at a time carries calls, the keep-alive stream and watches, so a request that follows an answer goes to
the same member. Any failure on it (no answer in time, a lost connection, GOAWAY, an answer that says the member cannot
serve) closes it and fails everything under way; the next call goes to the next endpoint. The client never sends a
request twice: only the caller knows whether a failed call may be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Unpack

from leasehold.etcd import codec, methods
from leasehold.etcd import rpc_pb2 as pb
from leasehold.etcd.auth import Authenticator
from leasehold.etcd.dialer import Dialer
from leasehold.etcd.endpoints import parse_endpoints
from leasehold.etcd.errors import Code, Refused
from leasehold.etcd.lease import KeepAlives
from leasehold.etcd.model import (
    Compare,
    Get,
    GrantAnswer,
    KeepAliveAnswer,
    Key,
    ListedMember,
    Op,
    Put,
    PutAnswer,
    RangeAnswer,
    RangeOptions,
    RevokeAnswer,
    StatusAnswer,
    TimeToLiveAnswer,
    TxnAnswer,
    WatchBatch,
)
from leasehold.etcd.rotation import Rotation
from leasehold.etcd.session import Session
from leasehold.etcd.tls import TLSFiles, client_context
from leasehold.etcd.watch import Watcher

Transaction = pb.TxnRequest
"""A transaction as etcd wants it."""

LARGEST_LEASE_ID: Final = 2**63 - 1

_system_random: Final = random.SystemRandom()  # as `secrets` has it, which would take 0.6 MiB


class EtcdClient:
    """A client of one etcd cluster. Made without touching the network; used within one event loop.

    `clock` gives the instants named `sent`. `timeout` is the limit in seconds of a whole call, with connecting and
    authenticating; each call can have its own. All calls raise EtcdError: Refused, NotSent or OutcomeUnknown. Each may
    be cancelled at any moment without harm to the others. Close it, or use it in an `async with`.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        clock: Callable[[], float],
        tls: TLSFiles | None = None,
        user: str = "",
        password_file: Path | None = None,
        timeout: float = 2.0,
    ) -> None:
        """Raise BadSetting, with one sentence, for endpoints or files that cannot work."""
        parsed = parse_endpoints(endpoints)
        if any(endpoint.tls for endpoint in parsed):
            client_context(tls or TLSFiles())
        self._dialer = Dialer(parsed, tls or TLSFiles())
        self._session = Session(self._dialer, Authenticator(user, password_file), clock, timeout)
        self._keep_alives = KeepAlives(self._session)
        self._rotation = Rotation(self._session, self._keep_alives, tls or TLSFiles())

    @property
    def common_name(self) -> str:
        """The common name of the certificate by which etcd knows us, or last knew us; empty if there is none."""
        return self._dialer.identity.common_name

    def prove_by(self, key: Key) -> None:
        """Take up a new certificate only if its user may write this key. Nothing is written."""
        self._rotation.key = key

    @property
    def connects(self) -> int:
        """Connections attempted so far."""
        return self._dialer.connects

    async def range(self, key: Key, *, timeout: float | None = None, **options: Unpack[RangeOptions]) -> RangeAnswer:
        """Read a key, or the keys from it up to `end`, as `Get` describes."""
        request = codec.range_request(Get(key, **options))
        answer, _ = await self._session.call(methods.RANGE, request, timeout)
        return codec.range_answer(answer, codec.origin_of(answer.header))

    async def put(self, key: Key, value: bytes, *, lease: int = 0, timeout: float | None = None) -> PutAnswer:
        """Write a key."""
        request = codec.put_request(Put(key, value, lease))
        answer, _ = await self._session.call(methods.PUT, request, timeout)
        return PutAnswer(codec.origin_of(answer.header))

    async def txn(
        self,
        compares: Sequence[Compare] = (),
        success: Sequence[Op] = (),
        failure: Sequence[Op] = (),
        *,
        timeout: float | None = None,
    ) -> TxnAnswer:
        """At one revision: `success` if all comparisons hold, else `failure`. No key may be written twice in it."""
        return await self.perform(self.prepared(compares, success, failure), timeout=timeout)

    def prepared(
        self, compares: Sequence[Compare] = (), success: Sequence[Op] = (), failure: Sequence[Op] = ()
    ) -> Transaction:
        """A transaction for `perform`, translated beforehand: where its caller has no time to lose when it is due."""
        return codec.txn_request(compares, success, failure)

    def expect(self) -> None:
        """An urgent transaction may come: open a stream for it ahead on the live connection, if there is one.

        Not with a password: the stream would have its login's token, which may be void by then.
        """
        connection = self._dialer.current
        if connection is not None and not self._session.auth.enabled:
            connection.open_ahead(methods.URGENT_TXN)

    async def perform(
        self, transaction: Transaction, *, timeout: float | None = None, urgent: bool = False
    ) -> TxnAnswer:
        """As `txn`, with what `prepared` has made. It may be used more than once. `urgent`: see `expect`."""
        method = methods.URGENT_TXN if urgent else methods.TXN
        answer, _ = await self._session.call(method, transaction, timeout)
        return codec.txn_answer(answer)

    async def grant(self, ttl: int, *, lease: int = 0, timeout: float | None = None) -> GrantAnswer:
        """A fresh lease of `ttl` seconds.

        Its id is random, unless `lease` is what it is to be. Until a key is attached to a lease, etcd lets every user
        renew, revoke and use it, so nobody must be able to guess its id: those that etcd chooses follow each other.
        Refused if there is a lease of that id.
        """
        request = pb.LeaseGrantRequest(TTL=ttl, ID=lease or 1 + _system_random.randrange(LARGEST_LEASE_ID))
        answer, sent = await self._session.call(methods.LEASE_GRANT, request, timeout)
        if answer.error:
            raise Refused(f"etcd granted no lease: {answer.error}", Code.UNKNOWN, answer.error)
        return GrantAnswer(codec.origin_of(answer.header), answer.ID, answer.TTL, sent)

    async def revoke(self, lease: int, *, timeout: float | None = None) -> RevokeAnswer:
        """End a lease and delete its keys. Refused, with `lease_gone`, when there is none."""
        request = pb.LeaseRevokeRequest(ID=lease)
        answer, _ = await self._session.call(methods.LEASE_REVOKE, request, timeout)
        return RevokeAnswer(codec.origin_of(answer.header))

    async def time_to_live(self, lease: int, *, keys: bool = False, timeout: float | None = None) -> TimeToLiveAnswer:
        """What is left of a lease, and with `keys` what is attached to it."""
        request = pb.LeaseTimeToLiveRequest(ID=lease, keys=keys)
        answer, _ = await self._session.call(methods.LEASE_TIME_TO_LIVE, request, timeout)
        return codec.time_to_live_answer(answer)

    async def keep_alive(self, lease: int, *, timeout: float | None = None) -> KeepAliveAnswer:
        """Renew a lease, over the one keep-alive stream; a ttl of 0 or less says that it is gone."""
        return await self._keep_alives.keep_alive(lease, timeout)

    def watch(self, *, timeout: float | None = None, on_batch: Callable[[WatchBatch], None] | None = None) -> Watcher:
        """A new watcher without watches. `timeout` limits connecting, and etcd's confirmation of each watch.

        `on_batch` gets the batches at once, instead of iteration. It must not block. An exception that it raises ends
        the watcher, and iteration raises it.
        """
        return Watcher(self._session, timeout, on_batch)

    async def status(self, *, timeout: float | None = None) -> StatusAnswer:
        """The state of the member at the other end."""
        answer, _ = await self._session.call(methods.STATUS, pb.StatusRequest(), timeout)
        return codec.status_answer(answer)

    async def members(self, *, timeout: float | None = None) -> tuple[ListedMember, ...]:
        """The cluster's members, as the one at the other end knows them."""
        answer, _ = await self._session.call(methods.MEMBER_LIST, pb.MemberListRequest(), timeout)
        return codec.listed_members(answer)

    async def close(self) -> None:
        """Close the connection: what is under way fails, watchers are lost, later calls are not sent."""
        self._rotation.close()
        self._session.auth.close()
        await self._dialer.close()

    async def __aenter__(self) -> EtcdClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()
