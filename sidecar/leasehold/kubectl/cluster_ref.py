"""Which cluster to use, and as whom: the part of the command line that kubectl reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True, slots=True)
class ClusterRef:
    """kubectl's flags in `--name=value` form, in the order in which they were given, and the namespace, or ""."""

    flags: tuple[str, ...] = ()
    namespace: str = ""


class Login(Enum):
    """What a program that logs in may do."""

    PATIENT = auto()
    """Ask on the terminal, and take as long as it takes."""
    BRIEF = auto()
    """Ask, but within the time of the first requests."""
    SILENT = auto()
    """Not ask. It ends with kubectl."""
