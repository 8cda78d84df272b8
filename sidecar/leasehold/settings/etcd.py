"""How to reach etcd: the settings that run, exec and status share, and the checks between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from leasehold.base.records import dataclass
from leasehold.settings import flags
from leasehold.settings.options import Option, SettingsReader


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """How to reach etcd. All endpoints are `scheme://host:port` of one scheme.

    The files were readable at the start. An empty `user` means no login. The password is read from its file at each
    login, without the line end: it may be rotated, and a second line is the next one.
    """

    endpoints: tuple[str, ...] = flags.ETCD.default
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str = ""
    password_file: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether the endpoints are reached by TLS."""
        return self.endpoints[0].startswith("https://")


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
    if etcd.tls:
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

    from leasehold.etcd.tls import TLSFiles, load_authorities, load_identity  # likewise

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if etcd.ca:
        _note_mistake(settings, flags.ETCD_CA, lambda: load_authorities(context, etcd.ca))
    if etcd.cert and etcd.key:
        _note_mistake(settings, flags.ETCD_CERT, lambda: load_identity(context, TLSFiles(cert=etcd.cert, key=etcd.key)))


def _check_password(settings: SettingsReader, etcd: EtcdConfig) -> None:
    if etcd.password_file is None:
        return
    from leasehold.etcd.auth import read_passwords  # brings gRPC along, which `leasehold wait` has no use for

    path = etcd.password_file
    _note_mistake(settings, flags.ETCD_PASSWORD_FILE, lambda: read_passwords(path))


def _note_mistake(settings: SettingsReader, option: Option[Path | None], check: Callable[[], object]) -> None:
    """Run one of the client's own checks: what it will not take later is a mistake now, in the same words."""
    from leasehold.etcd.errors import BadSetting

    try:
        check()
    except BadSetting as error:
        settings.add(*settings.seen[option.dest], str(error))
