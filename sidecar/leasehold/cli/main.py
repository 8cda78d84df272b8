"""The command line: finds the command, and turns its mistakes into sentences and exit codes.

Each command is a function `(arguments, environ) -> exit code` in a module that is imported only when needed.
Exit codes: 0 done, 2 settings that cannot be used, 130 interrupted by Ctrl-C; others are the command's own.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from leasehold import __version__
from leasehold.cli.lazy_modules import postpone
from leasehold.settings.options import ConfigError

Function = Callable[[Sequence[str], Mapping[str, str]], int]

USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


@dataclass(frozen=True, slots=True)
class Command:
    """A sub-command and the function that is it."""

    name: str
    summary: str
    module: str
    function: str = "main"


COMMANDS: Final = (
    Command("run", "stand for a lock and answer GET /leader: the sidecar", "leasehold.cli.main", "run"),
    Command("exec", "run a command only while leading", "leasehold.exec.supervisor"),
    Command("wait", "block until this pod leads, then print its fencing token", "leasehold.cli.wait"),
    Command("status", "print a lock's queue from etcd", "leasehold.candidate.queue_status"),
    Command("replay", "print or check what a sidecar's flight record tells", "leasehold.cli.replay"),
    Command("operator", "turn Lock resources into etcd keys, and report who holds them", "leasehold.cli.operator"),
    Command("injector", "give labelled pods their sidecar: the webhook", "leasehold.cli.injector"),
    Command("demo", "watch a real failover on an etcd of its own", "leasehold.cli.main", "demo"),
)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that the arguments name; returns the exit code."""
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if arguments else USAGE_ERROR
    if first in ("-V", "--version", "version"):
        sys.stdout.write(f"leasehold {__version__}\n")
        return 0
    command = next((c for c in COMMANDS if c.name == first), None)
    if command is None:
        return _complain([_unknown(first)])
    return _call(command, arguments[1:], environ)


def _call(command: Command, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    postpone()
    try:
        code = _load(command)(arguments, environ)
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(error.mistakes)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _load(command: Command) -> Function:
    function: Function = getattr(importlib.import_module(command.module), command.function)
    return function


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold run`."""
    from leasehold.settings import config

    settings = config.run_config(arguments, environ)
    from leasehold import logs
    from leasehold.run import app  # asyncio, aiohttp and grpclib: not before the settings are known to be good

    logs.configure(settings.log)
    logs.warn(settings.warnings)

    return app.run(settings)


def demo(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold demo`, which needs the optional dependencies of the extra of that name."""
    try:
        from leasehold import demo as tour
    except ModuleNotFoundError as error:
        if (error.name or "leasehold").partition(".")[0] == "leasehold":
            raise
        return _complain([f"The demo needs {error.name}: install it with pip install 'leasehold[demo]'."])
    return tour.main(list(arguments))


def _complain(mistakes: Sequence[str]) -> int:
    for mistake in mistakes:
        sys.stderr.write(f"leasehold: {mistake}\n")
    return USAGE_ERROR


def _unknown(word: str) -> str:
    names = ", ".join(command.name for command in COMMANDS)
    return f"There is no command {word[:120]!r}; use one of {names}, or --help."


def _help() -> str:
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:{width}}  {command.summary}" for command in COMMANDS]
    return "\n".join(
        [
            "usage: leasehold COMMAND [options]",
            "",
            "Leasehold elects one pod to lead, by a leased key in etcd.",
            "",
            "commands:",
            *lines,
            "",
            "leasehold COMMAND --help lists a command's options; leasehold --version prints the version.",
            "",
        ]
    )
