"""The rows of a check: what was looked at, how it is, and the cure. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leasehold.base.terminal import one_line

OK_CODE: Final = 0
FOUND_CODE: Final = 1
_MEASURED: Final = re.compile(r"[\d.,]+ (?:ms|s|min|h|days?|[kMG]i?B|%)(?!\w)")
"""A time or a size: it differs from look to look."""


class Level(StrEnum):
    """How one row is. `UNKNOWN`: it could not be asked."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


_SIGNS: Final = {Level.OK: "√", Level.WARNING: "‼", Level.FAILED: "×", Level.UNKNOWN: "?"}


@dataclass(frozen=True, slots=True)
class Row:
    """One check. `about` is what was looked at; `found` says how it is, and `cure` what to do unless it is well."""

    section: str
    check: str
    """A word for programs, such as `etcd-alarms`."""
    level: Level
    found: str
    cure: str = ""
    about: str = ""


def unasked(section: str, check: str, why: str, cure: str = "", about: str = "") -> Row:
    """A row for what could not be asked, and why. It is about what `check` names unless `about` says more.

    Unless `cure` says what to do, that follows from the reason.
    """
    found = f"could not be asked: {why.rstrip('.')}"
    return Row(section, check, Level.UNKNOWN, found, cure or _way_to_ask(why), about or check)


_WAYS_TO_ASK: Final = {
    "You may not": "ask for that right, or have somebody check who has it",
    "log in": "log in, and check again",
}
"""What to do before one can ask, by a part of the reason."""


def _way_to_ask(why: str) -> str:
    otherwise = "see whether it runs, is busy or is cut off, and check again"
    return next((way for part, way in _WAYS_TO_ASK.items() if part in why), otherwise)


def exit_code(rows: Iterable[Row]) -> int:
    """1 if anything failed or could not be asked; warnings alone are 0."""
    return FOUND_CODE if any(row.level in (Level.FAILED, Level.UNKNOWN) for row in rows) else OK_CODE


def key(rows: Iterable[Row]) -> object:
    """What changes when the findings do, and not with each figure in them."""
    return tuple((row.check, row.about, row.level, _MEASURED.sub("", _found(row))) for row in rows)


def _found(row: Row) -> str:
    return row.found if row.level is not Level.OK else ""


def as_text(rows: Sequence[Row]) -> str:
    """The rows for people, section by section, with a last line that counts them."""
    lines: list[str] = []
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            lines += ["", section, "-" * len(section)] if lines else [section, "-" * len(section)]
        about = f"{row.about}: " if row.about else ""
        lines.append(f"{_SIGNS[row.level]} {one_line(about + row.found)}")
        if row.cure:
            lines.append(f"    {one_line(row.cure)}")
    return "\n".join([*lines, "", _summary(rows)]) + "\n"


def _summary(rows: Sequence[Row]) -> str:
    counts = {level: sum(row.level is level for row in rows) for level in Level}
    if counts[Level.OK] == len(rows):
        return "All is well."
    words = [f"{counts[level]} {word}" for level, word in _COUNTED.items() if counts[level]]
    return f"{', '.join(words)}; {counts[Level.OK]} ok."


_COUNTED: Final = {Level.FAILED: "failed", Level.WARNING: "to be looked at", Level.UNKNOWN: "not asked"}


def as_json(rows: Sequence[Row]) -> str:
    """The rows for programs."""
    fields = [
        {
            "section": row.section,
            "check": row.check,
            "level": str(row.level),
            "about": row.about,
            "found": row.found,
            "cure": row.cure,
        }
        for row in rows
    ]
    return json.dumps({"ok": exit_code(rows) == OK_CODE, "rows": fields}, indent=2) + "\n"
