"""How to reach etcd: the settings that run, exec and status share, and the checks between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leasehold.settings import flags
from leasehold.settings.options import Option, SettingsReader


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """How to reach etcd. All endpoints are `scheme://host:port` of one scheme.

    The files were readable at the start. An empty `user` means no login. The password is read from its file at each
    login, without the line end: it may be rotated.
    """

    endpoints: tuple[str, ...] = flags.ETCD.default
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str = ""
    password_file: Path | None = None


def read_etcd(settings: SettingsReader) -> EtcdConfig:
    """How to reach etcd; mistakes are noted."""
    etcd = EtcdConfig(
        endpoints=settings.get(flags.ETCD),
        ca=settings.get(flags.ETCD_CA),
        cert=settings.get(flags.ETCD_CERT),
        key=settings.get(flags.ETCD_KEY),
        user=settings.get(flags.ETCD_USER),
        password_file=settings.get(flags.ETCD_PASSWORD_FILE),
    )
    _check_pair(settings, flags.ETCD_CERT, flags.ETCD_KEY)
    _check_pair(settings, flags.ETCD_USER, flags.ETCD_PASSWORD_FILE)
    _check_tls(settings, etcd)
    _check_password(settings, etcd)
    return etcd


def _check_pair(settings: SettingsReader, one: Option[object], other: Option[object]) -> None:
    for given, missing in ((one, other), (other, one)):
        name, text = settings.given(given)
        if text is not None and settings.given(missing)[1] is None:
            settings.add(name, text, f"it is of no use alone; give {missing.flag} as well")


def _check_tls(settings: SettingsReader, etcd: EtcdConfig) -> None:
    if etcd.endpoints[0].startswith("https://"):
        _check_certificates(settings, etcd)
        return
    for option in (flags.ETCD_CA, flags.ETCD_CERT, flags.ETCD_KEY):
        name, text = settings.given(option)
        if text is not None and not settings.is_invalid(flags.ETCD):
            settings.add(
                name,
                text,
                "it is for https, but --etcd has http URLs; write https:// there, or leave this out",
            )


def _check_certificates(settings: SettingsReader, etcd: EtcdConfig) -> None:
    import ssl  # costs memory and time, and only TLS needs it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if etcd.ca:
        try:
            context.load_verify_locations(etcd.ca)
        except (ssl.SSLError, OSError):
            settings.add(
                *settings.seen["etcd_ca"],
                "it holds no PEM certificate; name the authority's certificate file",
            )
    if etcd.cert and etcd.key:
        try:
            context.load_cert_chain(etcd.cert, etcd.key, password=_no_passphrase)
        except (ssl.SSLError, OSError, _Encrypted) as error:
            settings.add(*settings.seen["etcd_cert"], _key_pair_mistake(error))


class _Encrypted(Exception):
    """The private key asks for a passphrase."""


def _no_passphrase() -> str:
    raise _Encrypted


def _key_pair_mistake(error: Exception) -> str:
    if isinstance(error, _Encrypted):
        return "its private key in --etcd-key is encrypted; use one without a passphrase"
    if "MISMATCH" in str(error):
        return "the private key in --etcd-key belongs to another certificate; give a matching pair"
    return "it and --etcd-key do not hold a PEM certificate and its PEM private key; name files that do"


def _check_password(settings: SettingsReader, etcd: EtcdConfig) -> None:
    if etcd.password_file is None:
        return
    try:
        empty = not etcd.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        settings.add(
            *settings.seen["etcd_password_file"],
            "it cannot be read as UTF-8 text; store the password alone in it",
        )
        return
    if empty:
        settings.add(*settings.seen["etcd_password_file"], "it is empty; store the password in it")
