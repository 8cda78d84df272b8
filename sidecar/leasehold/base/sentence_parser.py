"""argparse whose mistakes are one sentence each, as every other mistake in a command line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from leasehold.base.config_error import ConfigError

_MAX_SHOWN = 120


class SentenceParser(argparse.ArgumentParser):
    """Raises ConfigError with one sentence, instead of printing the usage and ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise ConfigError([_sentence(message)])


def _sentence(message: str) -> str:
    """argparse's message as a sentence; one about a flag begins with the flag's long name."""
    if message.startswith("unrecognized arguments: "):
        return f"There is no option or argument {message.partition(': ')[2][:_MAX_SHOWN]!r} here; see --help."
    if message.startswith("the following arguments are required: "):
        return f"{message.partition(': ')[2]} is missing; see --help."
    flag, _, rest = message.removeprefix("argument ").partition(": ")
    flag = flag.rpartition("/")[2] if rest else flag
    rest = {"expected one argument": "it needs a value after it"}.get(rest, rest)
    return f"{flag}: {rest}." if rest else f"{flag}."
