"""`kubectl leasehold history`: the last terms of a Lock, from its status. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from leasehold.base.terminal import Row, aligned, one_line
from leasehold.kubectl.lock import Holder, LockView, items, number, text
from leasehold.kubectl.printing import GAP
from leasehold.kubectl.times import age, parse_time, since

_COLUMNS: Final = ("HOLDER", "TOKEN", "FROM", "UNTIL", "LASTED", "GAP", "ENDED", "REQUESTED BY", "WHY")


def as_table(view: LockView, now: datetime) -> str:
    """The terms, the oldest first, and then those that last; GAP is for how long nobody held the lock before."""
    rows: list[Row] = [_ended(term) for term in items(view.status, "recentTerms")]
    if view.held == "True":
        rows += [_lasting(holder, now) for holder in view.holders]
    return aligned([_COLUMNS, *rows], gap=GAP) if rows else "No term has ended yet, and nobody holds the lock.\n"


def _ended(term: Mapping[str, Any]) -> Row:
    began, ended = parse_time(text(term, "from")), parse_time(text(term, "until"))
    lasted = age((ended - began).total_seconds()) if began and ended else ""
    gap = age(number(term, "gapSeconds")) if "gapSeconds" in term else ""
    why = text(term, "message")
    if after := text(term, "podReason"):
        why += f"; its pod said afterwards: {after}"
    cells = (text(term, "identity"), str(number(term, "fencingToken")), text(term, "from"), text(term, "until"))
    rest = (lasted, gap, text(term, "reason"), text(term, "requestedBy"), why)
    return [one_line(cell) or "-" for cell in (*cells, *rest)]


def _lasting(holder: Holder, now: datetime) -> Row:
    lasted = since(holder.since, now) if holder.since else ""
    cells = (holder.identity, str(holder.token), holder.since, "", lasted, "", "", "", "holds the lock")
    return [one_line(cell) or "-" for cell in cells]
