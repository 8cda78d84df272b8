"""The command line of `leasehold`: finds the command, and turns its errors into sentences and exit codes.

Each command is a function `(arguments, environ) -> exit code` in a module that is imported only when needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from leasehold.base.records import dataclass
from leasehold.cli.lazy_modules import install_lazy_modules
from leasehold.settings.command_line import Program

Function = Callable[[Sequence[str], Mapping[str, str]], int]


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command, and where its function is."""

    name: str
    summary: str
    module: str
    function: str = "main"


COMMANDS: Final = (
    Command("run", "queue for a lock and answer GET /leader: the sidecar", "leasehold.cli.commands", "run"),
    Command("exec", "run a command only while leading", "leasehold.exec.supervisor"),
    Command("wait", "block until this pod leads, then print its fencing token", "leasehold.cli.wait"),
    Command("status", "print a lock's queue from etcd", "leasehold.cli.status"),
    Command("check", "say what is wrong with etcd and its locks, why, and what to do", "leasehold.cli.check"),
    Command("ui", "serve a page that shows all locks of an etcd, live", "leasehold.cli.commands", "ui"),
    Command("replay", "print or check what a sidecar's flight record tells", "leasehold.cli.replay"),
    Command(
        "restore-check",
        "find, or delete, the candidates that a restored etcd brought back",
        "leasehold.cli.restore_check",
    ),
    Command(
        "operator",
        "turn Lock resources into etcd keys, and report who holds them",
        "leasehold.cli.commands",
        "operator",
    ),
    Command("injector", "give labelled pods their sidecar: the webhook", "leasehold.cli.commands", "injector"),
    Command("demo", "watch a real failover on an etcd of its own", "leasehold.cli.commands", "demo"),
)
PROGRAM: Final = Program(
    "leasehold", "COMMAND [options]", "Leasehold elects one pod to lead, by a leased key in etcd.", COMMANDS
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that the arguments name; returns the exit code."""
    return PROGRAM.run(arguments, lambda command, rest: _call(command, rest, environ))


def _call(command: Command, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    install_lazy_modules()
    return _load(command)(arguments, environ)


def _load(command: Command) -> Function:
    function: Function = getattr(importlib.import_module(command.module), command.function)
    return function
