"""`leasehold check`: what is wrong with etcd and the locks in it, why, and what to do about it.

Exit codes: 0 all is well, or there are only warnings; 1 something failed, or could not be asked; 2 for settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.check import rows
from leasehold.check.etcd_look import look
from leasehold.cli.live import Look, show
from leasehold.settings import commands, flags
from leasehold.settings.config import Target, open_settings, read_target
from leasehold.settings.connect import access

_SUMMARY: Final = (
    "Say what is wrong with etcd and the locks in it, why, and what to do: each member, its version, alarms, space, "
    "latency, clock and certificates, and one lock, or all. On a cluster, kubectl leasehold check asks more."
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold check`. Raises ConfigError."""
    settings = open_settings("check", _SUMMARY, commands.CHECKING, arguments, environ)
    target = read_target(settings)
    output, watch = settings.get(flags.OUTPUT), settings.get(flags.WATCH)
    settings.finish()
    return show(lambda: _check(target, output), watch=watch)


def _check(target: Target, output: str) -> Look:
    found = look(access(target.etcd), target.root, target.lock)
    text = rows.as_json(found) if output == "json" else rows.as_text(found)
    return Look(text, rows.exit_code(found), rows.key(found))
