"""A replayed step as text: the event, what it led to, and what has changed by it. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final

from leasehold.base.records import MISSING, fields, is_dataclass
from leasehold.candidate.record_codec import quoted
from leasehold.candidate.replay import Replayed

WIDTH: Final = 116


class StepText:
    """Writes steps. All floats in events, commands and snapshots are instants."""

    def __init__(self, instant: Callable[[float], str], prefix: str = "") -> None:
        """`instant` writes an instant of the election's clock. `prefix`, which all keys have, is written as `.../`."""
        self._instant = instant
        self._prefix = prefix

    def lines(self, step: Replayed) -> Iterator[str]:
        """The step's lines: its event, `>` a command, `=` what changed in the snapshot, `!` a fault."""
        head = f"{self._instant(step.at)}  {step.before.state.value:8}"
        yield from _wrapped(f"{head}  ", f"{type(step.event).__name__}{self._fields(step.event)}", len(head) + 4)
        for command in step.commands:
            yield from _wrapped(
                " " * len(head) + "  > ", f"{type(command).__name__}{self._fields(command)}", len(head) + 6
            )
        if changed := self._changes(step):
            yield from _wrapped(" " * len(head) + "  = ", changed, len(head) + 6)
        if step.raised:
            yield from _wrapped(" " * len(head) + "  ! ", f"raises {self._text(step.raised)}", len(head) + 6)
        for fault in step.faults:
            yield from _wrapped(" " * len(head) + "  ! ", fault, len(head) + 6)

    def _changes(self, step: Replayed) -> str:
        names = [field.name for field in fields(step.after)]
        pairs = [(name, getattr(step.before, name), getattr(step.after, name)) for name in names]
        return " ".join(f"{name}={self._value(new)}" for name, old, new in pairs if old != new)

    def _fields(self, value: Any) -> str:
        return "".join(f" {self._field(field.name, getattr(value, field.name))}" for field in _given(value))

    def _field(self, name: str, value: Any) -> str:
        if is_dataclass(value):
            return f"{name}({self._fields(value).strip()})"
        return f"{name}={self._value(value)}"

    def _value(self, value: Any) -> str:
        if is_dataclass(value):
            return f"({self._fields(value).strip()})"
        if isinstance(value, (tuple, frozenset)):
            ordered = sorted(value) if isinstance(value, frozenset) else value
            return "[" + " ".join(map(self._value, ordered)) + "]"
        if isinstance(value, Enum):
            return str(value.value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, float):
            return self._instant(value)
        return "none" if value is None else str(value).lower()

    def _text(self, text: str) -> str:
        if self._prefix and text.startswith(self._prefix):
            text = ".../" + text.removeprefix(self._prefix)
        return quoted(text)


def _given(value: Any) -> list[Any]:
    """The fields that do not have their default."""
    return [f for f in fields(value) if f.default is MISSING or getattr(value, f.name) != f.default]


def _wrapped(first: str, text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
