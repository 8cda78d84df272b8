"""etcd's endpoints: reading their URLs, and which of their addresses to try next.

No connection is made here. Endpoints are used in the order given. One that failed is paused for a moment, so that no
caller, however fast it loops, burns CPU or floods an etcd that is just starting. Others are not delayed.

A program that takes URLs from people checks them where it reads them, in its own words. Here they only have to be
usable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from leasehold.base.backoff import Backoff
from leasehold.base.records import dataclass, field
from leasehold.base.threads.resolver import Address, Resolver
from leasehold.etcd.errors import BadSetting

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 1.0
LONGEST_UNFIT_PAUSE_SECONDS: Final = 30.0
"""For a member that answers, but does not serve us: a learner, a corrupt cluster, no etcd at all."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where etcd listens for clients: a host and port, or the path of a Unix socket."""

    url: str
    host: str = ""
    port: int = 0
    tls: bool = False
    path: str = ""


def parse_endpoints(urls: Sequence[str]) -> tuple[Endpoint, ...]:
    """Read `http://host:port`, `https://host:port` or `unix:///path`. Raises BadSetting."""
    if not urls:
        raise BadSetting("no etcd endpoint was given")
    return tuple(map(_parse, urls))


def _parse(url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise BadSetting(f"the etcd endpoint {url!r} is not a URL: {error}") from error
    if parts.scheme == "unix" and parts.path and not parts.netloc:
        return Endpoint(url, path=parts.path)
    if parts.scheme not in ("http", "https") or not host or not port:
        raise BadSetting(f"the etcd endpoint {url!r} is not scheme://host:port")
    return Endpoint(url.rstrip("/"), host, port, parts.scheme == "https")


@dataclass(slots=True)
class _Health:
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, jitter=0.0))
    ready_at: float = 0.0
    unfit: Backoff = field(
        default_factory=lambda: Backoff(FIRST_PAUSE_SECONDS, LONGEST_UNFIT_PAUSE_SECONDS, jitter=0.0)
    )
    """An answer does not reset it: under the CORRUPT alarm, keep-alives pass."""
    unfit_at: float = 0.0

    def fail(self, now: float) -> None:
        self.ready_at = now + self.backoff.next_pause()

    def succeed(self) -> None:
        self.ready_at = 0.0
        self.backoff.reset()

    def be_unfit(self, now: float) -> None:
        if now - self.unfit_at > 2 * LONGEST_UNFIT_PAUSE_SECONDS:
            self.unfit.reset()
        self.ready_at = now + self.unfit.next_pause()
        self.unfit_at = now


class Target:
    """An endpoint with what is known of its addresses: a name may stand for several, some of them dead or frozen."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._resolver = Resolver(endpoint.host, endpoint.port)
        self._lookup = _Health()
        self._known: dict[Address, _Health] = {}

    def ready_at(self) -> float:
        """When some address of it may be tried next, on the event loop's clock."""
        soonest = min((health.ready_at for health in self._known.values()), default=0.0)
        return max(soonest, self._lookup.ready_at)

    async def addresses(self) -> list[Address]:
        """Look the name up; the one whose last failure is longest ago comes first. Raises OSError or UnicodeError."""
        found = [Address()] if self.endpoint.path else await self._resolver.addresses()
        self._known = {address: self._known.get(address) or _Health() for address in found}
        return sorted(self._known, key=lambda address: self._known[address].ready_at)

    def failed(self, address: Address | None, now: float) -> None:
        """Note a failure of one address, or of the look-up (None)."""
        (self._lookup if address is None else self._health(address)).fail(now)

    def unfit(self, address: Address, now: float) -> None:
        """Note that the member there answers, but does not serve us."""
        self._health(address).be_unfit(now)

    def answered(self, address: Address) -> None:
        """Note that etcd answered a call there."""
        self._lookup.succeed()
        self._health(address).succeed()

    def _health(self, address: Address) -> _Health:
        if address not in self._known:
            self._known[address] = _Health()
        return self._known[address]
