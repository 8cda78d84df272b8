"""`kubectl-leasehold`, which kubectl runs as `kubectl leasehold`: finds the command, and tells errors in a sentence.

Exit codes: 0 done; 1 not done: refused, out of reach, or not so within the time; 2 a mistake in the command line, no
terminal to confirm on, or the `operator` extra is missing; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold import __version__
from leasehold.kubectl.arguments import COMMANDS, PROGRAM, Arguments, Command, parse
from leasehold.settings.options import ConfigError

NOT_DONE: Final = 1
USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def script() -> int:
    """The installed program. Ctrl-C shows no traceback."""
    try:
        return main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return INTERRUPTED


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that the words name; returns the exit code."""
    first = words[0] if words else "--help"
    if first in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return 0 if words else USAGE_ERROR
    if first in ("-V", "--version", "version"):
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    command = next((one for one in COMMANDS if one.name == first), None)
    if command is None:
        names = ", ".join(one.name for one in COMMANDS)
        return _complain([f"There is no command {first[:120]!r}; use one of {names}, or --help."])
    return _call(command, words[1:], environ)


def _call(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        given = parse(command, words, environ)
        code = _run(given)
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(error.mistakes)
    except BrokenPipeError:  # whoever read our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _run(given: Arguments) -> int:
    if given.shell:
        from leasehold.kubectl import shells

        sys.stdout.write(shells.SCRIPTS[given.shell])
        return 0
    if given.command == "revoke" and not given.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        return _complain(["There is no terminal to confirm this on: give --yes if it is meant."])
    try:
        return _ask(given)
    except ModuleNotFoundError as error:
        missing = (error.name or "leasehold").partition(".")[0]
        if missing == "leasehold":
            raise
        return _complain([f"{PROGRAM} needs {missing}: install it with pip install 'leasehold[operator]'."])


def _ask(given: Arguments) -> int:
    """Run a command that asks the cluster. Only here is the client loaded."""
    from leasehold.kubectl.change import RefusedError
    from leasehold.kubectl.cluster import Cluster
    from leasehold.kubectl.commands import FUNCTIONS
    from leasehold.kubectl.errors import ClusterError

    try:
        cluster = Cluster(given.place, given.request_timeout)
        try:
            return FUNCTIONS[given.command](cluster, given)
        finally:
            cluster.close()
    except (ClusterError, RefusedError) as error:
        sys.stdout.flush()
        _complain([str(error)])
        return NOT_DONE


def _complain(mistakes: Sequence[str]) -> int:
    for mistake in mistakes:
        sys.stderr.write(f"leasehold: {mistake}\n")
    return USAGE_ERROR


def usage() -> str:
    """What `--help` prints."""
    width = max(len(command.name) for command in COMMANDS)
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [NAME] [options]",
            "",
            "Shows Lock resources, and hands locks over, suspends, resumes and revokes them.",
            "",
            "commands:",
            *(f"  {command.name:{width}}  {command.summary}" for command in COMMANDS),
            "",
            f"{PROGRAM} COMMAND --help lists a command's options; {PROGRAM} --version prints the version.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(script())
