"""`kubectl_complete-leasehold`: completions for `kubectl leasehold`.

kubectl finds this program by its name, and runs it with the words after `kubectl leasehold`, the one to complete last.
The output is one choice per line, optionally with a tab and a description, and `:N` at the end: 4 means that
file names do not fit there, 0 that they do. Errors print nothing: they would only disturb the user's typing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from leasehold.kubectl import connection
from leasehold.kubectl.cluster_ref import ClusterRef, Login
from leasehold.kubectl.command_table import COMMANDS, DATA_FORMATS, FORMATS, REQUEST_TIMEOUT, SHELLS
from leasehold.kubectl.connection import command_first
from leasehold.kubectl.flag import Command, Flag

FILES, NO_FILES = 0, 4
Choice = tuple[str, str]
_TIMEOUT_SECONDS: Final = 5.0
"""For the cluster to answer."""


class Completions:
    """Names from the cluster and the kubeconfig. They are read only when needed, and empty after any error."""

    def __init__(self, ref: ClusterRef) -> None:
        self._ref = ref

    def values(self, flag: str) -> list[str]:
        """The values that kubectl offers for a flag of its own: contexts, clusters, users, namespaces."""
        from leasehold.kubectl.errors import MistakeError
        from leasehold.kubectl.kubectl_program import complete, find_kubectl

        try:
            return complete(find_kubectl(os.environ), self._ref.flags, flag)
        except MistakeError:
            return []

    def locks(self) -> list[str]:
        """The names of the namespace's Locks."""
        from leasehold.kubectl.cluster import Cluster
        from leasehold.kubectl.errors import ClusterError

        try:
            cluster = Cluster(self._ref, _TIMEOUT_SECONDS, Login.SILENT)
            with contextlib.closing(cluster):
                return [view.name.name for view in cluster.locks(cluster.namespace)]
        except (ClusterError, ValueError):
            return []


def main(words: Sequence[str], ask: Callable[[ClusterRef], Completions] = Completions) -> str:
    """The program's output for these words, the last of which is to be completed."""
    *before, last = command_first(words) or [""]
    choices, directive = _choices(before, last, ask)
    fitting = [choice for choice in choices if choice[0].startswith(last)]
    lines = [f"{word}\t{explained}" if explained else word for word, explained in fitting]
    return "\n".join([*lines, f":{directive}", ""])


def _choices(
    before: Sequence[str], last: str, ask: Callable[[ClusterRef], Completions]
) -> tuple[Iterable[Choice], int]:
    if not before:
        return [(command.name, command.summary) for command in COMMANDS], NO_FILES
    command = next((one for one in COMMANDS if one.name == before[0]), None)
    if command is None:
        return [], NO_FILES
    flags, ours, unfinished = connection.split(before[1:])
    given, arguments, open_flag = _read(command, ours)
    completions = ask(ClusterRef(flags, given.get("namespace", "")))
    name, equals, _ = last.partition("=")
    open_flag = unfinished or open_flag
    if open_flag is None and equals and (flag := _flag(command, name) or connection.find(name)):
        values, directive = _values(flag, completions)
        return [(f"{name}={word}", explained) for word, explained in values], directive
    if open_flag is not None:
        return _values(open_flag, completions)
    if last.startswith("-"):
        kubectls = connection.FLAGS if REQUEST_TIMEOUT in command.flags else ()
        return [(flag.names[-1], flag.help) for flag in (*command.flags, *kubectls)], NO_FILES
    return ([] if arguments else _arguments(command, completions)), NO_FILES


def _arguments(command: Command, completions: Completions) -> Iterable[Choice]:
    if command.takes == "SHELL":
        return [(shell, "") for shell in SHELLS]
    return [(name, "") for name in completions.locks()] if command.takes.strip("[]") == "NAME" else []


def _values(flag: Flag, completions: Completions) -> tuple[Iterable[Choice], int]:
    if flag.completes == "files":
        return [], FILES
    sources: Mapping[str, Callable[[], Iterable[str]]] = {
        "formats": lambda: FORMATS,
        "data formats": lambda: DATA_FORMATS,
        "goals": lambda: ("held", "free", "holder="),
        "kubectl": lambda: completions.values(flag.names[-1]),
    }
    return [(word, "") for word in sources.get(flag.completes, tuple)()], NO_FILES


def _read(command: Command, words: Sequence[str]) -> tuple[dict[str, str], list[str], Flag | None]:
    """The flags' values so far, the other words, and the flag that still needs its value."""
    given: dict[str, str] = {}
    arguments: list[str] = []
    waiting: Flag | None = None
    for word in words:
        name, equals, value = word.partition("=")
        if waiting is not None:
            given[waiting.dest] = word
            waiting = None
        elif not word.startswith("-"):
            arguments.append(word)
        elif (flag := _flag(command, name)) is not None and flag.metavar:
            waiting = None if equals else flag
            given[flag.dest] = value
    return given, arguments, waiting


def _flag(command: Command, name: str) -> Flag | None:
    return next((flag for flag in command.flags if name in flag.names), None)


def script() -> int:
    """The installed program."""
    try:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for the rest of this process
        sys.stdout.write(main(sys.argv[1:]))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stdout.write(f":{NO_FILES}\n")
    return 0


if __name__ == "__main__":
    sys.exit(script())
