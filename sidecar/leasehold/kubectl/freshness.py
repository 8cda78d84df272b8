"""Whether an operator still reports. Pure: the time is an argument.

An operator changes the annotation of a Lock of its own, the canary, every 20 seconds, whatever else happens. If the
canary is old, no operator is at work, and every status is the last known one: nobody corrects it any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from leasehold.kubectl.lock import LockView, items, text
from leasehold.kubectl.times import parse_time, since

STALE_AFTER_SECONDS: Final = 75.0
"""Three canaries and more: the API server's clock and this one may differ a little."""


def last_report(canaries: Iterable[LockView]) -> datetime | None:
    """When the newest canary was written, by the API server's clock; None if there is none."""
    entries = (one for canary in canaries for one in items(canary.metadata, "managedFields"))
    times = [parse_time(text(one, "time")) for one in entries]
    return max((time for time in times if time is not None), default=None)


def staleness(last: datetime | None, now: datetime) -> str:
    """Since when nothing is reported, to follow "last known, "; empty while an operator reports, or if unknown."""
    if last is None or (now - last).total_seconds() <= STALE_AFTER_SECONDS:
        return ""
    at = last.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"from {since(at, now)} ago ({at})"
