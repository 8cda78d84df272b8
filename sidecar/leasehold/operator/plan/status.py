"""The status that a Lock ought to show. Pure.

It never holds what changes by itself, such as renewals: while nobody comes or goes the wanted status is the one that
stands, and nothing is written. Times are those at which the operator first saw something; they are kept as long as it
lasts. A status that somebody edited differs from what is wanted and is written anew; of what only the status itself
knows (how often the holder changed, since when somebody holds) the operator's memory has the better copy while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.lock.record import Entry

MOST_HOLDERS: Final = 32
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, without its times."""

    type: str
    status: str
    reason: str
    message: str

    def is_trouble(self) -> bool:
        """Whether somebody should hear of it: Ready that is not, Degraded that is."""
        return (self.type, self.status) in (("Ready", FALSE), ("Degraded", TRUE))


def stamp(wall: datetime) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds."""
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conditions(
    wanted: Iterable[Condition], status: Mapping[str, Any], generation: int, now: str
) -> list[dict[str, Any]]:
    """The list for the status; a condition whose status did not change keeps the time of its last transition."""
    return [
        {
            "type": one.type,
            "status": one.status,
            "observedGeneration": generation,
            "lastTransitionTime": _since(status, one, now),
            "reason": one.reason,
            "message": one.message,
        }
        for one in wanted
    ]


def _since(status: Mapping[str, Any], wanted: Condition, now: str) -> str:
    old = condition(status, wanted.type)
    stood = old.get("status") == wanted.status and _is_time(old.get("lastTransitionTime"))
    return str(old["lastTransitionTime"]) if stood else now


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of this type as it stands; empty if there is none."""
    return next((one for one in listed(status, "conditions") if one.get("type") == kind), {})


def listed(status: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list in this status; whatever else stands there is passed over."""
    found = status.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def holders(entries: Sequence[Entry], first_seen: Mapping[int, str]) -> list[dict[str, Any]]:
    """The list of holders: one a lease, since the list is a map by it; the first 32."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        found.setdefault(f"{entry.lease:x}", _holder(entry, first_seen.get(entry.create_revision, "")))
    return list(found.values())[:MOST_HOLDERS]


def _holder(entry: Entry, since: str) -> dict[str, Any]:
    record = entry.record
    named: dict[str, Any] = {
        "leaseID": f"{entry.lease:x}",
        "identity": record.identity,
        "fencingToken": entry.create_revision,
        "acquireTime": since,
        "podName": record.pod,
        "podNamespace": record.pod_namespace,
        "podUID": record.pod_uid,
        "nodeName": record.node,
        "group": record.group,
    }
    return {name: value for name, value in named.items() if value != "" or name == "identity"}


def recorded_times(status: Mapping[str, Any]) -> dict[int, str]:
    """Since when each holder of this status holds, by token; whatever is not as we write it is passed over."""
    return {
        one["fencingToken"]: one["acquireTime"]
        for one in listed(status, "holders")
        if isinstance(one.get("fencingToken"), int) and _is_time(one.get("acquireTime"))
    }


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def number(status: Mapping[str, Any], name: str) -> int:
    """A count of this status; 0 where it has none."""
    value = status.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
