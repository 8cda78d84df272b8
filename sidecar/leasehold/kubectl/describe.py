"""`kubectl leasehold describe`: everything about one Lock. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.base.terminal import Row, aligned, one_line
from leasehold.kubectl.change import HANDOVER, PREFERRED, REVOKE
from leasehold.kubectl.lock import Holder, LockView, items, number, table, text
from leasehold.kubectl.printing import GAP, manifest
from leasehold.kubectl.times import age, parse_time, since

_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Description:
    """What is known about a Lock. `events_error` and `queue_error` are sentences, or empty.

    `queue` and `queue_data` are the queue in etcd as `leasehold status` prints it, as a table and as JSON; None if it
    was not requested.
    """

    view: LockView
    events: Sequence[Mapping[str, Any]] = ()
    events_error: str = ""
    queue: str | None = None
    queue_data: Mapping[str, Any] | None = None
    queue_error: str = ""


def as_object(description: Description) -> Mapping[str, Any]:
    """The description for programs."""
    made: dict[str, Any] = {"lock": manifest(description.view), "events": [dict(event) for event in description.events]}
    if description.queue_data is not None:
        made["queue"] = description.queue_data
    return made


def as_text(description: Description, now: datetime) -> str:
    """The description for people."""
    view = description.view
    parts = [aligned([(f"{name}:", value) for name, value in _facts(view, now)], gap=GAP)]
    parts += [
        _section("Holders", _holders(view.holders, now), "none"),
        _section("Waiters", _holders(view.waiters, now), "none"),
    ]
    parts += [
        _section("Not in the queue", _absent(view, now), "nobody"),
        _section("Conditions", _conditions(view, now), "none"),
    ]
    if description.queue is not None or description.queue_error:
        parts.append("Queue in etcd:\n" + _indented(description.queue_error or description.queue or ""))
    nothing = description.events_error or "none that the API server still has"
    parts.append(_section("History", _history(description.events, now), nothing))
    return "".join(parts)


def _facts(view: LockView, now: datetime) -> list[tuple[str, str]]:
    status, metadata = view.status, view.metadata
    token = number(status, "fencingToken")
    facts = [
        ("Name", text(metadata, "name")),
        ("Namespace", text(metadata, "namespace")),
        ("Age", since(text(metadata, "creationTimestamp"), now)),
        ("Held", _held(view)),
        ("Holder", text(status, "holderIdentity") or "-"),
        ("Token", (f"{token}" if view.held == "True" else f"{token} (the last)") if token else "-"),
        ("Since", _instant(text(status, "acquireTime"), now)),
        ("Queue", f"{view.holder_count} {_plural(view.holder_count, 'holder')}, {view.waiter_count} waiting"),
        ("Transitions", str(number(status, "transitionCount"))),
        ("Key", text(status, "key") or "-"),
        ("Wanted", _desired(view)),
    ]
    if view.deleting:
        facts.append(("Deleting", _instant(text(metadata, "deletionTimestamp"), now)))
    return [(name, one_line(value)) for name, value in facts]


def _held(view: LockView) -> str:
    stale = "" if view.observed else " (the operator has not seen the latest change of the spec yet)"
    return view.held + stale


def _desired(view: LockView) -> str:
    words = [f"lease {view.ttl}s", f"capacity {view.capacity}"]
    if view.suspended:
        words.append("suspended")
    if preferred := text(view.spec, PREFERRED):
        words.append(f"preferred holder {preferred}")
    words += [f"{name} {number(view.spec, name)}" for name in (HANDOVER, REVOKE) if number(view.spec, name)]
    return ", ".join(words)


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def _instant(written: str, now: datetime) -> str:
    return f"{since(written, now)} ago ({written})" if parse_time(written) else "-"


def _absent(view: LockView, now: datetime) -> list[Row]:
    """The pods that name the lock and are not in its queue."""
    rows = [
        [one_line(cell) or "-" for cell in (text(one, "podName"), text(one, "reason"), since(text(one, "since"), now))]
        + [one_line(text(one, "message"))]
        for one in items(view.status, "absent")
    ]
    return [("POD", "REASON", "SINCE", "MESSAGE"), *rows] if rows else []


def _holders(holders: Sequence[Holder], now: datetime) -> list[Row]:
    rows = [_holder(holder, now) for holder in holders]
    return [("IDENTITY", "TOKEN", "SINCE", "POD", "NODE", "GROUP", "LEASE"), *rows] if rows else []


def _holder(holder: Holder, now: datetime) -> Row:
    held = since(holder.since, now) if holder.since else ""
    cells = (holder.identity, str(holder.token), held, holder.pod, holder.node, holder.group, holder.lease)
    return [one_line(cell) or "-" for cell in cells]


def _conditions(view: LockView, now: datetime) -> list[Row]:
    rows = [
        [one_line(cell) for cell in (one.type, one.status, since(one.since, now), one.reason, one.message)]
        for one in view.conditions
    ]
    return [("TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"), *rows] if rows else []


def _history(events: Sequence[Mapping[str, Any]], now: datetime) -> list[Row]:
    """The Events, the oldest first."""
    rows = [_event(event, now) for event in sorted(events, key=_instant_of)]
    return [("AGE", "TYPE", "REASON", "MESSAGE"), *rows] if rows else []


def _last(event: Mapping[str, Any]) -> str:
    """When it was last seen: the two Event APIs have different fields for that."""
    series = text(table(event, "series"), "lastObservedTime")
    created = text(table(event, "metadata"), "creationTimestamp")
    return series or text(event, "lastTimestamp") or text(event, "eventTime") or created


def _instant_of(event: Mapping[str, Any]) -> datetime:
    return parse_time(_last(event)) or datetime.min.replace(tzinfo=UTC)


def _event(event: Mapping[str, Any], now: datetime) -> Row:
    seen = since(_last(event), now)
    count = max(number(event, "count"), number(table(event, "series"), "count"))
    first = parse_time(text(event, "firstTimestamp") or text(event, "eventTime"))
    if count > 1 and first:
        seen += f" (x{count} over {age((now - first).total_seconds())})"
    return [seen, *(one_line(text(event, name)) for name in ("type", "reason", "message"))]


def _section(title: str, rows: list[Row], nothing: str) -> str:
    return f"{title}:\n{aligned(rows, gap=GAP, indent=_INDENT)}" if rows else f"{title}:   {nothing}\n"


def _indented(block: str) -> str:
    return "".join(f"{_INDENT}{line}".rstrip() + "\n" for line in block.splitlines())
