"""The settings by which the operator gives each namespace its own etcd user, and the checks between them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from leasehold.base.records import dataclass
from leasehold.lock.names import LockName
from leasehold.settings import parsers
from leasehold.settings.etcd import EtcdConfig
from leasehold.settings.options import Group, Option, SettingsReader

DEFAULT_SECRET: Final = "leasehold-etcd-client"


def _names(text: str) -> tuple[str, ...]:
    names = tuple(parsers.printable(part.strip()) for part in text.split(","))
    if "" in names or "root" in names:
        raise ValueError("use names of etcd users, comma-separated; nobody may come as `root`")
    return names


def _user(text: str) -> str:
    (name,) = _names(text) if "," not in text else ("",)
    if not name:
        raise ValueError("use the name of one etcd user")
    return name


def _secret(text: str) -> str:
    try:
        LockName("default", text)  # a Secret's name follows the rules that a Lock's does
    except ValueError:
        raise ValueError("use the name of a Secret: at most 253 lower-case letters, digits, '-' and '.'") from None
    return text


CA_CERT: Final = Option[Path | None](
    "--enrol-ca-cert",
    "FILE",
    "authority that signs the namespaces' certificates, which etcd must trust, PEM (default: no namespace is enrolled)",
    Path,
    None,
)
CA_KEY: Final = Option[Path | None]("--enrol-ca-key", "FILE", "its private key, PEM", Path, None)
CERT: Final = Option[Path | None](
    "--enrol-cert",
    "FILE",
    "client certificate of an etcd user who may administer users (role root), PEM",
    parsers.readable_file,
    None,
)
KEY: Final = Option[Path | None]("--enrol-key", "FILE", "its private key, PEM", parsers.readable_file, None)
USER: Final = Option[str](
    "--enrol-user", "NAME", "instead of that certificate: a user with the role root, to log in as", _user, ""
)
PASSWORD_FILE: Final = Option[Path | None](
    "--enrol-password-file", "FILE", "file that holds that user's password", parsers.readable_file, None
)
PASSWORDS: Final = Option[bool](
    "--enrol-passwords",
    "",
    "namespaces get users with passwords, and no authority is needed (default: certificates)",
    parsers.switch,
    False,
    switch=True,
)
SECRET: Final = Option[str](
    "--enrol-secret",
    "NAME",
    "the Secret that each namespace gets, with ca.crt, and tls.crt and tls.key, or username and password "
    f"(default: {DEFAULT_SECRET})",
    _secret,
    DEFAULT_SECRET,
)
DAYS: Final = Option[int](
    "--enrol-days",
    "N",
    "days that its certificate or password is valid, 1 to 365; renewed at two thirds of them (default: 14)",
    parsers.integer(1, 365, "a whole number of days"),
    14,
)
OWN_ETCD: Final = Option[bool](
    "--enrol-own-etcd",
    "",
    "nobody else uses that etcd: authentication is turned on as soon as every user is there (default: others do)",
    parsers.switch,
    False,
    switch=True,
)
ADMINISTRATORS: Final = Option[tuple[str, ...]](
    "--enrol-administrators", "NAME,…", "more etcd users who get the role root (default: none)", _names, ()
)
SHARED_USER: Final = Option[str](
    "--enrol-shared-user",
    "NAME",
    "the user of a certificate that all sidecars shared, who is removed when nobody uses it (default: none)",
    _user,
    "",
)

GROUP: Final = Group(
    "each namespace its own etcd user",
    (CA_CERT, CA_KEY, CERT, KEY, USER, PASSWORD_FILE, PASSWORDS, SECRET, DAYS, OWN_ETCD, ADMINISTRATORS, SHARED_USER),
)


@dataclass(frozen=True, slots=True)
class EnrolmentConfig:
    """How namespaces are enrolled. `etcd` is how the user who administers reaches it.

    With `passwords` there is no authority. Else its files are read again at each use: they may be missing, or be
    replaced.
    """

    etcd: EtcdConfig
    ca_cert: Path
    ca_key: Path
    secret: str
    days: int
    own_etcd: bool
    administrators: tuple[str, ...]
    shared_user: str
    passwords: bool = False


def read_enrolment(settings: SettingsReader, etcd: EtcdConfig) -> EnrolmentConfig | None:
    """How namespaces are enrolled; None if they are not. Mistakes are noted."""
    certificate, ca_key = settings.get(CA_CERT), settings.get(CA_KEY)
    cert, key, user = settings.get(CERT), settings.get(KEY), settings.get(USER)
    if user:  # etcd may demand a certificate all the same; who logs in is who the token says
        cert, key = etcd.cert, etcd.key
    own = EtcdConfig(etcd.endpoints, etcd.ca, cert, key, user, settings.get(PASSWORD_FILE))
    config = EnrolmentConfig(
        etcd=own,
        ca_cert=certificate or Path(),
        ca_key=ca_key or Path(),
        secret=settings.get(SECRET),
        days=settings.get(DAYS),
        own_etcd=settings.get(OWN_ETCD),
        administrators=settings.get(ADMINISTRATORS),
        shared_user=settings.get(SHARED_USER),
        passwords=settings.get(PASSWORDS),
    )
    given = [option for option in GROUP.options if settings.given(option)[1] is not None]
    if certificate is None and not config.passwords:
        if given:
            text = f"{given[0].flag} is of no use without --enrol-ca-cert or --enrol-passwords: give one as well."
            settings.mistakes.append(text)
        return None
    _check(settings, config, ca_key)
    _check_administrator(settings, config)
    return config


def _check(settings: SettingsReader, config: EnrolmentConfig, ca_key: Path | None) -> None:
    if config.passwords:
        for option in (CA_CERT, CA_KEY, OWN_ETCD, SHARED_USER):
            if settings.given(option)[1] is not None:
                text = f"{option.flag} is for certificates, and --enrol-passwords for an etcd of yours: leave one out."
                settings.mistakes.append(text)
        return
    if ca_key is None:
        settings.mistakes.append("--enrol-ca-cert needs --enrol-ca-key: give the authority's private key as well.")
    if not config.etcd.tls:
        settings.mistakes.append("--enrol-ca-cert is for an etcd with TLS: write https:// in --etcd, or leave it out.")


def _check_administrator(settings: SettingsReader, config: EnrolmentConfig) -> None:
    by_certificate = [settings.given(option)[1] is not None for option in (CERT, KEY)]
    by_password = [settings.given(option)[1] is not None for option in (USER, PASSWORD_FILE)]
    flag = PASSWORDS.flag if config.passwords else CA_CERT.flag
    if any(by_certificate) == any(by_password) or not (all(by_certificate) or all(by_password)):
        settings.mistakes.append(
            f"{flag} needs an administrator of etcd: give --enrol-cert and --enrol-key, or --enrol-user and "
            "--enrol-password-file."
        )
    elif any(by_certificate) and not config.etcd.tls:
        if config.passwords:
            settings.mistakes.append("--enrol-cert is for an etcd with TLS: write https:// in --etcd.")
    elif config.own_etcd and not all(by_certificate):
        settings.mistakes.append("--enrol-own-etcd needs --enrol-cert: its common name becomes an etcd user.")
