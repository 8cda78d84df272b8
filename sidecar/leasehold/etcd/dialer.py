"""Which connection to use: one at a time for everything, to the next endpoint after each failure.

There is no loop in the background. A connection is made when a call needs one, within that call's time. Endpoints are
tried in the order given, starting after the one that failed last. If all of them are paused, a call waits for the first
to be ready: this slows down callers in a loop.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.threads.resolver import Address
from leasehold.etcd.channel import Unreachable
from leasehold.etcd.connection import Connection
from leasehold.etcd.endpoints import Endpoint, Target
from leasehold.etcd.errors import BadSetting, NotSent
from leasehold.etcd.identity import Identity, load
from leasehold.etcd.tls import TLSFiles

_ATTEMPT_SECONDS: Final = 0.5
"""The least that an attempt gets, if there is that much time: a TLS handshake in a throttled container takes some.
Endpoints that are not tried for lack of time come first in the next call.
"""

_QUIET_SECONDS: Final = 60.0

_PROXY: Final = (
    "answers over one connection to %s come from several members: a proxy or load balancer is in between, and "
    "keep-alives cannot be confirmed; name the etcd members themselves as endpoints"
)

log = logging.getLogger("leasehold.etcd.dialer")


class Dialer:
    """Makes and replaces the one connection to etcd."""

    def __init__(self, endpoints: Sequence[Endpoint], tls: TLSFiles) -> None:
        self.connects = 0
        """Connections attempted so far."""
        self.identity = Identity()
        """Who we are to etcd on the live connection, or were on the last one."""
        self.on_connected: Callable[[], None] = lambda: None
        """Called when a connection has come about. It must not block."""
        self._targets = [Target(endpoint) for endpoint in endpoints]
        self._tls = tls
        self._next = 0
        self._current: Connection | None = None
        self._dialing: asyncio.Future[None] | None = None
        """Done when the call that is connecting, for all others too, has ended."""
        self._closed = False
        self._limit: asyncio.Timeout | None = None
        """The time limit of the attempt that is under way."""
        self._failure = ""
        self._unfit = False
        """Whether the last failure was that of a member that answers, but does not serve us."""
        self._said: dict[str, float] = {}
        self._through_proxy = False

    async def connection(self, deadline: float) -> Connection:
        """The live connection, or a new one by `deadline` (event loop time). Raises NotSent."""
        loop = asyncio.get_running_loop()
        while self._current is None:
            if self._dialing is None:
                return await self._dial_for_all(deadline)
            # Not a lock, which is handed to one caller in each turn of the loop: hundreds would be late.
            ended, _ = await asyncio.wait((self._dialing,), timeout=deadline - loop.time())
            if not ended:
                raise self._no_connection("still connecting")
        return self._current

    async def _dial_for_all(self, deadline: float) -> Connection:
        self._dialing = dialing = asyncio.get_running_loop().create_future()
        try:
            return await self._dial(deadline)
        finally:
            self._dialing = None
            dialing.set_result(None)

    async def _dial(self, deadline: float) -> Connection:
        """Try every target once, those that are not paused first, each with its share of the time left."""
        loop = asyncio.get_running_loop()
        order = self._order(loop.time())
        failures: list[str] = []
        for tried, target in enumerate(order):
            self._refuse_if_closed()
            await asyncio.sleep(min(target.ready_at(), deadline) - loop.time())
            until = _share(loop.time(), deadline, len(order) - tried)
            if until <= loop.time():
                break
            failures.append(await self._try_target(target, until))
            if self._current is not None:
                return self._current
            self._failure, self._unfit = "; ".join(failures), False
            self._start_after(target)
        self._refuse_if_closed()
        raise self._no_connection("no time was left")

    def _no_connection(self, otherwise: str) -> NotSent:
        """The last failure; of a member that does not serve us in the words that the call before was told."""
        return NotSent(self._failure if self._unfit else f"no connection to etcd: {self._failure or otherwise}")

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise NotSent("the etcd client is closed")

    def _order(self, now: float) -> list[Target]:
        rotated = self._targets[self._next :] + self._targets[: self._next]
        return sorted(rotated, key=lambda target: max(now, target.ready_at()))

    async def _try_target(self, target: Target, until: float) -> str:
        """Connect to one of the target's addresses by `until`; the reason when that fails."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                addresses = await target.addresses()
        except (OSError, TimeoutError, UnicodeError) as error:  # UnicodeError: a host name too long for IDNA
            target.failed(None, loop.time())
            return f"the host name of {target.endpoint.url} was not found ({reason_of(error)})"
        failure = ""
        for tried, address in enumerate(addresses):
            limit = _share(loop.time(), until, len(addresses) - tried)
            failure = await self._try_address(target, address, limit)
            if self._current is not None:
                break
        return failure

    async def _try_address(self, target: Target, address: Address, until: float) -> str:
        connection = Connection(target.endpoint, address, self._lost)
        self.connects += 1
        try:
            async with asyncio.timeout_at(until) as self._limit:
                await connection.open(*await self._context(target.endpoint))
            self._adopt(connection, target)
        except (Unreachable, BadSetting, OSError) as error:  # TimeoutError is an OSError
            target.failed(address, asyncio.get_running_loop().time())
            return f"{connection}: {reason_of(error)}"
        finally:
            self._limit = None
            if connection is not self._current:  # it may have come about in the very turn in which its caller gave up
                connection.close("nobody waits for it any more")
        return ""

    def _adopt(self, connection: Connection, target: Target) -> None:
        """Use a connection that has just been opened; much may have happened before this task had its turn."""
        self._refuse_if_closed()
        if connection.lost is not None:
            raise Unreachable(connection.lost)
        self._current, self.identity = connection, connection.identity
        self._next = self._targets.index(target)
        self.on_connected()
        self._say(logging.DEBUG if self._unfit else logging.INFO, f"connected to etcd at {connection}")
        self._failure, self._unfit = "", False

    async def _context(self, endpoint: Endpoint) -> tuple[ssl.SSLContext | None, Identity]:
        """Read the certificate files, which may lie on a disk that hangs. Raises BadSetting, and OSError."""
        if not endpoint.tls:
            return None, Identity()
        return await run_in_daemon_thread(lambda: load(self._tls), "certificates")

    @property
    def current(self) -> Connection | None:
        """The live connection, if there is one."""
        return self._current

    def successor_of(self, connection: Connection) -> Connection:
        """A connection to where this one leads, not open yet."""
        self.connects += 1
        return Connection(connection.endpoint, connection.address, self._lost)

    def change_over(self, before: Connection, after: Connection) -> bool:
        """Use an open connection instead of the live one, which stays open for what is under way on it.

        False if one of the two has been lost meanwhile, or is not in use any more.
        """
        if self._closed or self._current is not before or after.lost is not None:
            return False
        self._current, self.identity = after, after.identity
        return True

    def answered(self, connection: Connection, member: int) -> None:
        """Note that this member of etcd answered on this connection: the endpoint's record is clean again."""
        if connection.member not in (0, member) and not self._through_proxy:
            self._through_proxy = True
            log.warning("%s", _PROXY % connection)
        connection.member = member
        if not connection.proven and connection is self._current:
            connection.proven = True
            self._targets[self._next].answered(connection.address)

    def _lost(self, connection: Connection, reason: str) -> None:
        if connection is not self._current:
            return
        self._current = None
        if self._closed:
            return
        level = logging.DEBUG if connection.unfit else logging.WARNING  # the caller is told the same, and tells it once
        self._say(level, f"lost the connection to etcd at {connection}: {reason}")
        self._unfit = connection.unfit
        self._failure = reason if connection.unfit else f"{connection}: {reason}"
        target, now = self._targets[self._next], asyncio.get_running_loop().time()
        note = target.unfit if connection.unfit else target.failed
        note(connection.address, now)
        self._start_after(target)

    def _say(self, level: int, text: str) -> None:
        """Log a text, but the same one no more than once a minute."""
        now = asyncio.get_running_loop().time()
        self._said = {said: at for said, at in self._said.items() if now - at < _QUIET_SECONDS}
        log.log(logging.DEBUG if text in self._said else level, "%s", text)
        self._said.setdefault(text, now)

    def _start_after(self, target: Target) -> None:
        self._next = (self._targets.index(target) + 1) % len(self._targets)

    async def close(self) -> None:
        """Close the connection; what is under way fails, what comes later is refused."""
        self._closed = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
        connection = self._current
        if connection is not None:
            connection.close("the etcd client is closed")
            await connection.closed()


def _share(now: float, end: float, parts: int) -> float:
    """When the first of several attempts has had its part of the time until `end`, and what a handshake needs."""
    return min(end, now + max(_ATTEMPT_SECONDS, (end - now) / parts))


def reason_of(error: Exception) -> str:
    """Why connecting failed, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
