"""What the enrolment tells: one condition on the operator's own Lock, and gauges.

The condition `NamespacesIsolated` is True once each namespace's certificate opens its own locks alone. Until then its
reason says what is missing, above all on the way from a release whose sidecars shared one certificate.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from leasehold.operator.enrolment.actions import Problem
from leasehold.operator.enrolment.model import Accounts, Setup
from leasehold.operator.enrolment.usage import Use
from leasehold.operator.own_conditions import OwnCondition, OwnConditions
from leasehold.operator.plan.status import FALSE, TRUE

_log = logging.getLogger("leasehold.operator.enrolment.report")

TYPE: Final = "NamespacesIsolated"
_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Isolation:
    """The condition's status, reason and message."""

    status: str
    reason: str
    message: str


def condition(setup: Setup, accounts: Accounts, use: Use, problems: Collection[Problem], waiting: int) -> Isolation:
    """The condition. `waiting`: the steps that are still to be done, or have failed."""
    reason, text = _obstacle(setup, accounts, use, problems, waiting)
    if reason:
        return Isolation(FALSE, reason, text)
    return Isolation(TRUE, "Isolated", "each namespace has its own etcd user, and etcd asks for it")


def _obstacle(
    setup: Setup, accounts: Accounts, use: Use, problems: Collection[Problem], waiting: int
) -> tuple[str, str]:
    """The reason and the sentence; ("", "") if nothing is missing."""
    if general := [problem.text for problem in problems if not problem.namespace]:
        return "ActionRequired", "; ".join(general)
    if problems:
        texts = [f"{problem.namespace}: {problem.text}" for problem in problems]
        return "NamespacesNotEnrolled", "; ".join(texts[:_MAX_NAMED]) + _more(len(texts))
    if waiting:
        return "Enrolling", f"{waiting} steps are still to be done"
    if setup.own_etcd and not accounts.auth_enabled:
        return "AuthenticationOff", "every user is there; etcd is asked to authenticate next"
    if setup.shared and setup.shared in accounts.users:
        return "SharedCertificateInUse", _sharing(use)
    return "", ""


def _sharing(use: Use) -> str:
    if not use.sharing:
        return "nobody uses the certificate any more that all sidecars shared: its user is removed after a while"
    names = sorted(use.sharing)
    return (
        f"candidates in {', '.join(names[:_MAX_NAMED])}{_more(len(names))} may use the certificate that all sidecars "
        "shared, which opens every lock: restart their pods, which then have a sidecar that says which one it uses"
    )


def _more(count: int) -> str:
    return f" and {count - _MAX_NAMED} more" if count > _MAX_NAMED else ""


class Reporter:
    """Writes the condition when it changes."""

    def __init__(self, conditions: OwnConditions) -> None:
        self._conditions = conditions

    async def write(self, desired: Isolation) -> None:
        """Write the condition, if it is not what stands there. Raises KubeFailure."""
        is_news = await self._conditions.write(OwnCondition(TYPE, desired.status, desired.reason, desired.message))
        if is_news:
            level = logging.INFO if desired.status == TRUE or desired.reason == "Enrolling" else logging.WARNING
            _log.log(level, "%s", desired.message, extra={"fields": {"condition": TYPE, "reason": desired.reason}})

    def forget(self) -> None:
        """Another replica may have written it meanwhile."""
        self._conditions.forget()


class EnrolmentMetrics:
    """The gauges and counters; none has a namespace as a label."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prefix = "leasehold_operator_enrolment"
        self._namespaces = Gauge(f"{prefix}_namespaces", "Namespaces that are to be enrolled.", registry=registry)
        self._problems = Gauge(f"{prefix}_problems", "What keeps namespaces from being enrolled.", registry=registry)
        self._isolated = Gauge(
            f"{prefix}_isolated", "1 if each namespace's certificate opens its own locks alone.", registry=registry
        )
        self._issued = Counter(f"{prefix}_certificates", "Certificates issued to namespaces.", registry=registry)
        self._rounds = Counter(f"{prefix}_rounds", "Looks at all that is enrolled.", registry=registry)
        self._failures = Counter(f"{prefix}_failures", "Steps that failed and are tried again.", registry=registry)

    def looked(self, namespaces: int, problems: int, isolated: bool) -> None:
        """How it stands after a round."""
        self._rounds.inc()
        self._namespaces.set(namespaces)
        self._problems.set(problems)
        self._isolated.set(isolated)

    def issued(self) -> None:
        """A certificate was written into a Secret."""
        self._issued.inc()

    def failed(self) -> None:
        """A step failed."""
        self._failures.inc()
