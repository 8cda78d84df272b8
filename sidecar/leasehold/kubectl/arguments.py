"""The commands of `kubectl leasehold` and their flags: one table for the parser, `--help` and completion.

All imports here are quick: mistakes and `--help` answer at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from leasehold.kube.api import KUBECTL_NAMES
from leasehold.kubectl import values
from leasehold.kubectl.cluster_ref import ClusterRef
from leasehold.lock.names import LockName
from leasehold.settings import commands
from leasehold.settings import flags as shared
from leasehold.settings.config import EtcdConfig
from leasehold.settings.etcd import read_etcd
from leasehold.settings.options import ConfigError, Option, SettingsReader, argparse_sentence, sentence
from leasehold.settings.parsers import one_of

FORMATS: Final = ("table", "wide", "json", "yaml", "name")
SHELLS: Final = ("bash", "zsh", "fish")
PROGRAM: Final = "kubectl leasehold"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. Without `metavar` it is a switch. `completes` names the source of completions for its value."""

    names: tuple[str, ...]
    metavar: str
    help: str
    read: Callable[[str], Any] = str
    default: Any = ""
    completes: str = ""

    @property
    def dest(self) -> str:
        """The flag's name in code."""
        return self.names[-1].removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `takes` is its argument: "", `NAME`, `[NAME]` or `SHELL`."""

    name: str
    summary: str
    takes: str
    flags: tuple[Flag, ...]
    explained: str = ""


CONTEXT: Final = Flag(
    ("--context",), "NAME", "context of the kubeconfig (default: its current one)", completes="contexts"
)
KUBECONFIG: Final = Flag(
    ("--kubeconfig",), "FILE", "kubeconfig (default: KUBECONFIG, else ~/.kube/config)", completes="files"
)
NAMESPACE: Final = Flag(
    ("-n", "--namespace"),
    "NAME",
    "the Lock's namespace (default: the context's)",
    values.namespace,
    completes="namespaces",
)
ALL_NAMESPACES: Final = Flag(("-A", "--all-namespaces"), "", "the Locks of all namespaces", default=False)
OUTPUT: Final = Flag(
    ("-o", "--output"),
    "FORMAT",
    f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} (default: for people)",
    one_of(*FORMATS),
    completes="formats",
)
REQUEST_TIMEOUT: Final = Flag(
    ("--request-timeout",),
    "DURATION",
    "longest wait for an answer; 0 for no limit (default: 15s)",
    values.request_timeout,
    15.0,
)
TOKEN: Final = Flag(
    ("--token",), "TOKEN", "only the holders up to this fencing token (default: all present holders)", values.token, 0
)
TO: Final = Flag(
    ("--to",),
    "IDENTITY",
    "prefer this candidate, from now on: the holder hands over once it is in the queue; '' prefers nobody again",
    values.identity,
    None,
)
WAIT: Final = Flag(("--wait",), "", "wait until it is done", default=False)
TIMEOUT: Final = Flag(
    ("--timeout",), "DURATION", "how long to wait; 0: look once, negative: a week (default: 30s)", values.timeout, 30.0
)
WATCH: Final = Flag(("-w", "--watch"), "", "print it again when it has changed, until Ctrl-C", default=False)
FOR: Final = Flag(("--for",), "STATE", "held, free or holder=IDENTITY (default: held)", values.goal, "held", "goals")
YES: Final = Flag(("-y", "--yes"), "", "do not ask for confirmation", default=False)

PAGE_NAMESPACE: Final = replace(NAMESPACE, help="the namespace that Leasehold is installed in (default: look in all)")
PORT: Final = Flag(
    ("--port",), "PORT", "port of this machine to serve the page on (default: any free one)", values.port, 0
)
NO_OPEN: Final = Flag(("--no-open",), "", "print the page's address, and open no browser", default=False)

CLUSTER: Final = (NAMESPACE, CONTEXT, KUBECONFIG, REQUEST_TIMEOUT, OUTPUT)
_ETCD_OPTIONS: Final = (*commands.ETCD_GROUP.options, shared.ROOT)


def _as_flag(option: Option[Any]) -> Flag:
    return Flag(
        (option.flag,), option.metavar, option.help, default=None, completes="files" if "FILE" in option.metavar else ""
    )


ETCD: Final = tuple(_as_flag(option) for option in _ETCD_OPTIONS)

COMMANDS: Final = (
    Command("list", "the Locks, and who holds them", "", (WATCH, ALL_NAMESPACES, *CLUSTER)),
    Command(
        "describe",
        "one Lock: holders, conditions and history; with --etcd its whole queue",
        "NAME",
        (*CLUSTER, *ETCD),
        "The status shows who holds and how many wait. --etcd (or LEASEHOLD_ETCD) also reads the queue itself, with "
        "all waiters. The history is the Lock's Events, which the API server usually keeps for an hour.",
    ),
    Command(
        "history",
        "the last ten terms: who, when, why each ended, and who asked for that",
        "NAME",
        CLUSTER,
        "From the Lock's status: it lasts as long as the Lock. GAP is how long nobody held the lock before a term; "
        "REQUESTED BY is the field manager that last set the field of spec which asked for its end.",
    ),
    Command(
        "handover",
        "ask the present holder to hand over, or prefer another",
        "NAME",
        (TO, TOKEN, WAIT, TIMEOUT, *CLUSTER),
        "The holder first stops leading, then drains and gives the lock up; it queues again, and leads again if nobody "
        "else waits.",
    ),
    Command("suspend", "let nobody hold the lock; those who wait stay queued", "NAME", CLUSTER),
    Command("resume", "end the suspension", "NAME", CLUSTER),
    Command(
        "revoke",
        "take the lock from a holder that does not react",
        "NAME",
        (TOKEN, YES, *CLUSTER),
        "Deletes the holder's key in etcd. A holder that is cut off may act as leader until its lease deadline: for "
        "up to one lease duration, two may lead at the same time.",
    ),
    Command(
        "wait",
        "wait until the lock is held, free, or held by somebody",
        "NAME",
        (FOR, TIMEOUT, *CLUSTER),
    ),
    Command(
        "ui",
        "open the page of all locks, live, until Ctrl-C",
        "",
        (PORT, NO_OPEN, PAGE_NAMESPACE, CONTEXT, KUBECONFIG, REQUEST_TIMEOUT),
        "Forwards a port of this machine to the page in the cluster, which the chart has with ui.enabled=true. Needs "
        "the rights to list pods and to create pods/portforward there.",
    ),
    Command(
        "check",
        "what is wrong on the cluster or with one Lock, why, and what to do",
        "[NAME]",
        (WATCH, ALL_NAMESPACES, *CLUSTER, *ETCD),
        "Asks about Kubernetes, the operator, the injector, rights, Locks, workloads, pods and budgets; with NAME also "
        "that Lock's sidecars, with --etcd (or LEASEHOLD_ETCD) also etcd. It answers within 10 s; what cannot be "
        "asked is a row with the reason.",
    ),
    Command("completion", "print the completion script of a shell", "SHELL", ()),
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
    token: int = 0
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError([_mistake(message)])


def _mistake(message: str) -> str:
    """argparse's message as a sentence."""
    if message.startswith("unrecognized arguments: "):
        return f"There is no option or argument {message.partition(': ')[2][:120]!r} here; see --help."
    if message.startswith("the following arguments are required: "):
        return f"{message.partition(': ')[2]} is missing; see --help."
    return argparse_sentence(message)


def parse(command: Command, words: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """Read a command's arguments. Raises ConfigError with every mistake; `--help` prints and raises SystemExit(0)."""
    given = vars(parser(command).parse_args(list(words)))
    mistakes: list[str] = []
    found = {flag.dest: _value(flag, given[flag.dest], mistakes) for flag in command.flags if flag not in ETCD}
    name = _name(given["name"], mistakes) if command.takes.strip("[]") == "NAME" and given["name"] else ""
    shell = _read(one_of(*SHELLS), "SHELL", given["name"], "", mistakes) if command.takes == "SHELL" else ""
    if found.get("to") is not None and found.get("token"):
        mistakes.append("--to and --token cannot be used together: a preference concerns every holder.")
    etcd, root = _etcd(given, environ, mistakes) if ETCD[0] in command.flags else (None, "")
    if mistakes:
        raise ConfigError(mistakes)
    cluster_ref = ClusterRef(*(found.pop(field, "") for field in ("kubeconfig", "context", "namespace")))
    found["goal"] = found.pop("for", "held")
    return Arguments(command.name, cluster_ref, name=name, shell=shell, etcd=etcd, root=root, **found)


def parser(command: Command) -> argparse.ArgumentParser:
    """The parser of one command; it only splits words and prints help. Values are read by `parse`."""
    made = _Parser(
        prog=f"{PROGRAM} {command.name}",
        description=f"{command.summary[0].upper()}{command.summary[1:]}. {command.explained}",
        epilog="Exit codes: 0 done; 1 not done, or not so within the time; 2 a mistake in the command line.",
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
