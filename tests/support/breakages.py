"""Ways to break things, each with what finds it: a step breaks, waits to be found, and cures it as it was told to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

P = TypeVar("P")
Row = dict[str, Any]
"""One row of `check`, as its JSON has it."""
Act = Generator[None, Row, None]


@dataclass(frozen=True)
class Breakage(Generic[P]):
    """`check` names the row that finds it, `cure` is a part of what that row says to do.

    `reason` is what the sidecar, or the Lock's status, says of it. `act` breaks things in the place until it yields,
    takes the row, and does what the row says.
    """

    check: str
    reason: str
    cure: str
    act: Callable[[P], Act]

    def cured(self, steps: Act, row: Row) -> None:
        """Let it be cured by what this row says."""
        assert self.cure in row["cure"], row
        with suppress(StopIteration):
            steps.send(row)


def ways(found: list[Breakage[P]], check: str, reason: str, cure: str) -> Callable[[Callable[[P], Act]], None]:
    """Adds the decorated function as one more breakage."""

    def add(act: Callable[[P], Act]) -> None:
        found.append(Breakage(check, reason, cure, act))

    return add
