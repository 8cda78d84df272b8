"""`leasehold exec`: run a command only while leading.

This process joins the lock's queue, as `leasehold run` does. When it holds the lock, its guardian (`guardian.py`)
starts the command, and stops the whole process tree before the lease deadline even if this process is frozen or killed.
The lock is given up only when no process of the tree is left; until then the lease is kept alive, however long that
takes.

Exit codes: the command's own; 69 if `--timeout` has passed; 75 if the command was stopped because leadership or the
guardian's protection ended; 126 or 127 if it cannot be run; 2 for settings. If a signal ends the command, or the wait,
this process ends by the same signal, as `sudo` and `timeout` do, because only that ends a shell's loop; a shell shows
128 + n for it. Where the kernel does not let it, as a container's first process, its exit code is 128 + n.

Signals are passed on to the command, except those that the terminal sends to the whole job. Ctrl-Z cannot suspend a
command, because its lease would end. An earlier term is never resumed: its command died with the process that held it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from leasehold.base import logs
from leasehold.base.config_error import ConfigError
from leasehold.exec import process_tree
from leasehold.exec.execution import LOST, Execution
from leasehold.exec.guardian import NOT_EXECUTABLE, NOT_FOUND
from leasehold.exec.guardian_link import GuardianError, GuardianLink
from leasehold.exec.signals import SignalReader, die_of, handled
from leasehold.exec.terminal import Terminal, hold_standard_streams
from leasehold.run import lean_imports
from leasehold.settings.exec import KILL_MARGIN_SECONDS, ExecConfig, exec_config

_log = logging.getLogger("leasehold.supervisor")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`leasehold exec`. Raises ConfigError."""
    try:
        return _main(arguments, environ)
    except KeyboardInterrupt:  # before our own handling of signals
        return die_of(signal.SIGINT)


def _main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    hold_standard_streams()
    config = exec_config(arguments, environ)
    unusable = find_program(config.command[0], environ)
    if unusable:
        code, what = unusable
        sys.stderr.write(f"leasehold: {config.command[0]!r} {what}.\n")
        return code
    if not sys.platform.startswith("linux"):
        raise ConfigError(["leasehold exec needs Linux: elsewhere it cannot be sure to stop a whole process tree."])
    if process_tree.read(os.getpid()) is None:
        raise ConfigError(["leasehold exec needs /proc: without it, it cannot find process trees; mount it."])
    logs.configure(config.sidecar.log.level, config.sidecar.log.format)
    logs.warn(config.sidecar.warnings)
    code = asyncio.run(_supervise(config, environ))
    return die_of(-code) if code < 0 else code


def find_program(name: str, environ: Mapping[str, str]) -> tuple[int, str] | None:
    """Why a program cannot be run, as exit code and words; None if only trying can show it."""
    path = environ.get("PATH", os.defpath)
    if shutil.which(name, path=path):
        return None
    places = [Path(name)] if "/" in name else [Path(part or ".") / name for part in path.split(os.pathsep)]
    if any(place.exists() for place in places):
        return NOT_EXECUTABLE, "cannot be run: it is a directory, or not executable for this user"
    return NOT_FOUND, "is not there: name a program on PATH, or its path"


async def _supervise(config: ExecConfig, environ: Mapping[str, str]) -> int:
    if config.sidecar.app_health is None:  # whose probes need aiohttp's client
        lean_imports.import_lean()
    from leasehold.run import app  # aiohttp and gRPC: not before the settings are known to be good

    process_tree.become_subreaper()
    changed = asyncio.Event()
    guardian = GuardianLink(changed.set)
    terminal = Terminal()
    execution = Execution(config, guardian, terminal, changed)
    signals = SignalReader(handled(), execution.signalled)
    lock, identity = str(config.sidecar.lock), config.sidecar.record.identity
    try:
        named = {**environ, "LEASEHOLD_LOCK": lock, "LEASEHOLD_IDENTITY": identity}
        await guardian.start(
            config.command, named, KILL_MARGIN_SECONDS, shared=terminal.present, mask=signals.mask_before
        )
        async with app.composed(config.sidecar, external_drain=True) as sidecar:
            return await execution.run(sidecar)
    except GuardianError as error:
        sys.stderr.write(f"leasehold: {error}.\n")
        return LOST
    finally:
        await guardian.close()
        signals.close()
        terminal.take_back()
