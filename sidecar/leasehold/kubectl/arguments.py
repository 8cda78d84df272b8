"""The command line of `kubectl leasehold`, read: the plugin's own flags by argparse, kubectl's left to kubectl."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from leasehold.base.config_error import ConfigError
from leasehold.base.sentence_parser import SentenceParser
from leasehold.kubectl import connection, values
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.kubectl.command_table import ETCD, SHELLS, UP_TO_TOKEN
from leasehold.kubectl.flag import Command, Flag
from leasehold.lock.kube_names import KUBECTL_NAMES
from leasehold.lock.names import LockName
from leasehold.settings import flags as shared
from leasehold.settings.config import EtcdConfig
from leasehold.settings.etcd import read_etcd
from leasehold.settings.options import SettingsReader, sentence
from leasehold.settings.parsers import one_of

PROGRAM: Final = "kubectl leasehold"
_EPILOG: Final = (
    "kubectl's own flags, such as --context, --as or --server, mean what they mean there; `kubectl options` lists them."
    " Exit codes: 0 done; 1 not done, or not in time; 2 a mistake in the command line, or a flag that kubectl refuses."
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parsed command line. `output` is empty if it was not given; times are in seconds."""

    command: str
    cluster_ref: ClusterRef
    all_namespaces: bool = False
    name: str = ""
    output: str = ""
    request_timeout: float = 15.0
    to: str | None = None
    up_to_token: int = 0
    wait: bool = False
    timeout: float = 30.0
    goal: str = "held"
    yes: bool = False
    watch: bool = False
    shell: str = ""
    port: int = 0
    no_open: bool = False
    etcd: EtcdConfig | None = None
    root: str = ""
    """The root of the keys in etcd; empty if it was not given."""

    def lock(self, namespace: str) -> LockName:
        """The named Lock, in this namespace."""
        return LockName(namespace, self.name)


def parse(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Read a command's arguments. Raises ConfigError with every mistake; `--help` prints and raises SystemExit(0)."""
    kubectls, ours, unfinished = connection.split(words)
    given = vars(parser(command).parse_args(ours))
    mistakes = [f"{unfinished.names[-1]}: it needs a value after it."] if unfinished else []
    found = {flag.dest: _value(flag, given[flag.dest], mistakes) for flag in command.flags if flag not in ETCD}
    name = _name(given["name"], mistakes) if command.takes.strip("[]") == "NAME" and given["name"] else ""
    shell = _read(one_of(*SHELLS), "SHELL", given["name"], "", mistakes) if command.takes == "SHELL" else ""
    if found.get("to") is not None and found.get("up_to_token"):
        mistakes.append("--to and --up-to-token cannot be used together: a preference concerns every holder.")
    mistakes += _mistaken_token(command, kubectls)
    etcd, root = _etcd(given, environ, mistakes) if ETCD[0] in command.flags else (None, "")
    if mistakes:
        raise ConfigError(mistakes)
    if given.get("request_timeout") is not None:
        kubectls = (*kubectls, f"--request-timeout={given['request_timeout']}")
    found["goal"] = found.pop("for", "held")
    cluster_ref = ClusterRef(kubectls, found.pop("namespace", ""))
    return Arguments(command.name, cluster_ref, name=name, shell=shell, etcd=etcd, root=root, **found)


def _mistaken_token(command: Command, kubectls: Sequence[str]) -> list[str]:
    """A fencing token given as kubectl's --token, which is a bearer token."""
    token = connection.value_of(kubectls, "token")
    if UP_TO_TOKEN not in command.flags or not token.isdigit():
        return []
    return [
        sentence("--token", token, "it is kubectl's flag for a bearer token; name a fencing token by --up-to-token")
    ]


def parser(command: Command) -> argparse.ArgumentParser:
    """The parser of one command; it only splits words and prints help. Values are read by `parse`."""
    made = SentenceParser(
        prog=f"{PROGRAM} {command.name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}. {command.explained}",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    if command.takes:
        optional = command.takes.startswith("[")
        taken = command.takes.strip("[]")
        made.add_argument("name", metavar=taken, nargs="?" if optional else None, help=_TAKEN[taken])
    for flag in command.flags:
        explained = flag.help.replace("%", "%%")
        if flag.metavar:
            made.add_argument(*flag.names, dest=flag.dest, metavar=flag.metavar, help=explained)
        else:
            made.add_argument(*flag.names, dest=flag.dest, action="store_true", help=explained)
    return made


_TAKEN: Final = {"NAME": "the Lock's name", "SHELL": ", ".join(SHELLS)}


def _value(flag: Flag, given: Any, mistakes: list[str]) -> Any:
    if not isinstance(given, str):
        return given if given is not None else flag.default
    return _read(flag.read, flag.names[-1], given, flag.default, mistakes)


def _read(read: Callable[[str], Any], name: str, given: str, default: Any, mistakes: list[str]) -> Any:
    try:
        return read(given)
    except ValueError as error:
        mistakes.append(sentence(name, given, str(error)))
        return default


def _name(given: str, mistakes: list[str]) -> str:
    """A Lock's name, or TYPE/NAME as kubectl prints and accepts it."""
    kind, slash, name = given.rpartition("/")
    if slash and kind not in KUBECTL_NAMES:
        mistakes.append(sentence("NAME", given, "it is not a Lock's name; give the namespace with --namespace"))
        return "unnamed"
    return str(_read(values.lock_name, "NAME", name, "unnamed", mistakes))


def _etcd(given: Mapping[str, Any], environ: Mapping[str, str], mistakes: list[str]) -> tuple[EtcdConfig | None, str]:
    """How to reach etcd, if it was given; the variables are those of `leasehold status`."""
    settings = SettingsReader({flag.dest: given[flag.dest] for flag in ETCD}, environ)
    if settings.given(shared.ETCD)[1] is None:
        unused = [flag.names[0] for flag in ETCD if given[flag.dest] is not None]
        mistakes += [f"{name} is of no use without --etcd." for name in unused]
        return None, ""
    etcd, root = read_etcd(settings), settings.get(shared.ROOT)
    mistakes += settings.mistakes
    return etcd, root if settings.given(shared.ROOT)[1] is not None else ""
