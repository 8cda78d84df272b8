"""Keeps every namespace in use enrolled, in the active replica: look, plan, act, tell, again.

A round is light, and uses what was read before, if a Lock has appeared in a namespace that has no account yet: its
first pod is about to start. Every half minute the names of all accounts and all Secrets are read again, and with each
full comparison everything. So what somebody changed by hand is mended at the next reading, at the latest.

A step that fails does not keep others from being done, except that a failure of etcd or of the API server ends the
round: the next one reads again.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

from leasehold.base.backoff import Backoff
from leasehold.base.logs import RepeatedFailureLog
from leasehold.base.threads.daemon_thread import run_in_daemon_thread
from leasehold.base.time_limit import time_limit
from leasehold.etcd.errors import EtcdError
from leasehold.kube.call import KubeFailure
from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment import probe
from leasehold.operator.enrolment.authority import Authority, AuthorityError
from leasehold.operator.enrolment.plan import plan
from leasehold.operator.enrolment.report import Isolation, condition
from leasehold.operator.enrolment.secrets import Expected
from leasehold.operator.enrolment.steps import Parts, StepRunner
from leasehold.operator.enrolment.usage import Use
from leasehold.operator.enrolment.versions import outdated
from leasehold.operator.plan.status import TRUE, UNKNOWN
from leasehold.settings.enrolment import EnrolmentConfig

_log = logging.getLogger("leasehold.operator.enrolment.controller")

DAY: Final = timedelta(days=1)
MANY_STEPS: Final = 20
"""Above this, the condition says that work is under way before it is done."""
NAMES_EVERY_SECONDS: Final = 30.0
"""Between two readings of the names of all accounts and of all Secrets."""
_FILE_TIMEOUT_SECONDS: Final = 10.0
_STANDBY_SECONDS: Final = 0.5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0


class Depth(IntEnum):
    """How much is read before a plan is made."""

    LIGHT = 0
    NAMES = 1
    ALL = 2


class Enrolment:
    """The part of the operator that administers etcd's users."""

    def __init__(self, config: EnrolmentConfig, setup: m.Setup, parts: Parts, *, read_all_every: float) -> None:
        """`read_all_every`: seconds between two complete readings."""
        self._config = config
        self._setup = setup
        self._parts = parts
        self._read_all_every = read_all_every
        self._wake = asyncio.Event()
        self._wanted: frozenset[str] = frozenset()
        self._secrets: dict[str, m.SecretFact] = {}
        self._accepted = ""
        """The fingerprint of the authority whose certificates etcd has accepted."""
        self._versions: frozenset[str] = frozenset()
        """Of etcd's members, as far as they are known."""
        self._next_names = self._next_all = float("-inf")
        self._failure_log = RepeatedFailureLog(_log, "namespaces cannot be enrolled")
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)

    def lock_seen(self, namespace: str) -> None:
        """A Lock in this namespace has been seen."""
        if namespace not in self._wanted:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            if not (self._parts.active() and self._parts.usage.known):
                self._forget()
                await asyncio.sleep(_STANDBY_SECONDS)
                continue
            self._wake.clear()
            if await self._attempt():
                self._backoff.reset()
                await self._pause(min(self._next_names, self._next_all) - self._parts.clock())
            else:
                self._next_names = float("-inf")
                await asyncio.sleep(self._backoff.next_pause())

    async def _attempt(self) -> bool:
        """One round; whether nothing failed."""
        try:
            done = await self._round(self._depth())
        except (EtcdError, KubeFailure) as error:
            self._parts.metrics.failed()
            self._failure_log.failed(error)
            if isinstance(error, EtcdError):
                await self._write(Isolation(UNKNOWN, "EtcdFails", str(error)))
            return False
        self._failure_log.succeeded()
        return done

    def _forget(self) -> None:
        """Another replica may act from now on: nothing that was read stays valid."""
        self._next_names = self._next_all = float("-inf")
        self._parts.usage.forget()
        if self._parts.logins:
            self._parts.logins.forget()
        self._parts.reporter.forget()

    def _depth(self) -> Depth:
        now = self._parts.clock()
        if now >= self._next_all:
            return Depth.ALL
        return Depth.NAMES if now >= self._next_names else Depth.LIGHT

    async def _pause(self, seconds: float) -> None:
        """So long, or until a Lock has appeared."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            pass

    # --- one round ----------------------------------------------------------------------------------------------

    async def _round(self, depth: Depth) -> bool:
        """Look, plan, act, tell; whether nothing failed. Raises EtcdError and KubeFailure."""
        authority, problems = await self._authority()
        expected = await self._expected(authority)
        if depth > Depth.LIGHT:
            await self._read(depth, expected)
        accounts = self._parts.accounts.accounts
        use = self._parts.usage.look(self._setup, accounts, self._secrets, self._parts.clock())
        self._wanted = use.wanted
        facts = m.Facts(
            accounts=accounts,
            secrets=self._secrets,
            wanted=use.wanted,
            unused=use.unused,
            authority=authority.fingerprint if authority else "",
            fresh=depth is Depth.ALL,
            shared_unused=use.shared_unused,
            remembered=self._parts.logins.remembered(self._setup.root) if self._parts.logins else {},
        )
        made = plan(self._setup, facts)
        problems += made.problems + self._outdated()
        if len(made.steps) > MANY_STEPS:
            await self._tell(use, problems, len(made.steps))
        runner = StepRunner(self._parts, self._config.days * DAY, expected, self._secrets)
        failed = await runner.carry_out_all(made.steps)
        told = await self._tell(use, problems, failed)
        self._parts.metrics.looked(len(use.wanted), len(problems), told.status == TRUE)
        if made.steps and self._setup.own_etcd and not accounts.auth_enabled:
            self._next_all = float("-inf")  # authentication is turned on after a complete reading that shows no gap
        return not failed

    async def _read(self, depth: Depth, expected: Expected) -> None:
        now = self._parts.clock()
        if depth is Depth.ALL:
            await self._parts.accounts.read()
            self._versions = await self._parts.versions()
            self._next_all = now + self._read_all_every
        else:
            await self._parts.accounts.refresh()
        await self._parts.usage.read_labels(self._parts.kube)
        self._secrets = await self._parts.secrets.read(expected)
        self._next_names = now + NAMES_EVERY_SECONDS

    def _outdated(self) -> tuple[do.Problem, ...]:
        text = outdated(self._versions)
        return (do.Problem("", text),) if text else ()

    async def _tell(self, use: Use, problems: tuple[do.Problem, ...], waiting: int) -> Isolation:
        told = condition(self._setup, self._parts.accounts.accounts, use, problems, waiting)
        await self._write(told)
        return told

    async def _write(self, told: Isolation) -> None:
        """Write the condition. If that fails, the next round does; what matters is done without it."""
        try:
            await self._parts.reporter.write(told)
        except KubeFailure as error:
            _log.debug("the condition cannot be written: %s", error)

    # --- the authority ------------------------------------------------------------------------------------------

    async def _authority(self) -> tuple[Authority | None, tuple[do.Problem, ...]]:
        """The authority, if etcd accepts what it signs; else None, and why."""
        now = self._now()
        if self._setup.passwords:
            return None, ()
        try:
            async with time_limit(_FILE_TIMEOUT_SECONDS):
                authority = await run_in_daemon_thread(
                    lambda: Authority.read(self._config.ca_cert, self._config.ca_key, now), "authority"
                )
        except AuthorityError as error:
            return None, (do.Problem("", f"the authority of the namespaces' certificates cannot be used: {error}"),)
        except OSError:  # TimeoutError is one
            return None, (do.Problem("", "the authority of the namespaces' certificates cannot be read from its disk"),)
        if authority.fingerprint != self._accepted:
            if reason := await probe.refusal(authority, self._config.etcd, now):
                text = f"etcd was shown a certificate of the authority in {self._config.ca_cert}: {reason}"
                return None, (do.Problem("", text),)
            self._accepted = authority.fingerprint
        return authority, ()

    async def _expected(self, authority: Authority | None) -> Expected:
        ca = self._config.etcd.ca
        try:
            async with time_limit(_FILE_TIMEOUT_SECONDS):
                server_ca = await run_in_daemon_thread(ca.read_bytes, "etcd's authority") if ca else b""
        except OSError:
            authority, server_ca = None, b""  # without it nothing that is written would work
        return Expected(authority, server_ca, self._setup.shared, self._setup.root, self._now(), self._setup.instance)

    def _now(self) -> datetime:
        """The API server's time, which is also that of those who verify."""
        return self._parts.kube.server_time or datetime.now(UTC)
