"""etcd's endpoints: reading their URLs, and which of their addresses to try next.

No connection is made here. An endpoint is used in the order given; one that failed is paused for a moment, so that no
caller, however fast it loops, can burn CPU or hammer an etcd that is just starting. One that has not failed is never
delayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from leasehold.etcd.addresses import Address, Resolver
from leasehold.etcd.errors import BadSetting

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0
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


def parse_endpoints(urls: Sequence[str], *, tls_files: bool) -> tuple[Endpoint, ...]:
    """Read `http://host:port`, `https://host:port`, `host:port` or `unix:///path`. Raises BadSetting.

    A bare `host:port` is encrypted when certificate files are given (`tls_files`), as etcdctl does it.
    """
    if not urls:
        raise BadSetting("no etcd endpoint was given: name at least one, such as http://127.0.0.1:2379")
    endpoints = tuple(_parse(url.strip(), tls_files) for url in urls)
    for endpoint in endpoints:
        if tls_files and not endpoint.tls and not endpoint.path:
            raise BadSetting(f"certificate files are given, but {endpoint.url} is not encrypted: use https://")
    if len(set(endpoints)) < len(endpoints):
        raise BadSetting(f"an etcd endpoint is named twice: {', '.join(e.url for e in endpoints)}")
    return endpoints


def _parse(url: str, tls_files: bool) -> Endpoint:
    if url.startswith("unix:"):
        path = url.removeprefix("unix:").removeprefix("//")
        if not path.startswith("/"):
            raise BadSetting(f"the etcd endpoint {url!r} needs an absolute path: write unix:///run/etcd.sock")
        return Endpoint(url, path=path)
    full = url if "://" in url else f"{'https' if tls_files else 'http'}://{url}"
    try:
        parts = urlsplit(full)
        port = parts.port
    except ValueError as error:
        raise BadSetting(f"the etcd endpoint {url!r} is not a URL: {error}") from error
    _check(url, parts)
    if not port:
        raise BadSetting(f"the etcd endpoint {url!r} has no port: etcd's own is 2379")
    return Endpoint(full.rstrip("/"), parts.hostname or "", port, parts.scheme == "https")


def _check(url: str, parts: SplitResult) -> None:
    if parts.scheme not in ("http", "https"):
        raise BadSetting(f"the etcd endpoint {url!r} has the unknown scheme {parts.scheme!r}: use http or https")
    if not parts.hostname or any(c.isspace() or not c.isprintable() for c in parts.hostname):
        raise BadSetting(f"the etcd endpoint {url!r} has no host name: write http://host:2379")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise BadSetting(f"the etcd endpoint {url!r} must be a scheme, host and port, and nothing more")


@dataclass(slots=True)
class _Health:
    failures: int = 0
    ready_at: float = 0.0
    unfit: int = 0
    """How often in a row it was unfit. An answer does not end the row: under the CORRUPT alarm, keep-alives pass."""
    unfit_at: float = 0.0

    def fail(self, now: float) -> None:
        self.ready_at = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.failures, 10))
        self.failures += 1

    def be_unfit(self, now: float) -> None:
        if now - self.unfit_at > 2 * LONGEST_UNFIT_PAUSE_SECONDS:
            self.unfit = 0
        self.ready_at = now + min(LONGEST_UNFIT_PAUSE_SECONDS, FIRST_PAUSE * 2.0 ** min(self.unfit, 10))
        self.unfit_at = now
        self.unfit += 1

    def answer(self) -> None:
        self.failures, self.ready_at = 0, 0.0


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
        self._known = {address: self._known.get(address, _Health()) for address in found}
        return sorted(self._known, key=lambda address: self._known[address].ready_at)

    def failed(self, address: Address | None, now: float) -> None:
        """Note a failure of one address, or of the look-up (None)."""
        (self._lookup if address is None else self._known.setdefault(address, _Health())).fail(now)

    def unfit(self, address: Address, now: float) -> None:
        """Note that the member there answers, but does not serve us."""
        self._known.setdefault(address, _Health()).be_unfit(now)

    def answered(self, address: Address) -> None:
        """Note that etcd answered a call there."""
        self._lookup = _Health()
        self._known.setdefault(address, _Health()).answer()
