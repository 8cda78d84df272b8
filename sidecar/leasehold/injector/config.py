"""The settings of `leasehold injector`, checked, as a frozen dataclass.

Only the standard library is imported here, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from leasehold.base.address import Address
from leasehold.base.records import dataclass
from leasehold.injector.container import Sidecar
from leasehold.injector.resources import quantity
from leasehold.lock.kube_names import INJECT_LABEL, OPT_IN_LABEL
from leasehold.settings import commands, flags, parsers
from leasehold.settings.config import CommonConfig, open_settings, read_common
from leasehold.settings.kube import KUBECONFIG, read_kubeconfig
from leasehold.settings.options import Group, Option, SettingsReader

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _object_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("use a name of lower-case letters, digits, '-' and '.'")
    return text


def _resources(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if (
        not isinstance(found, dict)
        or not found.keys() <= {"requests", "limits"}
        or not all(map(_amounts, found.values()))
    ):
        raise ValueError('use JSON such as {"requests": {"memory": "48Mi"}, "limits": {"memory": "96Mi"}}')
    return found


def _amounts(found: object) -> bool:
    """Whether this maps resources to quantities as Kubernetes writes them."""
    return isinstance(found, dict) and all(map(_is_quantity, found.values()))


def _is_quantity(amount: object) -> bool:
    try:
        quantity(str(amount))
    except ValueError:
        return False
    return True


def _object_names(text: str) -> tuple[str, ...]:
    return tuple(_object_name(name) for name in text.split(",") if name)


NAMESPACE: Final = Option[str](
    "--namespace",
    "NAME",
    "the injector's own, where its Service and Secret are (default: POD_NAMESPACE, else default)",
    _object_name,
    "default",
    fallback="POD_NAMESPACE",
)
LISTEN: Final = Option[tuple[str, int]](
    "--listen",
    "HOST:PORT",
    "where the API server asks, by TLS (default: :8443, which is all addresses)",
    parsers.host_port,
    ("", 8443),
)
HEALTH_LISTEN: Final = Option[tuple[str, int]](
    "--health-listen",
    "HOST:PORT",
    "where /metrics, /livez and /readyz answer (default: :8080)",
    parsers.host_port,
    ("", 8080),
)
SERVICE: Final = Option[str](
    "--service", "NAME", "its Service, for whose DNS name it makes its certificate", _object_name, ""
)
SECRET: Final = Option[str](
    "--certificate-secret",
    "NAME",
    "Secret through which its replicas share their certificate; it must exist",
    _object_name,
    "",
)
CONFIGURATION: Final = Option[str](
    "--webhook-configuration",
    "NAME",
    "MutatingWebhookConfiguration whose caBundle it keeps up to date; it must exist",
    _object_name,
    "",
)
DAYS: Final = Option[int](
    "--certificate-days",
    "DAYS",
    "how long a certificate is valid; it is renewed at two thirds, 1 to 3650 (default: 90)",
    parsers.integer(1, 3650, "a whole number of days"),
    90,
)
TLS_CERT: Final = Option[Path | None](
    "--tls-cert",
    "FILE",
    "a certificate that somebody else renews, PEM; read again when it changes",
    parsers.readable_file,
    None,
)
TLS_KEY: Final = Option[Path | None]("--tls-key", "FILE", "its private key, PEM", parsers.readable_file, None)
REQUIRE_LOCK: Final = Option[bool](
    "--require-lock",
    "",
    "sidecars wait until their Lock is declared (default: they join an undeclared lock)",
    parsers.switch,
    False,
    switch=True,
)
REQUIRE_OPT_IN: Final = Option[bool](
    "--require-opt-in",
    "",
    f"refuse pods of namespaces without the label {OPT_IN_LABEL}=enabled (default: any may)",
    parsers.switch,
    False,
    switch=True,
)
IMAGE: Final = Option[str]("--sidecar-image", "IMAGE", "the sidecar's image (required)", parsers.printable, "")
PULL: Final = Option[str](
    "--sidecar-pull-policy",
    "POLICY",
    "Always, IfNotPresent or Never (default: IfNotPresent)",
    parsers.one_of("Always", "IfNotPresent", "Never"),
    "IfNotPresent",
)
ETCD: Final = Option[tuple[str, ...]](
    "--sidecar-etcd", "URL,…", "members of etcd that sidecars use, comma-separated (required)", parsers.etcd_urls, ()
)
ETCD_SECRET: Final = Option[str](
    "--sidecar-etcd-secret",
    "NAME",
    "Secret in the pod's namespace with ca.crt, tls.crt and tls.key (default: none, etcd has no TLS)",
    _object_name,
    "",
)
SERVER_TLS: Final = Option[bool](
    "--sidecar-etcd-server-tls-only",
    "",
    "that Secret has ca.crt alone (default: all three)",
    parsers.switch,
    False,
    switch=True,
)
USER: Final = Option[str]("--sidecar-etcd-user", "NAME", "user to log in to etcd as", parsers.printable, "")
PASSWORD: Final = Option[str](
    "--sidecar-etcd-password-secret", "NAME", "Secret in the pod's namespace with the key password", _object_name, ""
)
ROOT: Final = Option[str](
    "--sidecar-root", "PATH", "prefix of all keys in etcd (default: /leasehold)", parsers.root, flags.ROOT.default
)
RESOURCES: Final = Option[Mapping[str, Any]](
    "--sidecar-resources",
    "JSON",
    "requests and limits of the sidecar (default: 20m and 48Mi, at most 96Mi)",
    _resources,
    {},
)
PULL_SECRETS: Final = Option[tuple[str, ...]](
    "--sidecar-pull-secrets",
    "NAME,…",
    "Secrets in the pod's namespace for pulling the image, added to the pod's (default: none)",
    _object_names,
    (),
)
ANY_USER: Final = Option[bool](
    "--sidecar-any-user",
    "",
    "the platform chooses the sidecar's user, as OpenShift does (default: 65532)",
    parsers.switch,
    False,
    switch=True,
)

_SIDECAR: Final = (IMAGE, PULL, PULL_SECRETS, ETCD, ETCD_SECRET, SERVER_TLS, USER, PASSWORD, ROOT, RESOURCES, ANY_USER)
GROUPS: Final = (
    Group("kubernetes", (KUBECONFIG, NAMESPACE)),
    Group("pods", (REQUIRE_LOCK, REQUIRE_OPT_IN)),
    Group("the sidecar", _SIDECAR),
    Group("its own certificate", (SERVICE, SECRET, CONFIGURATION, DAYS)),
    Group("a certificate in files", (TLS_CERT, TLS_KEY)),
    Group("listeners", (LISTEN, HEALTH_LISTEN)),
    commands.LOG_GROUP,
)
_SUMMARY: Final = f"Give pods with the label {INJECT_LABEL} their sidecar, as a mutating webhook. Run two replicas."
_DEFAULT_RESOURCES: Final = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "96Mi"}}


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate that the injector makes itself, for the DNS name `host`, and where its parts are kept.

    `secret` is in `namespace`; `configuration` names the MutatingWebhookConfiguration.
    """

    host: str
    namespace: str
    secret: str
    configuration: str
    days: int


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate that somebody else renews."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class InjectorConfig(CommonConfig):
    """All settings of an injector. With `kubeconfig` None, it uses the pod's service account."""

    kubeconfig: Path | None
    certificate: OwnCertificate | CertificateFiles
    sidecar: Sidecar
    require_lock: bool
    require_opt_in: bool
    listen: Address
    health_listen: Address


def injector_config(arguments: Sequence[str], environ: Mapping[str, str]) -> InjectorConfig:
    """The settings of `leasehold injector`. Raises ConfigError with every mistake."""
    settings = open_settings("injector", _SUMMARY, GROUPS, arguments, environ)
    config = InjectorConfig(
        kubeconfig=read_kubeconfig(settings),
        certificate=_certificate(settings, settings.get(NAMESPACE)),
        sidecar=_sidecar(settings),
        require_lock=settings.get(REQUIRE_LOCK),
        require_opt_in=settings.get(REQUIRE_OPT_IN),
        listen=Address(*settings.get(LISTEN)),
        health_listen=Address(*settings.get(HEALTH_LISTEN)),
        **read_common(settings, environ, GROUPS),
    )
    settings.finish()
    return config


def _certificate(settings: SettingsReader, namespace: str) -> OwnCertificate | CertificateFiles:
    certificate, key = settings.get(TLS_CERT), settings.get(TLS_KEY)
    own = [settings.get(option) for option in (SERVICE, SECRET, CONFIGURATION)]
    days = settings.get(DAYS)
    if certificate and key and not any(own):
        return CertificateFiles(certificate, key)
    invalid = any(settings.is_invalid(option) for option in (SERVICE, SECRET, CONFIGURATION, TLS_CERT, TLS_KEY))
    if not invalid and not (all(own) and not certificate and not key):
        settings.mistakes.append(
            "No certificate is named: give --tls-cert and --tls-key, or else --service, --certificate-secret and "
            "--webhook-configuration."
        )
    return OwnCertificate(f"{own[0]}.{namespace}.svc", namespace, own[1], own[2], days)


def _sidecar(settings: SettingsReader) -> Sidecar:
    sidecar = Sidecar(
        image=settings.get(IMAGE),
        etcd=settings.get(ETCD),
        pull_policy=settings.get(PULL),
        etcd_secret=settings.get(ETCD_SECRET),
        server_tls_only=settings.get(SERVER_TLS),
        etcd_user=settings.get(USER),
        password_secret=settings.get(PASSWORD),
        root=settings.get(ROOT),
        resources=settings.get(RESOURCES) or _DEFAULT_RESOURCES,
        pull_secrets=settings.get(PULL_SECRETS),
        fixed_user=not settings.get(ANY_USER),
    )
    for option, value in ((IMAGE, sidecar.image), (ETCD, sidecar.etcd)):
        if not value and not settings.is_invalid(option):
            settings.mistakes.append(f"{option.flag} is missing: {option.help.removesuffix(' (required)')}.")
    if bool(sidecar.etcd_user) != bool(sidecar.password_secret):
        settings.mistakes.append("--sidecar-etcd-user and --sidecar-etcd-password-secret need each other: give both.")
    return sidecar
