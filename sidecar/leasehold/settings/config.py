"""The settings of `leasehold run`, checked, as frozen dataclasses, and what those of other commands share with them.

`parsers.py` reads single values; this file checks the relations between them. Only the standard library is imported
here, so that `--help` and mistakes answer at once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from leasehold.base.address import Address, UnixAddress
from leasehold.base.config_error import ConfigError
from leasehold.base.records import dataclass, field
from leasehold.lock.names import LockName, sanitise
from leasehold.lock.record import Record
from leasehold.settings import commands, flags
from leasehold.settings.etcd import EtcdConfig, read_etcd
from leasehold.settings.options import (
    Given,
    Group,
    SettingsReader,
    parser,
    read_flags,
    sentence,
    unknown_variables,
)

__all__ = ["Config", "ConfigError", "EtcdConfig", "LogConfig"]


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Level `debug`, `info`, `warning` or `error`; format `text` or `json`."""

    level: str = "info"
    format: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonConfig:
    """The settings of every long-running command. `warnings` are sentences for its log."""

    log: LogConfig = LogConfig()
    warnings: tuple[str, ...] = ()
    given: Mapping[str, Given] = field(default_factory=dict, compare=False, repr=False)
    """Each setting as the user wrote it, by its name in code."""

    def mistake(self, name: str, what: str) -> ConfigError:
        """The error for the setting `name`, such as `etcd_ca`; `what` says what is wrong and how to fix it."""
        return ConfigError([sentence(*self.given[name], what)])


class Common(TypedDict):
    """The fields of `CommonConfig`, to be passed on to a subclass."""

    log: LogConfig
    warnings: tuple[str, ...]
    given: Mapping[str, Given]


def read_common(settings: SettingsReader, environ: Mapping[str, str], groups: Sequence[Group] = ()) -> Common:
    """What every long-running command reads. `groups` hold options that `commands.ALL` does not."""
    known = (*commands.ALL, *(option for group in groups for option in group.options))
    return Common(
        log=LogConfig(settings.get(flags.LOG_LEVEL), settings.get(flags.LOG_FORMAT)),
        warnings=tuple(unknown_variables(environ, known)),
        given=settings.seen,
    )


@dataclass(frozen=True, slots=True)
class Config(CommonConfig):
    """All settings of a sidecar. Durations are in seconds; `drain` is infinite for exec.

    `listen` and `control` are None if exec is not to listen.
    """

    etcd: EtcdConfig
    lock: LockName
    record: Record
    root: str = flags.ROOT.default
    ttl: int | None = None
    require_lock: bool = False
    max_drift: float = flags.MAX_DRIFT.default
    listen: Address | None = Address(*flags.LISTEN.default)
    control: Address | UnixAddress | None = Address("127.0.0.1", 4041)
    state_dir: Path | None = None
    drain: float = 0.0
    native_sidecar: bool = False
    termination_grace: float = flags.TERMINATION_GRACE.default
    init_work: bool = False
    app_health: str | None = None
    pod_labels: Path | None = None
    on_gained: tuple[str, ...] = ()
    on_lost: tuple[str, ...] = ()


def run_config(arguments: Sequence[str], environ: Mapping[str, str]) -> Config:
    """The settings of `leasehold run`. Raises ConfigError with every mistake."""
    settings = open_settings("run", "Queue for a lock and answer GET /leader.", commands.RUN, arguments, environ)
    config = sidecar_config(settings, environ, app=True)
    settings.finish()
    return config


def open_settings(
    command: str,
    summary: str,
    groups: Sequence[Group],
    arguments: Sequence[str],
    environ: Mapping[str, str],
    usage: str = "",
) -> SettingsReader:
    """Split a command's arguments, and note unknown ones. `--help` prints and raises SystemExit(0)."""
    given, mistakes = read_flags(parser(command, summary, groups, usage), arguments)
    return SettingsReader(given, environ, mistakes)


def sidecar_config(settings: SettingsReader, environ: Mapping[str, str], *, app: bool) -> Config:
    """The settings that run and exec share; with `app`, also those about the app beside the sidecar."""
    listen, control = _listeners(settings, app=app)
    return Config(
        etcd=read_etcd(settings),
        lock=read_lock(settings),
        record=read_record(settings, environ, group=settings.get(flags.GROUP), priority=settings.get(flags.PRIORITY)),
        root=settings.get(flags.ROOT),
        ttl=settings.get(flags.TTL),
        require_lock=settings.get(flags.REQUIRE_LOCK),
        max_drift=settings.get(flags.MAX_DRIFT),
        listen=listen,
        control=control,
        state_dir=settings.get(flags.STATE_DIR) if app else None,
        drain=settings.get(flags.DRAIN) if app else math.inf,
        native_sidecar=app and settings.get(flags.NATIVE_SIDECAR),
        termination_grace=settings.get(flags.TERMINATION_GRACE) if app else flags.TERMINATION_GRACE.default,
        init_work=app and settings.get(flags.INIT_WORK),
        app_health=(settings.get(flags.APP_HEALTH) or None) if app else None,
        pod_labels=settings.get(flags.POD_LABELS) if app else None,
        on_gained=settings.get(flags.ON_GAINED) if app else (),
        on_lost=settings.get(flags.ON_LOST) if app else (),
        **read_common(settings, environ),
    )


@dataclass(frozen=True, slots=True)
class Target:
    """What a command looks at: an etcd, and in it the lock, or all locks under `root` if that is None."""

    etcd: EtcdConfig
    root: str
    lock: LockName | None


def read_target(settings: SettingsReader) -> Target:
    """What to look at; all locks if no setting names one."""
    etcd, named = read_etcd(settings), settings.given(flags.LOCK)[1] is not None
    return Target(etcd, settings.get(flags.ROOT), read_lock(settings) if named else None)


def read_lock(settings: SettingsReader) -> LockName:
    """The lock's name; a placeholder after a mistake, which `settings` has noted."""
    namespace, lock = settings.get(flags.NAMESPACE), settings.get(flags.LOCK)
    wrong = flags.NAMESPACE
    try:
        if "/" not in lock:
            LockName(namespace, "any")  # tells a wrong namespace from a wrong name
        wrong = flags.LOCK
        if settings.given(flags.LOCK)[1] is not None:
            return LockName.parse(lock, namespace)
        settings.mistakes.append("No lock is named: give --lock NAME, or set LEASEHOLD_LOCK.")
    except ValueError as error:
        rule = re.sub(r"^(the [a-z ]+?) '.*' is not", r"\1 is not", str(error), flags=re.DOTALL)
        settings.add(*settings.seen[wrong.dest], rule)  # without the value, which add() shows in shortened form
    return LockName("default", "unnamed")


def read_record(settings: SettingsReader, environ: Mapping[str, str], *, group: str = "", priority: int = 0) -> Record:
    """The record of this process for the queue, with a new incarnation."""
    return Record(
        identity=settings.get(flags.IDENTITY) or sanitise(os.uname().nodename) or "unnamed",
        pod=sanitise(environ.get("POD_NAME", "")),
        pod_namespace=sanitise(environ.get("POD_NAMESPACE", "")),
        pod_uid=sanitise(environ.get("POD_UID", "")),
        node=sanitise(environ.get("NODE_NAME", "")),
        group=group,
        priority=priority,
        incarnation=os.urandom(8).hex(),  # `secrets` would load hashlib, 0.6 MiB
    )


def _listeners(settings: SettingsReader, *, app: bool) -> tuple[Address | None, Address | UnixAddress | None]:
    """Where to listen. exec listens nowhere unless asked to, so that several may run on one host."""
    public = settings.get(flags.LISTEN if app else flags.EXEC_LISTEN)
    read = settings.get(flags.CONTROL if app else flags.EXEC_CONTROL)
    listen = None if public is None else Address(*public)
    if read is None:
        return listen, None
    if isinstance(read, Path):
        return listen, UnixAddress(read)
    control = Address(*read)
    everywhere = listen is not None and listen.host in ("", "0.0.0.0", "::", control.host)
    if listen is not None and listen.port == control.port != 0 and everywhere:
        settings.add(*settings.seen[flags.CONTROL.dest], f"--listen has port {listen.port} already; use another one")
    return listen, control
