"""A flag and a command of `kubectl leasehold`: what the parser, `--help` and completion are made from. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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
