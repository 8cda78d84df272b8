"""New certificate files: a new connection takes the place of the one that was made with the old ones.

etcd knows a client by the certificate that it connected with, as long as the connection lives: a leader whose
certificate was renewed would lead on under the old name until its connection breaks, and be cut off with that name's
user. So the files are looked at from time to time. If they have changed, a new connection is made to the same member,
and proven by a call. Only then do new calls go there. When a lease has been renewed over it, and the last call on the
old one was answered, the old one is closed; the watches on it end, and are made again by those who read them.

Whatever fails before that is told once, and leaves the old connection as it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from leasehold.base.backoff import Backoff
from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit
from leasehold.etcd import codec, methods
from leasehold.etcd import rpc_pb2 as pb
from leasehold.etcd.channel import Unreachable
from leasehold.etcd.connection import Connection
from leasehold.etcd.dialer import reason_of
from leasehold.etcd.errors import BadSetting, EtcdError
from leasehold.etcd.identity import load, read_identity
from leasehold.etcd.lease import KeepAlives
from leasehold.etcd.model import Compare, Key, Put
from leasehold.etcd.session import Session
from leasehold.etcd.tls import TLSFiles

LOOK_SECONDS: Final = 5.0
"""The kubelet itself brings a changed Secret into a pod only about once a minute."""
_LONGEST_PAUSE_SECONDS: Final = 60.0
_DISK_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_RENEWAL_SECONDS: Final = 30.0
"""How long the old connection is kept until a lease is renewed over the new one; longer leases are renewed later."""
_ANSWER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05

log = logging.getLogger("leasehold.etcd.rotation")


class Rotation:
    """Looks after the certificate files of one client from its first connection on."""

    def __init__(self, session: Session, keep_alives: KeepAlives, files: TLSFiles) -> None:
        self.key: Key | None = None
        """A key that a new certificate's user must be allowed to write."""
        self._session = session
        self._keep_alives = keep_alives
        self._files = files
        self._task: asyncio.Task[None] | None = None
        self._pause = Backoff(LOOK_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._failed: tuple[bytes, str] | None = None
        """The files that could not be taken up, as a digest, and why."""
        self._tried = b""
        """The digest of the files that were read last: somebody may write them between one reading and the next."""
        if files.cert is not None:
            session.dialer.on_connected = self._begin

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="etcd certificate")

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._pause.next_pause() if self._failed else LOOK_SECONDS)
            connection = self._session.dialer.current
            if connection is not None and connection.identity.digest:  # else the next one reads the files anyway
                await self._look(connection)

    async def _look(self, connection: Connection) -> None:
        """Take up the files if they have changed since this connection was made."""
        self._tried = b""
        try:
            async with time_limit(_DISK_SECONDS):
                self._tried = (await run_in_daemon_thread(lambda: read_identity(self._files), "certificates")).digest
            if self._tried != connection.identity.digest:
                await self._take_up(connection)
            self._failed = None
        except (BadSetting, Unreachable, EtcdError, OSError) as error:  # TimeoutError is an OSError
            self._tell(self._tried, reason_of(error))

    def _tell(self, digest: bytes, why: str) -> None:
        """Log once why these files are not used. Other files are tried soon, the same ones less and less often."""
        if self._failed is None or self._failed[0] != digest:
            self._pause.reset()
        if self._failed != (digest, why):
            log.warning("the new client certificate is not used: %s; the connection with the last one goes on", why)
        self._failed = (digest, why)

    async def _take_up(self, old: Connection) -> None:
        """Raises BadSetting, Unreachable, EtcdError or OSError, and has changed nothing then."""
        new = self._session.dialer.successor_of(old)
        try:
            await self._open(new)
            await self._prove(new)
            if not self._session.dialer.change_over(old, new):
                return  # it broke meanwhile, and the next connection reads the files anyway
        finally:
            if self._session.dialer.current is not new:
                new.close("it is not needed")
        log.info(
            "the client certificate has changed: new connection to etcd at %s as %r", new, new.identity.common_name
        )
        await self._let_go(old, new)

    async def _open(self, connection: Connection) -> None:
        async with time_limit(_DISK_SECONDS):
            context, identity = await run_in_daemon_thread(lambda: load(self._files), "certificates")
        self._tried = identity.digest
        async with time_limit(_CONNECT_SECONDS):
            await connection.open(context, identity)

    async def _prove(self, connection: Connection) -> None:
        """Have etcd answer a call, which only a user with the right to write our key may make. Raises EtcdError."""
        deadline = self._session.deadline(None)
        metadata = await self._session.auth.metadata(connection, deadline.left_for_connecting())

        async def attempt() -> None:
            if self.key is None:
                await connection.call(methods.STATUS, pb.StatusRequest(), metadata, deadline)
                return
            # The condition never holds, but etcd checks the rights that both branches take.
            request = codec.txn_request([Compare.mod_revision(self.key, "<", 0)], [Put(self.key, b"")], [])
            await connection.call(methods.TXN, request, metadata, deadline)

        await self._session.with_token(deadline, attempt)

    async def _let_go(self, old: Connection, new: Connection) -> None:
        """Close the old connection when all that matters has moved to the new one, or the client is closed."""
        keep_alives = self._keep_alives
        try:
            if keep_alives.goes_over(old):
                await _until(lambda: keep_alives.has_renewed_over(new) or new.lost is not None, _RENEWAL_SECONDS)
            await _until(lambda: not old.awaited, _ANSWER_SECONDS)
        finally:
            old.close("a connection with the new client certificate has taken its place")


async def _until(condition: Callable[[], bool], limit: float) -> None:
    """Wait until it holds, `limit` seconds at most."""
    end = asyncio.get_running_loop().time() + limit
    while not condition() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110  # once in days: no event
        await asyncio.sleep(_POLL_SECONDS)
