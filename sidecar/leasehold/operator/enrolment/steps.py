"""Carries out the steps of a plan: on etcd's accounts, and on the namespaces' Secrets."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from leasehold.etcd.errors import Refused
from leasehold.kube.call import KubeCall, KubeError
from leasehold.operator.enrolment import actions as do
from leasehold.operator.enrolment import model as m
from leasehold.operator.enrolment.accounts import AccountStore
from leasehold.operator.enrolment.login_secrets import LoginSecrets
from leasehold.operator.enrolment.parallel import in_parallel
from leasehold.operator.enrolment.report import EnrolmentMetrics, Reporter
from leasehold.operator.enrolment.secrets import Expected, NamespaceGone, Secrets
from leasehold.operator.enrolment.usage import Usage

_log = logging.getLogger("leasehold.operator.enrolment.steps")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the enrolment works with.

    `active`: whether this replica may write. `clock`: monotonic seconds. `versions` asks etcd's members for theirs.
    """

    accounts: AccountStore
    secrets: Secrets
    usage: Usage
    reporter: Reporter
    metrics: EnrolmentMetrics
    kube: KubeCall
    active: Callable[[], bool]
    clock: Callable[[], float]
    versions: Callable[[], Awaitable[frozenset[str]]]
    logins: LoginSecrets | None = None
    """The same as `secrets`, if namespaces get passwords."""


class StepRunner:
    """Does what one plan says, as far as it can be done now."""

    def __init__(self, parts: Parts, lifetime: timedelta, expected: Expected, secrets: dict[str, m.SecretFact]) -> None:
        """`lifetime`: of a certificate. `secrets` follows what is written."""
        self._parts = parts
        self._lifetime = lifetime
        self._expected = expected
        self._secrets = secrets

    async def carry_out_all(self, steps: Iterable[do.Step]) -> int:
        """How many steps failed. Those of namespaces are done several at a time, between those that concern all.

        Raises EtcdError and KubeFailure.
        """
        failed: list[do.Step] = []

        async def attempt(step: do.Step) -> None:
            if not await self._carry_out(step):
                failed.append(step)

        for concern_one, some in groupby(steps, lambda step: bool(step.namespace)):
            if concern_one:
                await in_parallel(some, attempt)
            else:
                for step in some:
                    await attempt(step)
        return len(failed)

    async def _carry_out(self, step: do.Step) -> bool:
        """Whether all was done. Raises what concerns more than this step."""
        for action in step.actions:
            if not self._parts.active():
                return False
            try:
                await self._act(action)
            except (Refused, KubeError) as error:
                if isinstance(error, KubeError) and error.status >= 500:
                    raise
                self._parts.metrics.failed()
                _log.warning("%s failed, and is tried again: %s", action, error)
                return False
            except NamespaceGone:  # its Locks are still seen for a moment
                return False
        _log.debug("enrolment: %s", step)
        return True

    async def _act(self, action: do.Action) -> None:
        match action:
            case do.WriteSecret():
                await self._write_secret(action)
            case do.SetPassword() | do.WriteLogin():
                await self._log_in(action)
            case do.DeleteSecret():
                await self._parts.secrets.delete(action)
                self._secrets.pop(action.namespace, None)
            case do.EnableAuth():
                _log.warning("every user is there: etcd asks for one from now on")
                await self._parts.accounts.act(action)
            case _:
                await self._parts.accounts.act(action)

    async def _log_in(self, action: do.SetPassword | do.WriteLogin) -> None:
        logins = self._parts.logins
        assert logins is not None, "only plans for passwords have these actions"
        if isinstance(action, do.SetPassword):
            await self._parts.accounts.set_password(action, logins.choose(action, self._expected.now))
            _log.info("set a password", extra={"fields": {"namespace": action.namespace}})
            return
        self._secrets[action.namespace] = await logins.write_login(action, self._expected)
        self._parts.metrics.issued()

    async def _write_secret(self, action: do.WriteSecret) -> None:
        authority = self._expected.authority
        if authority is None:
            return
        issued = authority.issue(action.user, self._expected.now, self._lifetime)
        self._secrets[action.namespace] = await self._parts.secrets.write(action, issued, self._expected)
        self._parts.metrics.issued()
        why = action.replaces.flaw if action.replaces else "it had none"
        _log.info("issued a certificate", extra={"fields": {"namespace": action.namespace, "why": why}})
