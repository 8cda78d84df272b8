"""The settings of `leasehold ui`, checked, as a frozen dataclass. Only the standard library is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from leasehold.base.address import Address, is_loopback
from leasehold.base.records import dataclass
from leasehold.settings import commands, flags, parsers
from leasehold.settings.config import CommonConfig, open_settings, read_common
from leasehold.settings.etcd import EtcdConfig, read_etcd
from leasehold.settings.options import Group, Option

LISTEN: Final = Option[tuple[str, int]](
    "--listen",
    "HOST:PORT",
    "where the page is served; an address that is not loopback needs --token-file (default: 127.0.0.1:4042)",
    parsers.host_port,
    ("127.0.0.1", 4042),
)
TOKEN_FILE: Final = Option[Path | None](
    "--token-file",
    "FILE",
    "file with the token, at least 16 characters, that whoever opens the page has to give; the page has no TLS of its "
    "own, so put a proxy that has it before an address that others reach (default: no token)",
    parsers.readable_file,
    None,
)
SERVICE_ACCOUNT: Final = Option[Path | None](
    "--service-account",
    "DIR",
    "read a Lock whose page is open from the API server as well, by the service account whose token and ca.crt are in "
    "this folder of a pod: the page then names the pods that are not in its queue, and why (default: ask etcd alone)",
    Path,
    None,
)

GROUPS: Final = (
    commands.ETCD_GROUP,
    Group("the locks", (flags.ROOT,)),
    Group("Kubernetes", (SERVICE_ACCOUNT,)),
    Group("listener", (LISTEN, TOKEN_FILE)),
    commands.LOG_GROUP,
)
_SUMMARY: Final = "Serve a page that shows all locks of an etcd, live: holders, queues, leases. It only reads."


@dataclass(frozen=True, slots=True)
class UiConfig(CommonConfig):
    """All settings of the page."""

    etcd: EtcdConfig
    root: str
    listen: Address
    token_file: Path | None
    service_account: Path | None


def ui_config(arguments: Sequence[str], environ: Mapping[str, str]) -> UiConfig:
    """Read the settings of `leasehold ui`. Raises ConfigError with all mistakes."""
    settings = open_settings("ui", _SUMMARY, GROUPS, arguments, environ)
    config = UiConfig(
        etcd=read_etcd(settings),
        root=settings.get(flags.ROOT),
        listen=Address(*settings.get(LISTEN)),
        token_file=settings.get(TOKEN_FILE),
        service_account=settings.get(SERVICE_ACCOUNT),
        **read_common(settings, environ, GROUPS),
    )
    if config.token_file is None and not is_loopback(config.listen.host):
        what = "others could read the page there; use 127.0.0.1, or give --token-file as well"
        settings.add(*settings.seen[LISTEN.dest], what)
    settings.finish()
    return config
