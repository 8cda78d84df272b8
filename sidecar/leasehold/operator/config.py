"""The settings of `leasehold operator`, checked, as a frozen dataclass.

They are read like the sidecar's: each is a flag or a `LEASEHOLD_*` variable, and each mistake is one sentence. Nothing
here imports more than the standard library, so that `--help` and mistakes are printed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from leasehold.base.address import Address
from leasehold.base.records import dataclass
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from leasehold.settings import commands, enrolment, flags, parsers
from leasehold.settings.config import CommonConfig, open_settings, read_common, read_record
from leasehold.settings.enrolment import EnrolmentConfig, read_enrolment
from leasehold.settings.etcd import EtcdConfig, read_etcd
from leasehold.settings.kube import KUBECONFIG, read_kubeconfig
from leasehold.settings.options import Group, Option, SettingsReader

OWN_LOCK: Final = "leasehold-operator"
"""The lock that the operator's replicas elect with. Its namespace is the operator's own."""

NAMESPACE: Final = Option[str](
    "--namespace",
    "NAME",
    f"the operator's own: its replicas elect with the lock {OWN_LOCK} there (default: POD_NAMESPACE, else default)",
    parsers.as_given,
    "default",
    fallback="POD_NAMESPACE",
)
IDENTITY: Final = Option[str](
    "--identity",
    "TEXT",
    "this replica's name, unlike all others' (default: POD_NAME, else the host name)",
    parsers.printable,
    "",
    fallback="POD_NAME",
)
TTL: Final = Option[int](
    "--ttl",
    "SECONDS",
    "lease time of the active replica: the standby replaces a dead one after it, 3 to 3600 (default: 15)",
    parsers.ttl,
    15,
)
API_WRITES: Final = Option[int](
    "--api-writes",
    "N",
    "writes to the API server per second at most, over all Locks, 1 to 10000 (default: 400)",
    parsers.integer(1, 10_000, "a whole number"),
    400,
)
LISTEN: Final = Option[tuple[str, int]](
    "--listen",
    "HOST:PORT",
    "where /metrics, /livez and /readyz answer (default: :4040, which is all addresses)",
    parsers.host_port,
    ("", 4040),
)
COMPARE_EVERY: Final = Option[float](
    "--compare-every",
    "SECONDS",
    "time between full comparisons of all Locks with all of etcd, 10 to 86400 (default: 600)",
    parsers.seconds(10, 86_400),
    600.0,
)

GROUPS: Final = (
    commands.ETCD_GROUP,
    enrolment.GROUP,
    Group("kubernetes", (KUBECONFIG, API_WRITES, COMPARE_EVERY)),
    Group("the operator's replicas", (NAMESPACE, flags.ROOT, IDENTITY, TTL, flags.MAX_DRIFT)),
    Group("listener", (LISTEN,)),
    commands.LOG_GROUP,
)
_SUMMARY: Final = (
    "Turn Lock resources into etcd keys, and report in their status who holds them. Run two replicas: one is active, "
    "the other takes over."
)


@dataclass(frozen=True, slots=True)
class OperatorConfig(CommonConfig):
    """All settings of an operator. Durations are in seconds. `kubeconfig` None: use the pod's service account.

    `enrolment` None: etcd's users are not the operator's concern.
    """

    etcd: EtcdConfig
    enrolment: EnrolmentConfig | None
    lock: LockName
    record: Record
    kubeconfig: Path | None
    root: str
    ttl: int
    max_drift: float
    api_writes: int
    compare_every: float
    listen: Address


def operator_config(arguments: Sequence[str], environ: Mapping[str, str]) -> OperatorConfig:
    """Read the settings of `leasehold operator`. Raises ConfigError with all mistakes."""
    settings = open_settings("operator", _SUMMARY, GROUPS, arguments, environ)
    etcd = read_etcd(settings)
    config = OperatorConfig(
        etcd=etcd,
        enrolment=read_enrolment(settings, etcd),
        lock=_own_lock(settings),
        record=read_record(settings, environ),
        kubeconfig=read_kubeconfig(settings),
        root=settings.get(flags.ROOT),
        ttl=settings.get(TTL),
        max_drift=settings.get(flags.MAX_DRIFT),
        api_writes=settings.get(API_WRITES),
        compare_every=settings.get(COMPARE_EVERY),
        listen=Address(*settings.get(LISTEN)),
        **read_common(settings, environ, GROUPS),
    )
    settings.finish()
    return config


def _own_lock(settings: SettingsReader) -> LockName:
    namespace = settings.get(NAMESPACE)
    try:
        return LockName(namespace, OWN_LOCK)
    except ValueError:
        mend = "use at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit"
        settings.add(*settings.seen["namespace"], mend)
    return LockName("default", OWN_LOCK)
