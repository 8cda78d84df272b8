"""Settings of a command: each is a flag, or a `LEASEHOLD_*` variable of the same name; the flag goes first.

`SettingsReader` reads them and collects all mistakes before it reports them, so that a user can fix them all at once.
An empty variable counts as not set, because a missing value in a template becomes an empty variable.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from leasehold.base.config_error import ConfigError
from leasehold.base.records import dataclass
from leasehold.base.sentence_parser import SentenceParser

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PREFIX: Final = "LEASEHOLD_"
SET_FOR_CHILDREN: Final = ("LEASEHOLD_TOKEN", "LEASEHOLD_KEY", "LEASEHOLD_EVENT", "LEASEHOLD_LEADER")
"""Variables of exec's command and of hooks: they are set if one of those starts leasehold again."""

# Variables that Kubernetes sets for Services whose name starts with "leasehold": they are no settings.
_INJECTED = re.compile(
    r"LEASEHOLD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_UNRESOLVED = re.compile(r"\$\([A-Z_][A-Z0-9_]*\)")
_CREDENTIALS = re.compile(r"//[^/?#]*@")
_MAX_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Option(Generic[T_co]):
    """One setting. `read` turns its text into the value, or raises ValueError that says how to fix it.

    `fallback` is a variable of the pod that is used if neither the flag nor its own variable is set.
    """

    flag: str
    metavar: str
    help: str
    read: Callable[[str], T_co]
    default: T_co
    fallback: str = ""
    switch: bool = False
    resolved: bool = True
    """Whether a `$(NAME)` in the text can only be one that Kubernetes failed to replace."""

    @property
    def variable(self) -> str:
        """The environment variable with the same meaning as the flag."""
        return PREFIX + self.dest.upper()

    @property
    def dest(self) -> str:
        """The setting's name in code: the flag's, without dashes."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Group:
    """Options under one heading of `--help`."""

    title: str
    options: tuple[Option[object], ...]


class Given(NamedTuple):
    """A setting as the user wrote it: the name of the flag or variable, and its text, or the default's."""

    name: str
    text: str


def sentence(name: str, text: str, what: str) -> str:
    """A mistake as a sentence: passwords in URLs are hidden, control characters escaped, long texts cut."""
    shown = _CREDENTIALS.sub("//…@", text)
    if len(shown) > _MAX_SHOWN:
        shown = shown[:_MAX_SHOWN] + "…"
    return f"{name} is {shown!r}: {what.rstrip('.')}."


class SettingsReader:
    """Reads the settings of one command. `mistakes` collects what was wrong with the values read so far."""

    def __init__(self, flags: Mapping[str, object], environ: Mapping[str, str], mistakes: Sequence[str] = ()) -> None:
        self._flags = flags
        self._environ = environ
        self.mistakes = list(mistakes)
        self.seen: dict[str, Given] = {}
        self._invalid: set[str] = set()

    def get(self, option: Option[T]) -> T:
        """The option's value; after a mistake its default, so that the next option can be read."""
        name, text = self.given(option)
        self.seen[option.dest] = Given(name, _shown(option.default) if text is None else text)
        if text is None:
            return option.default
        try:
            _check_resolved(option, text)
            return option.read(text)
        except ValueError as error:
            self._invalid.add(option.dest)
            self.add(name, text, str(error))
            return option.default

    def is_invalid(self, option: Option[T]) -> bool:
        """Whether the option's text was a mistake: relations to other options then mean nothing."""
        return option.dest in self._invalid

    def given(self, option: Option[T]) -> tuple[str, str | None]:
        """The name under which the option was given, and its text; the flag's name and None if it was not."""
        flag = self._flags.get(option.dest)
        if flag is not None:
            return option.flag, str(flag)
        for variable in (option.variable, option.fallback):
            if variable and self._environ.get(variable):
                return variable, self._environ[variable]
        return option.flag, None

    def add(self, name: str, text: str, what: str) -> None:
        """Note a mistake, to be reported with the others."""
        self.mistakes.append(sentence(name, text, what))

    def finish(self) -> None:
        """Raise ConfigError if there was any mistake."""
        if self.mistakes:
            raise ConfigError(self.mistakes)


def _shown(default: object) -> str:
    """A default as the user would write it."""
    if isinstance(default, tuple):
        return (":" if any(isinstance(part, int) for part in default) else ",").join(map(str, default))
    return "" if default is None else str(default)


def _check_resolved(option: Option[T], text: str) -> None:
    missing = _UNRESOLVED.search(text) if option.resolved else None
    if missing:
        raise ValueError(f"Kubernetes could not fill in {missing[0]}; define that variable above its use")


def parser(command: str, summary: str, groups: Sequence[Group], usage: str = "") -> argparse.ArgumentParser:
    """The parser of one command; it splits words and prints help, `SettingsReader` reads the values."""
    made = SentenceParser(
        prog=f"leasehold {command}",
        usage=f"leasehold {command} [options]{usage}",
        description=summary,
        epilog=_of_variables([option for group in groups for option in group.options]),
        allow_abbrev=False,
    )
    for group in groups:
        section = made.add_argument_group(group.title)
        for option in group.options:
            _add(section, option)
    return made


def _of_variables(options: Sequence[Option[object]]) -> str:
    """What variables are for, by one of the command's own flags: one of two words, if there is one."""
    shown = next((option for option in options if "_" in option.dest), options[0])
    return f"Each flag has a variable, which it overrides: {shown.flag} has {shown.variable}."


def _add(section: argparse._ArgumentGroup, option: Option[object]) -> None:
    text = option.help.replace("%", "%%")
    if option.switch:
        section.add_argument(option.flag, dest=option.dest, action=argparse.BooleanOptionalAction, help=text)
    else:
        section.add_argument(option.flag, dest=option.dest, metavar=option.metavar, help=text)


def read_flags(made: argparse.ArgumentParser, arguments: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Split the arguments. Unknown ones are returned as mistakes; a flag without value raises ConfigError."""
    known, unknown = made.parse_known_args(list(arguments))
    flags = [
        flag for action in made._actions for flag in action.option_strings
    ]  # there is no public list of a parser's flags
    return vars(known), [_unknown(word, flags) for word in unknown]


def _unknown(word: str, flags: Sequence[str]) -> str:
    flag = word.partition("=")[0]
    kind = "option" if word.startswith("-") else "argument"
    meant = _closest(flag, flags) if kind == "option" else ""
    return f"There is no {kind} {flag[:_MAX_SHOWN]!r}" + (f"; {meant} may be meant." if meant else "; see --help.")


def _closest(word: str, words: Sequence[str]) -> str:
    import difflib  # only needed for an error message

    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.75)), "")


def unknown_variables(environ: Mapping[str, str], known: Sequence[Option[object]]) -> list[str]:
    """A warning for each LEASEHOLD_* variable that is neither a setting nor set by Kubernetes for a Service."""
    names = [option.variable for option in known]
    found = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in (*names, *SET_FOR_CHILDREN) and not _INJECTED.fullmatch(name):
            meant = _closest(name, names)
            found.append(
                f"{name} is no setting of leasehold and is ignored" + (f"; {meant} may be meant." if meant else ".")
            )
    return found
