"""The commands of `kubectl leasehold` and their own flags: one table for the parser, `--help` and completion.

All imports here are quick: mistakes and `--help` answer at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from leasehold.kubectl import values
from leasehold.kubectl.flag import Command, Flag
from leasehold.lock.keys import DEFAULT_ROOT
from leasehold.settings import commands
from leasehold.settings import flags as shared
from leasehold.settings.options import Option
from leasehold.settings.parsers import one_of

FORMATS: Final = ("table", "wide", "json", "yaml", "name")
DATA_FORMATS: Final = ("table", "json", "yaml")
SHELLS: Final = ("bash", "zsh", "fish")

NAMESPACE: Final = Flag(
    ("-n", "--namespace"),
    "NAME",
    "the Lock's namespace (default: the context's)",
    values.namespace,
    completes="kubectl",
)
ALL_NAMESPACES: Final = Flag(("-A", "--all-namespaces"), "", "the Locks of all namespaces", default=False)
OUTPUT: Final = Flag(
    ("-o", "--output"),
    "FORMAT",
    f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} (default: text for people)",
    one_of(*FORMATS),
    completes="formats",
)
DATA_OUTPUT: Final = replace(
    OUTPUT,
    help=f"{', '.join(DATA_FORMATS[:-1])} or {DATA_FORMATS[-1]} (default: table)",
    read=one_of(*DATA_FORMATS),
    completes="data formats",
)
"""Of the commands whose result is not a Lock: it has no name, and no columns to add."""
REQUEST_TIMEOUT: Final = Flag(
    ("--request-timeout",),
    "DURATION",
    "longest wait for an answer; 0 for no limit (default: 15s)",
    values.request_timeout,
    15.0,
)
UP_TO_TOKEN: Final = Flag(
    ("--up-to-token",),
    "NUMBER",
    "only the holders up to this fencing token (default: all present holders)",
    values.token,
    0,
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

CLUSTER: Final = (NAMESPACE, REQUEST_TIMEOUT, OUTPUT)
CLUSTER_DATA: Final = (NAMESPACE, REQUEST_TIMEOUT, DATA_OUTPUT)
_ETCD_OPTIONS: Final = (*commands.ETCD_GROUP.options, shared.ROOT)


_OTHER_DEFAULTS: Final = {
    "--etcd": "members of etcd, comma-separated (default: LEASEHOLD_ETCD, else etcd is not asked)",
    "--root": f"prefix of all keys in etcd (default: describe takes that of the Lock's status, check {DEFAULT_ROOT})",
}
"""What is said of the flags whose defaults are not those of `leasehold status`."""


def _as_flag(option: Option[Any]) -> Flag:
    explained = _OTHER_DEFAULTS.get(option.flag, option.help)
    completes = "files" if "FILE" in option.metavar else ""
    return Flag((option.flag,), option.metavar, explained, default=None, completes=completes)


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
        CLUSTER_DATA,
        "From the Lock's status: it lasts as long as the Lock. GAP is how long nobody held the lock before a term; "
        "REQUESTED BY is the field manager that last set the field of spec which asked for its end.",
    ),
    Command(
        "handover",
        "ask the present holder to hand over, or prefer another",
        "NAME",
        (TO, UP_TO_TOKEN, WAIT, TIMEOUT, *CLUSTER),
        "The holder first stops leading, then drains and gives the lock up; it queues again, and leads again if nobody "
        "else waits.",
    ),
    Command("suspend", "let nobody hold the lock; those who wait stay queued", "NAME", CLUSTER),
    Command("resume", "end the suspension", "NAME", CLUSTER),
    Command(
        "revoke",
        "take the lock from a holder that does not react",
        "NAME",
        (UP_TO_TOKEN, YES, *CLUSTER),
        "Deletes the holder's key in etcd. A holder that is cut off may act as leader until its lease deadline: for "
        "up to one lease duration, two may lead at the same time.",
    ),
    Command(
        "wait",
        "wait until the lock is held, is free, or is held by one candidate",
        "NAME",
        (FOR, TIMEOUT, *CLUSTER),
    ),
    Command(
        "ui",
        "open the page of all locks, live, until Ctrl-C",
        "",
        (PORT, NO_OPEN, PAGE_NAMESPACE, REQUEST_TIMEOUT),
        "Forwards a port of this machine to the page in the cluster, which the chart has with ui.enabled=true. Needs "
        "the rights to list pods and to create pods/portforward there.",
    ),
    Command(
        "check",
        "what is wrong on the cluster or with one Lock, why, and what to do",
        "[NAME]",
        (WATCH, ALL_NAMESPACES, *CLUSTER_DATA, *ETCD),
        "Asks about Kubernetes, the operator, the injector, rights, Locks, workloads, pods and budgets; with NAME also "
        "that Lock's sidecars, with --etcd (or LEASEHOLD_ETCD) also etcd. It answers within 10 s; what cannot be "
        "asked is a row with the reason. Exit code 1 if a check failed, or could not be asked.",
    ),
    Command("completion", "print the completion script of a shell", "SHELL", ()),
)
