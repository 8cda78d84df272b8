"""The settings of `python -m leasehold.operator.certificates`, checked. The chart gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from leasehold.base.address import Address
from leasehold.base.records import dataclass
from leasehold.lock.names import LockName
from leasehold.operator.certificates.subject import Leaf, Subject
from leasehold.settings import commands, parsers
from leasehold.settings.config import CommonConfig, open_settings, read_common
from leasehold.settings.kube import KUBECONFIG, read_kubeconfig
from leasehold.settings.options import Group, Option, SettingsReader

_MAX_NAME_CHARACTERS: Final = 64
"""Of a common name: RFC 5280, ub-common-name."""


def _secret(text: str) -> str:
    try:
        return LockName("default", text).name  # a Secret's name follows the rules that a Lock's does
    except ValueError:
        raise ValueError("use the name of a Secret") from None


def _client(text: str) -> tuple[str, str, str]:
    """`NAMESPACE/SECRET=NAME`."""
    place, _, name = text.partition("=")
    namespace, _, secret = place.partition("/")
    if not (namespace and secret and name) or len(name) > _MAX_NAME_CHARACTERS:
        raise ValueError("use NAMESPACE/SECRET=NAME, the name with at most 64 characters")
    return namespace, _secret(secret), name


def _clients(text: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(_client(each) for each in text.split(",") if each)


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(parsers.printable(each) for each in text.split(",") if each)


NAMESPACE: Final = Option[str](
    "--namespace", "NAME", "of the members' Secrets (default: POD_NAMESPACE)", _secret, "default", "POD_NAMESPACE"
)
AUTHORITY: Final = Option[str]("--authority", "SECRET", "the authority's Secret (required)", _secret, "")
KEEP_AUTHORITY: Final = Option[bool](
    "--keep-authority", "", "somebody else makes and renews the authority", parsers.switch, False, switch=True
)
SERVER: Final = Option[str]("--server", "SECRET", "the members' Secret (required)", _secret, "")
NAME: Final = Option[str]("--server-name", "NAME", "the members' common name (required)", parsers.printable, "")
HOSTS: Final = Option[tuple[str, ...]]("--server-hosts", "HOST,…", "the members' DNS names (required)", _hosts, ())
CLIENTS: Final = Option[tuple[tuple[str, str, str], ...]](
    "--clients", "NAMESPACE/SECRET=NAME,…", "the clients' Secrets, and their common names", _clients, ()
)
DAYS: Final = Option[int](
    "--days",
    "N",
    "how long a certificate is valid; it is renewed at two thirds, 1 to 3650 (default: 365)",
    parsers.integer(1, 3650, "a whole number of days"),
    365,
)
LISTEN: Final = Option[tuple[str, int]](
    "--listen", "HOST:PORT", "where /metrics, /livez and /readyz answer (default: :8080)", parsers.host_port, ("", 8080)
)
GROUPS: Final = (
    Group("kubernetes", (KUBECONFIG, NAMESPACE)),
    Group("certificates", (AUTHORITY, KEEP_AUTHORITY, SERVER, NAME, HOSTS, CLIENTS, DAYS)),
    Group("listener", (LISTEN,)),
    commands.LOG_GROUP,
)


@dataclass(frozen=True, slots=True)
class CertificatesConfig(CommonConfig):
    """All settings. `authority` is a Secret in `namespace`. `kubeconfig` None: use the pod's service account."""

    kubeconfig: Path | None
    namespace: str
    authority: str
    keep_authority: bool
    leaves: tuple[Leaf, ...]
    lifetime: timedelta
    listen: Address


def certificates_config(arguments: Sequence[str], environ: Mapping[str, str]) -> CertificatesConfig:
    """Read them. Raises ConfigError with all mistakes."""
    summary = "Make and renew the certificates of the chart's own etcd, in Secrets that are there."
    settings = open_settings("operator.certificates", summary, GROUPS, arguments, environ)
    config = CertificatesConfig(
        kubeconfig=read_kubeconfig(settings),
        namespace=settings.get(NAMESPACE),
        authority=settings.get(AUTHORITY),
        keep_authority=settings.get(KEEP_AUTHORITY),
        leaves=_leaves(settings),
        lifetime=timedelta(days=settings.get(DAYS)),
        listen=Address(*settings.get(LISTEN)),
        **read_common(settings, environ, GROUPS),
    )
    settings.finish()
    return config


def _leaves(settings: SettingsReader) -> tuple[Leaf, ...]:
    for option in (AUTHORITY, SERVER, NAME, HOSTS):
        if not settings.get(option) and not settings.is_invalid(option):
            settings.mistakes.append(f"{option.flag} is missing: {option.help.removesuffix(' (required)')}.")
    members = Subject(settings.get(NAME), settings.get(HOSTS))
    server = Leaf(settings.get(NAMESPACE), settings.get(SERVER), members)
    return (server, *(Leaf(namespace, secret, Subject(name)) for namespace, secret, name in settings.get(CLIENTS)))
