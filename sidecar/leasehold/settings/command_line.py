"""What the programs `leasehold` and `kubectl leasehold` have in common: commands, `--help`, errors as sentences.

Exit codes: 2 for settings that cannot be used, 75 if this process may open no more files, 141 if the reader of the
output has left; all others are the command's own. Ctrl-C ends a program by SIGINT (`base/interrupted.py`).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from leasehold import __version__
from leasehold.base.config_error import ConfigError
from leasehold.base.records import dataclass

USAGE_ERROR: Final = 2
NO_FILES_LEFT: Final = 75
"""EX_TEMPFAIL of sysexits.h."""
BROKEN_PIPE: Final = 141
_MAX_SHOWN: Final = 120


class Named(Protocol):
    """A command, as `--help` lists it."""

    @property
    def name(self) -> str:
        """The word that calls it."""

    @property
    def summary(self) -> str:
        """What it does, in half a line."""


C = TypeVar("C", bound=Named)


@dataclass(frozen=True, slots=True)
class Program(Generic[C]):
    """A program with sub-commands. `usage` follows its name in the help text, `purpose` is a sentence."""

    name: str
    usage: str
    purpose: str
    commands: tuple[C, ...]

    def run(self, words: Sequence[str], call: Callable[[C, Sequence[str]], int]) -> int:
        """Call the command that the first word names, with the other words; returns the exit code."""
        first = words[0] if words else "--help"
        if first in ("-h", "--help", "help"):
            sys.stdout.write(self.help())
            return 0 if words else USAGE_ERROR
        if first in ("-V", "--version", "version"):
            sys.stdout.write(f"{self.name} {__version__}\n")
            return 0
        command = next((one for one in self.commands if one.name == first), None)
        if command is None:
            names = ", ".join(one.name for one in self.commands)
            return report([f"There is no command {first[:_MAX_SHOWN]!r}; use one of {names}, or --help."])
        return _guarded(lambda: call(command, words[1:]))

    def help(self) -> str:
        """What `--help` prints."""
        width = max(len(command.name) for command in self.commands)
        return "\n".join(
            [
                f"usage: {self.name} {self.usage}",
                "",
                self.purpose,
                "",
                "commands:",
                *(f"  {command.name:{width}}  {command.summary}" for command in self.commands),
                "",
                f"{self.name} COMMAND --help lists a command's options; {self.name} --version prints the version.",
                "",
            ]
        )


def _guarded(call: Callable[[], int]) -> int:
    """The exit code of `call`, or of what it raised."""
    try:
        code = call()
        sys.stdout.flush()
    except ConfigError as error:
        return report(error.mistakes)
    except BrokenPipeError:  # the reader of our output has left, as `head` does; Python would fail once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return _no_files_left(error)
    return code


def _no_files_left(error: OSError) -> int:
    limit = f"this process may have {os.sysconf('SC_OPEN_MAX')}: raise its limit (ulimit -n)"
    what = limit if error.errno == errno.EMFILE else "the machine has no more (fs.file-max)"
    sys.stderr.write(f"leasehold: too many files are open: {what}.\n")
    return NO_FILES_LEFT


def report(mistakes: Sequence[str]) -> int:
    """Print these sentences on stderr; returns the exit code for a usage error."""
    for mistake in mistakes:
        sys.stderr.write(f"leasehold: {mistake}\n")
    return USAGE_ERROR


@contextmanager
def optional_dependencies(who: str, extra: str) -> Iterator[None]:
    """Imports of packages that only the extra `extra` installs. Raises ConfigError if one is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "leasehold").partition(".")[0]
        if missing == "leasehold":  # a bug of ours
            raise
        raise ConfigError([f"{who} needs {missing}: install it with pip install 'leasehold[{extra}]'."]) from None
