"""`kubectl-leasehold`, which kubectl runs as `kubectl leasehold`: finds the command, and turns errors into sentences.

Exit codes: 0 done; 1 not done: refused, out of reach, or not in time; 2 a mistake in the command line, no terminal to
confirm on, or the `plugin` extra is missing; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.kubectl.arguments import COMMANDS, PROGRAM, Arguments, Command, parse
from leasehold.settings.command_line import INTERRUPTED, Program, optional_dependencies, report

NOT_DONE: Final = 1
_PURPOSE: Final = "Shows Lock resources, and hands locks over, suspends, resumes and revokes them."


def script() -> int:
    """The installed program. Ctrl-C shows no traceback."""
    try:
        return main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return INTERRUPTED


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that the words name; returns the exit code."""
    program = Program(PROGRAM, "COMMAND [NAME] [options]", _PURPOSE, COMMANDS)
    return program.run(words, lambda command, rest: _call(command, rest, environ))


def _call(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> int:
    given = parse(command, words, environ)
    if given.shell:
        from leasehold.kubectl import shells

        sys.stdout.write(shells.SCRIPTS[given.shell])
        return 0
    if given.command == "revoke" and not given.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        return report(["There is no terminal to confirm this on: give --yes if it is meant."])
    with optional_dependencies(PROGRAM, "plugin"):
        return _ask_cluster(given)


def _ask_cluster(given: Arguments) -> int:
    """Run a command that needs the cluster. Only here is the client loaded."""
    from leasehold.kubectl.change import RefusedError
    from leasehold.kubectl.cluster import Cluster
    from leasehold.kubectl.commands import FUNCTIONS
    from leasehold.kubectl.errors import ClusterError

    try:
        cluster = Cluster(given.cluster_ref, given.request_timeout)
        try:
            return FUNCTIONS[given.command](cluster, given)
        finally:
            cluster.close()
    except (ClusterError, RefusedError) as error:
        sys.stdout.flush()
        report([str(error)])
        return NOT_DONE


if __name__ == "__main__":
    sys.exit(script())
