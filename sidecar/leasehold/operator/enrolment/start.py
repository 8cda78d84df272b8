"""From the settings to the running part: who is who, checked before the operator starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.etcd.admin import AdminClient
from leasehold.kube.call import KubeCall
from leasehold.lock.names import LockName
from leasehold.operator.config import OperatorConfig
from leasehold.operator.enrolment.accounts import AccountStore
from leasehold.operator.enrolment.authority import AuthorityError, user_of
from leasehold.operator.enrolment.controller import Enrolment, Parts
from leasehold.operator.enrolment.model import Setup
from leasehold.operator.enrolment.report import EnrolmentMetrics, Reporter
from leasehold.operator.enrolment.secrets import Secrets
from leasehold.operator.enrolment.usage import Usage
from leasehold.operator.watch.caches import Caches
from leasehold.settings.enrolment import EnrolmentConfig
from leasehold.settings.options import ConfigError

_NO_CERTIFICATE: Final = "--enrol-own-etcd needs --etcd-cert: its common name becomes the operator's etcd user."


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator gives to the part: its caches, its own Lock, whether it is active, its clock and metrics."""

    caches: Caches
    canary: LockName
    active: Callable[[], bool]
    clock: Callable[[], float]
    registry: CollectorRegistry


def setup_of(config: OperatorConfig, enrolment: EnrolmentConfig, cluster: str) -> Setup:
    """Who is who. Raises ConfigError for a certificate by which nobody can be known."""
    if not enrolment.own_etcd:
        return Setup(config.root, cluster)
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
    return Setup(config.root, cluster, True, administrators, operator, enrolment.shared_user)


def start(
    config: OperatorConfig,
    enrolment: EnrolmentConfig,
    setup: Setup,
    clients: tuple[AdminClient, KubeCall],
    around: Surroundings,
) -> Enrolment:
    """The part, which has to be run. The clients are the caller's to close."""
    admin, kube = clients
    parts = Parts(
        accounts=AccountStore(admin, setup),
        secrets=Secrets(kube, enrolment.secret),
        usage=Usage(around.caches, config.lock),
        reporter=Reporter(kube, around.canary),
        metrics=EnrolmentMetrics(around.registry),
        kube=kube,
        active=around.active,
        clock=around.clock,
    )
    return Enrolment(enrolment, setup, parts, read_all_every=config.compare_every)
