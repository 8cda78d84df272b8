"""kubectl's own flags: which there are, and how they are told from the plugin's. Pure.

The plugin does not interpret them. It hands them to a kubectl that it starts, so that they mean what they mean there.
The table only says which of them take a value. kubectl checks the values, and knows whether two of them agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from leasehold.kubectl.flag import Flag

_KUBECTL: Final = "kubectl"
"""kubectl itself completes the value."""

FLAGS: Final = (
    Flag(("--context",), "NAME", "context of the kubeconfig (default: its current one)", completes=_KUBECTL),
    Flag(("--kubeconfig",), "FILE", "kubeconfig (default: KUBECONFIG, else ~/.kube/config)", completes="files"),
    Flag(("--cluster",), "NAME", "cluster of the kubeconfig (default: the context's)", completes=_KUBECTL),
    Flag(("--user",), "NAME", "user of the kubeconfig (default: the context's)", completes=_KUBECTL),
    Flag(("--as",), "USER", "user to impersonate"),
    Flag(("--as-group",), "GROUP", "group to impersonate; may be repeated"),
    Flag(("--as-uid",), "UID", "UID to impersonate"),
    Flag(("--as-user-extra",), "KEY=VALUE", "extra field of the user to impersonate; may be repeated"),
    Flag(("-s", "--server"), "URL", "address of the API server"),
    Flag(("--proxy-url",), "URL", "proxy for the requests to the API server"),
    Flag(("--token",), "TOKEN", "bearer token for the API server"),
    Flag(("--username",), "NAME", "name for basic authentication"),
    Flag(("--password",), "PASSWORD", "password for basic authentication"),
    Flag(("--client-certificate",), "FILE", "client certificate for TLS", completes="files"),
    Flag(("--client-key",), "FILE", "client key for TLS", completes="files"),
    Flag(("--certificate-authority",), "FILE", "certificate of the API server's authority", completes="files"),
    Flag(("--tls-server-name",), "NAME", "name that the API server's certificate is checked for"),
    Flag(("--insecure-skip-tls-verify",), "", "do not check the API server's certificate"),
    Flag(("--disable-compression",), "", "ask for answers without compression"),
    Flag(("--match-server-version",), "", "require that kubectl and the API server have the same version"),
    Flag(("--warnings-as-errors",), "", "exit with 1 if the API server sent a warning"),
    Flag(("--cache-dir",), "DIRECTORY", "kubectl's cache", completes="files"),
    Flag(("--kuberc",), "FILE", "kubectl's preferences", completes="files"),
    Flag(("--profile",), "NAME", "what kubectl profiles of itself"),
    Flag(("--profile-output",), "FILE", "where kubectl writes that profile", completes="files"),
    Flag(("-v", "--v"), "LEVEL", "verbosity of kubectl's log"),
    Flag(("--vmodule",), "PATTERNS", "verbosity of kubectl's log by file"),
    Flag(("--log-flush-frequency",), "DURATION", "how often kubectl flushes its log"),
)
"""kubectl's global flags, as `kubectl options` lists them, but for those that the plugin reads as well: --namespace
and --request-timeout."""

_ALSO_READ_BY_THE_PLUGIN: Final = ("-n", "--namespace", "--request-timeout")
_IDENTIFYING: Final = ("context", "cluster", "user", "server", "as", "token", "username", "password", "kubeconfig")
_TRUSTING: Final = ("client-certificate", "client-key", "certificate-authority", "tls-server-name")
_WARNINGS_AS_ERRORS: Final = "--warnings-as-errors"
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")


def find(name: str) -> Flag | None:
    """kubectl's flag of this name, such as `-s` or `--server`."""
    return next((flag for flag in FLAGS if name in flag.names), None)


def split(words: Sequence[str]) -> tuple[tuple[str, ...], list[str], Flag | None]:
    """kubectl's flags among the words, each as `--name=value`; the other words; the last flag, if its value is missing.

    As in kubectl: a flag takes the next word, whatever that is; a switch takes none; nothing after `--` is a flag.
    """
    ours: list[str] = []
    kubectls: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return tuple(kubectls), [*ours, word, *rest], None
        flag, value = _read(word)
        if flag is None:
            ours.append(word)
            continue
        if value is None:
            value = next(rest, None) if flag.metavar else "true"
        if value is None:
            return tuple(kubectls), ours, flag
        kubectls.append(f"{flag.names[-1]}={value}")
    return tuple(kubectls), ours, None


def command_first(words: Sequence[str]) -> list[str]:
    """The words, with kubectl's flags that stand before the command behind it: kubectl takes them in any place."""
    rest, before = list(words), list[str]()
    while len(rest) > 1 and rest[0] != "--":
        name, equals, _ = rest[0].partition("=")
        flag, value = _read(rest[0])
        takes_value = name in _ALSO_READ_BY_THE_PLUGIN if flag is None else bool(flag.metavar)
        if flag is None and not takes_value:
            break
        count = 2 if takes_value and not equals and value is None else 1
        before += rest[:count]
        rest = rest[count:]
    return [*rest[:1], *before, *rest[1:]]


def _read(word: str) -> tuple[Flag | None, str | None]:
    """The flag that a word begins with, and the value that is part of the word."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return find(name), value if equals else None
    flag = find(word[:2])
    return flag, word[2:].removeprefix("=") if len(word) > 2 else None


def value_of(words: Iterable[str], name: str) -> str:
    """The value that counts of a flag in `--name=value` form: the last one; empty if it was not given."""
    values = [word.partition("=")[2] for word in words if word.startswith(f"--{name}=")]
    return values[-1] if values else ""


def warnings_are_errors(words: Iterable[str]) -> bool:
    """Whether --warnings-as-errors is in force."""
    return value_of(words, _WARNINGS_AS_ERRORS.removeprefix("--")) in _TRUE


def explicit(words: Sequence[str]) -> list[str]:
    """The words, with the empty value of each flag that says who asks whom, if it was not given.

    The user's kuberc may have defaults for the command that the plugin starts. They are no defaults of `kubectl patch`,
    and kubectl has none for a plugin: nothing may be done as somebody else because of them.
    """
    given = {word.partition("=")[0] for word in words}
    empty = [f"--{name}=" for name in (*_IDENTIFYING, *_TRUSTING) if f"--{name}" not in given]
    insecure = "--insecure-skip-tls-verify"
    return [*empty, *([] if insecure in given else [f"{insecure}=false"]), *words]
