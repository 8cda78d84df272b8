"""The settings of `leasehold exec`, checked, as a frozen dataclass."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.base.records import dataclass, replace
from leasehold.lock.record import Record
from leasehold.settings import commands, flags
from leasehold.settings.config import Config, open_settings, sidecar_config
from leasehold.settings.options import SettingsReader

KILL_MARGIN_SECONDS = 0.5
"""No process of exec's command may run this shortly before the lease deadline."""
MAX_DEFAULT_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ExecConfig:
    """`leasehold exec`: the sidecar's own settings, and those of the command. Durations are in seconds.

    `grace`, between TERM and KILL, is None if it follows the lease: see `default_grace`. `timeout` None is no limit.
    `once_per` None is to run always. `parent_key` is the key in etcd of the exec whose command this process is, or "".
    """

    sidecar: Config
    command: tuple[str, ...]
    grace: float | None = None
    timeout: float | None = None
    once_per: int | None = None
    wait_for_all: bool = False
    parent_key: str = ""


def longest_grace(ttl: float, max_drift: float) -> float:
    """The longest `--grace` for leases of `ttl` seconds; negative if such a lease is too short for exec.

    A lease is trusted for `ttl × (1 - d)/(1 + d)` and renewed every third of the TTL. TERM comes no earlier than
    half-way between the next renewal and the end of the lease, so that a slow renewal does not stop the command.
    """
    trusted = ttl * (1 - max_drift) / (1 + max_drift)
    return (trusted - ttl / 3) / 2 - KILL_MARGIN_SECONDS


def default_grace(ttl: float, max_drift: float) -> float:
    """The `--grace` for leases of `ttl` seconds if none was set."""
    return min(MAX_DEFAULT_GRACE_SECONDS, longest_grace(ttl, max_drift))


def grace_mistake(grace: float | None, ttl: int, max_drift: float) -> tuple[str, str] | None:
    """The name of the setting that is impossible for exec with leases of `ttl` seconds, and why; None if all fits."""
    longest = longest_grace(ttl, max_drift)
    if longest < 0:
        return "max_drift", f"with a TTL of {ttl} seconds that leaves no time to stop a command; raise the TTL"
    if grace is not None and grace > longest:
        return "grace", f"a TTL of {ttl} seconds leaves at most {longest:.2f} seconds; shorten it, or raise the TTL"
    return None


def exec_config(arguments: Sequence[str], environ: Mapping[str, str]) -> ExecConfig:
    """The settings of `leasehold exec`. Raises ConfigError with every mistake."""
    own, command = _split_command(arguments)
    settings = open_settings("exec", _EXEC_SUMMARY, commands.EXEC, own, environ, " -- CMD [ARG…]")
    if not command:
        settings.mistakes.append("No command is given: write leasehold exec [options] -- CMD [ARG…].")
    config = sidecar_config(settings, environ, app=False)
    grace = settings.get(flags.GRACE)
    impossible = config.ttl and grace_mistake(grace, config.ttl, config.max_drift)
    if impossible:
        settings.add(*settings.seen[impossible[0]], impossible[1])
    choices = ExecConfig(
        replace(config, record=_exec_record(settings, environ, config.record)),
        command,
        grace,
        timeout=settings.get(flags.EXEC_TIMEOUT),
        once_per=settings.get(flags.ONCE_PER),
        wait_for_all=settings.get(flags.WAIT_FOR_ALL),
        parent_key=environ.get("LEASEHOLD_KEY", ""),
    )
    settings.finish()
    return choices


def _exec_record(settings: SettingsReader, environ: Mapping[str, str], record: Record) -> Record:
    """The record with an identity of this process's own, unless the user gave one.

    In the environment of exec's command, LEASEHOLD_IDENTITY is the exec's own: it was not given to this process.
    """
    name, text = settings.given(flags.EXEC_IDENTITY)
    inherited = name == flags.EXEC_IDENTITY.variable and environ.get("LEASEHOLD_KEY")
    if text is not None and name != flags.EXEC_IDENTITY.fallback and not inherited:
        return record
    # The process id tells a person which process it is; in containers it is often the same.
    return replace(record, identity=f"{record.identity[:_MAX_BASE]}-{os.getpid()}-{record.incarnation[:4]}")


_MAX_BASE: Final = 200
_EXEC_SUMMARY: Final = (
    "Run a command only while leading; stop its whole process tree before the lease ends, and give the lock up after "
    "that. When the command ends, processes that it left behind are stopped, unless --wait-for-all is given. Signals "
    "are passed on to the command. Exit code: the command's own (if a signal ends it, exec ends by the same signal; "
    "a shell shows 128 + n); 69 if --timeout has passed; 75 if the command was stopped because leadership ended; 126 "
    "or 127 if it cannot be run; 2 for settings."
)


def _split_command(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    words = list(arguments)
    cut = words.index("--") if "--" in words else len(words)
    return words[:cut], tuple(words[cut + 1 :])
