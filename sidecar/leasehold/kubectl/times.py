"""Durations and ages as kubectl writes them. Pure: the time is an argument."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_DURATION: Final = re.compile(rf"[-+]?(({_PART.pattern})+|\d+)", re.ASCII)
_LONGEST_SECONDS: Final = 366 * 86400.0

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 90s, 1m30s or 1.5h; a bare number is seconds. Raises ValueError with a hint."""
    if not _DURATION.fullmatch(text):
        raise ValueError("write a number with its unit, such as 30s, 2m or 1h30m")
    digits = text.lstrip("+-")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(digits))
    seconds = float(digits) if digits.isdigit() else seconds
    if seconds > _LONGEST_SECONDS:
        raise ValueError("use at most a year")
    return -seconds if text.startswith("-") else seconds


def age(seconds: float) -> str:
    """A time span in at most two units. Slightly negative ones, from clocks that differ, show as 0s."""
    if not math.isfinite(seconds) or seconds <= -2:
        return "<invalid>"
    whole = max(0, int(seconds))
    for below, unit, name, finer, finer_name in _STEPS:
        if whole < below:
            rest = whole % unit // finer if finer else 0
            return f"{whole // unit}{name}" + (f"{rest}{finer_name}" if rest else "")
    return f"{whole // YEAR}y"


_STEPS: Final = (
    (2 * MINUTE, 1, "s", 0, ""),
    (10 * MINUTE, MINUTE, "m", 1, "s"),
    (3 * HOUR, MINUTE, "m", 0, ""),
    (8 * HOUR, HOUR, "h", MINUTE, "m"),
    (2 * DAY, HOUR, "h", 0, ""),
    (8 * DAY, DAY, "d", HOUR, "h"),
    (2 * YEAR, DAY, "d", 0, ""),
    (8 * YEAR, YEAR, "y", DAY, "d"),
)
"""Limit in seconds, unit and its suffix, and the finer unit beside it, if any."""


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time; None for anything else."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def since(text: str, now: datetime) -> str:
    """The age of an RFC 3339 time; as in kubectl, `<unknown>` if there is none."""
    instant = parse_time(text)
    if instant is None:
        return "<unknown>"
    return age((now - instant).total_seconds())
