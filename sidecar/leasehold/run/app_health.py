"""`--app-health URL`: probes whether the app in this pod is fit to lead.

The app starts as unhealthy, so an app that never answers never leads. After that, only changes are reported.

* It is probed every `poll` seconds while unhealthy, so that a recovery is noticed soon, otherwise every `interval`.
* One good answer makes it healthy; `threshold` bad ones in a row make it unhealthy. Good is a status from 200 to 399
  within `timeout` seconds.
* Each time it becomes unhealthy it stays so for a while, whatever it answers: `backoff` seconds at first, twice as long
  each time, at most `longest`. A flapping app would otherwise take the lead in each good moment. Once the app has been
  healthy for `forgiven` seconds, the back-off starts over. `POST /resume` ends it early.

As with the kubelet's probes, a redirect counts as healthy and is not followed, and an https certificate is not
verified: the probe checks whether the app works, not who it is. The body is not read.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

from leasehold.base import clock as our_clock
from leasehold.base.backoff import Backoff
from leasehold.base.records import dataclass
from leasehold.base.threads.resolver import Resolver
from leasehold.base.time_limit import time_limit
from leasehold.election.events import Event, Health
from leasehold.http.lean_aiohttp import AbstractResolver, ResolveResult, aiohttp

log = logging.getLogger("leasehold.app_health")

Probe = Callable[[], Awaitable[str]]
"""Probes the app once: returns "" if it is healthy, otherwise what is wrong. Raises nothing."""


@dataclass(frozen=True, slots=True)
class ProbeTiming:
    """How often to probe, and when to change the verdict. Seconds; `threshold` is a number of bad answers in a row."""

    interval: float = 2.0
    poll: float = 1.0
    timeout: float = 1.0
    threshold: int = 3
    backoff: float = 5.0
    longest: float = 300.0
    forgiven: float = 600.0


class Judge:
    """Turns answers, one at a time, into a verdict. No I/O; time is an argument."""

    def __init__(self, timing: ProbeTiming) -> None:
        self.healthy = False
        self._timing = timing
        self._bad = 0
        self._since = 0.0
        self._not_before = 0.0
        self._backoff = Backoff(timing.backoff, timing.longest, jitter=0.0)

    def answered(self, good: bool, now: float) -> bool:
        """Take an answer into account; returns whether the verdict has changed."""
        self._bad = 0 if good else self._bad + 1
        if self.healthy and self._bad >= self._timing.threshold:
            self._fail(now)
            return True
        if not self.healthy and good and now >= self._not_before:
            self.healthy, self._since = True, now
            return True
        return False

    def wait(self) -> float:
        """Seconds until the next probe."""
        return self._timing.interval if self.healthy else self._timing.poll

    @property
    def excluded_until(self) -> float:
        """The time until which no answer makes the app healthy."""
        return self._not_before

    def forgive(self) -> None:
        """Let the next good answer count, and the back-off start over."""
        self._not_before = 0.0
        self._backoff.reset()

    def _fail(self, now: float) -> None:
        self.healthy = False
        if now - self._since >= self._timing.forgiven:
            self._backoff.reset()
        self._not_before = now + self._backoff.next_pause()


class AppHealth:
    """Probes the app until `run` is cancelled. Submits `Health` when the verdict changes, or what is wrong does."""

    def __init__(
        self,
        url: str,
        submit: Callable[[Event], None],
        *,
        timing: ProbeTiming | None = None,
        probe: Probe | None = None,
        clock: Callable[[], float] = our_clock.now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._timing = timing or ProbeTiming()
        self._url = url
        self._submit = submit
        self._probe = probe
        self._clock = clock
        self._sleep = sleep
        self._judge = Judge(self._timing)
        self._answered = False
        self._submitted: Health | None = None

    def has_answered(self) -> bool:
        """Whether the app has given a good answer since this process began."""
        return self._answered

    def forgive(self) -> None:
        """Somebody says that the app is fit again: its next good answer counts, however often it has failed."""
        self._judge.forgive()

    async def run(self) -> None:
        """Probe until cancelled."""
        if self._probe is not None:
            await self._poll(self._probe)
            return
        async with _session() as session:
            await self._poll(lambda: ask(session, self._url, self._timing.timeout))

    async def _poll(self, probe: Probe) -> None:
        first = True
        while True:
            problem = await probe()
            if first and problem:
                log.info("waiting for the app to become healthy: %s", problem)
            first = False
            self._answered |= not problem
            now = self._clock()
            if self._judge.answered(not problem, now):
                self._report(problem, now)
            self._submit_news(problem, now)
            await self._sleep(self._judge.wait())

    def _report(self, problem: str, now: float) -> None:
        if self._judge.healthy:
            log.info("the app is healthy")
        else:
            wait = self._judge.excluded_until - now
            log.warning("the app is unhealthy (%s); it cannot lead for at least %.0f s", problem, wait)

    def _submit_news(self, problem: str, now: float) -> None:
        """Submit the verdict if it, or its cause, is another than last time."""
        health = Health(True)
        if not self._judge.healthy:
            until = self._judge.excluded_until
            said = problem or "it answers well again, but has failed too often of late"
            health = Health(False, said, until if until > now else None)
        if health != self._submitted:
            self._submitted = health
            self._submit(health)


class _HostNames(AbstractResolver):
    """Looks host names up in daemon threads: with aiohttp's, a hung look-up delays the end of the process.

    aiohttp calls this for one name at a time, and never for IP addresses.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], Resolver] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the name. Raises OSError or UnicodeError."""
        name = self._names.setdefault((host, port), Resolver(host, port))
        return [
            ResolveResult(
                hostname=host,
                host=found.host,
                port=port,
                family=found.family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for found in await name.addresses()
        ]

    async def close(self) -> None:
        """Do nothing: a look-up under way may go on."""


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=1, ssl=False, resolver=_HostNames()),
        timeout=aiohttp.ClientTimeout(),  # none of its own: `ask` has one
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "leasehold", "Accept": "*/*"},
        auto_decompress=False,
    )


async def ask(session: aiohttp.ClientSession, url: str, timeout: float) -> str:
    """Probe once: returns "" if the app is healthy, otherwise what is wrong. Raises nothing.

    `timeout` in seconds. A sidecar without CPU time must not hold that against an app that has answered.
    """
    try:
        async with time_limit(timeout), session.get(url, allow_redirects=False) as response:
            return "" if 200 <= response.status < 400 else f"{url} answered {response.status}"
    except TimeoutError:
        return f"{url} did not answer in time"
    except aiohttp.ClientConnectorError as error:
        # asyncio's own text names the address again, and not what the system said of it
        return f"no connection to {url}: {os.strerror(error.errno) if error.errno else error.strerror}"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{url}: {error}"
