"""`kubectl-leasehold`, which kubectl runs as `kubectl leasehold`: finds the command, and turns errors into sentences.

Exit codes: 0 done; 1 not done: refused, out of reach, or not in time; 2 a mistake in the command line (by kubectl's
judgement, if flags of kubectl are among it), no terminal to confirm on, or no kubectl. Ctrl-C ends it by SIGINT.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from leasehold.base.interrupted import die_of
from leasehold.kubectl.arguments import PROGRAM, Arguments, parse
from leasehold.kubectl.command_table import COMMANDS
from leasehold.kubectl.connection import command_first, warnings_are_errors
from leasehold.kubectl.flag import Command
from leasehold.settings.command_line import USAGE_ERROR, Program, optional_dependencies, report

NOT_DONE: Final = 1
_PURPOSE: Final = "Shows Lock resources, and hands locks over, suspends, resumes and revokes them."


def script() -> int:
    """The installed program. Ctrl-C ends it by SIGINT, without a traceback."""
    try:
        return main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return die_of(signal.SIGINT)


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command that the words name; returns the exit code."""
    program = Program(PROGRAM, "COMMAND [NAME] [options]", _PURPOSE, COMMANDS)
    return program.run(command_first(words), lambda command, rest: _call(command, rest, environ))


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
    """Run a command that needs the cluster. Only here is kubectl started."""
    from leasehold.kubectl.change import RefusedError
    from leasehold.kubectl.cluster import Cluster
    from leasehold.kubectl.cluster_ref import Login
    from leasehold.kubectl.commands import FUNCTIONS
    from leasehold.kubectl.errors import ClusterError, MistakeError

    try:
        login = Login.BRIEF if given.command == "check" else Login.PATIENT  # a check answers within its time
        cluster = Cluster(given.cluster_ref, given.request_timeout, login)
        try:
            code = FUNCTIONS[given.command](cluster, given)
            return _with_warnings(code, cluster.warnings, given)
        finally:
            cluster.close()
    except (ClusterError, RefusedError) as error:
        sys.stdout.flush()
        report([str(error)])
        return USAGE_ERROR if isinstance(error, MistakeError) else NOT_DONE


def _with_warnings(code: int, warnings: Sequence[str], given: Arguments) -> int:
    """The exit code, with --warnings-as-errors taken into account."""
    if code or not warnings or not warnings_are_errors(given.cluster_ref.flags):
        return code
    sys.stdout.flush()
    report([f"The API server sent {len(warnings)} warning{'s' if len(warnings) > 1 else ''}, shown above."])
    return NOT_DONE


if __name__ == "__main__":
    sys.exit(script())
