"""From the settings to the running part: who is who, checked before the operator starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.base.config_error import ConfigError
from leasehold.etcd.admin import AdminClient
from leasehold.kube.call import KubeCall
from leasehold.operator.config import OperatorConfig
from leasehold.operator.enrolment.accounts import AccountStore
from leasehold.operator.enrolment.authority import AuthorityError, user_of
from leasehold.operator.enrolment.controller import DAY, Enrolment
from leasehold.operator.enrolment.login_secrets import LoginSecrets
from leasehold.operator.enrolment.model import Setup
from leasehold.operator.enrolment.report import EnrolmentMetrics, Reporter
from leasehold.operator.enrolment.secrets import Secrets
from leasehold.operator.enrolment.steps import Parts
from leasehold.operator.enrolment.upkeep.members import versions
from leasehold.operator.enrolment.usage import Usage
from leasehold.operator.own_conditions import OwnConditions
from leasehold.operator.watch.caches import Caches
from leasehold.settings.enrolment import EnrolmentConfig

_NO_CERTIFICATE: Final = "--enrol-own-etcd needs --etcd-cert: its common name becomes the operator's etcd user."


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator gives to the part: its caches, where it tells, whether it is active, its clock and metrics."""

    caches: Caches
    conditions: OwnConditions
    active: Callable[[], bool]
    clock: Callable[[], float]
    registry: CollectorRegistry


def setup_of(config: OperatorConfig, enrolment: EnrolmentConfig, cluster: str) -> Setup:
    """Who is who. Raises ConfigError for a certificate by which nobody can be known."""
    if not enrolment.own_etcd:
        return Setup(config.root, cluster, namespace=config.lock.namespace, passwords=enrolment.passwords)
    if config.etcd.cert is None or enrolment.etcd.cert is None:
        raise ConfigError([_NO_CERTIFICATE])
    try:
        operator, administrator = user_of(config.etcd.cert), user_of(enrolment.etcd.cert)
    except AuthorityError as error:
        raise ConfigError([f"{str(error).capitalize()}."]) from None
    names = (administrator, *enrolment.administrators, operator, *filter(None, [enrolment.shared_user]))
    if len(set(names)) != len(names):
        raise ConfigError([f"The etcd users {', '.join(names)} must differ: give each a certificate of its own."])
    administrators = (administrator, *enrolment.administrators)
    return Setup(config.root, cluster, True, administrators, operator, enrolment.shared_user, config.lock.namespace)


def start(
    config: OperatorConfig,
    enrolment: EnrolmentConfig,
    setup: Setup,
    clients: tuple[AdminClient, KubeCall],
    around: Surroundings,
) -> Enrolment:
    """The part, which has to be run. The clients are the caller's to close."""
    admin, kube = clients
    logins = LoginSecrets(kube, enrolment.secret, enrolment.days * DAY) if setup.passwords else None
    parts = Parts(
        accounts=AccountStore(admin, setup),
        secrets=logins or Secrets(kube, enrolment.secret),
        logins=logins,
        usage=Usage(around.caches, config.lock),
        reporter=Reporter(around.conditions),
        metrics=EnrolmentMetrics(around.registry),
        kube=kube,
        active=around.active,
        clock=around.clock,
        versions=lambda: versions(enrolment.etcd),
    )
    return Enrolment(enrolment, setup, parts, read_all_every=config.compare_every)
