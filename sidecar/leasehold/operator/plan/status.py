"""The status of a Lock: the recorded one, read with distrust, and the parts of a desired one. Pure.

A status never contains what changes constantly, such as renewals. While nobody comes or goes, the desired status equals
the recorded one and nothing is written. Times are those at which the operator first saw something, and are kept for as
long as it lasts. If somebody edited the status, it differs from the desired one and is written again. Two things are
known from the status alone after a restart: how often the holder has changed, and since when each holder holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from leasehold.lock.record import Entry

MAX_LISTED_HOLDERS: Final = 32
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, without its times."""

    type: str
    status: str
    reason: str
    message: str

    def needs_attention(self) -> bool:
        """Whether somebody should be told: Ready is False, or Degraded is True."""
        return (self.type, self.status) in (("Ready", FALSE), ("Degraded", TRUE))


@dataclass(frozen=True, slots=True)
class RecordedStatus:
    """The status on the resource. `fields` is all of it; whatever does not have the expected type is left out.

    `holder_times` says since when each recorded holder holds, by token.
    """

    fields: Mapping[str, Any]
    conditions: tuple[Mapping[str, Any], ...]
    holder_times: Mapping[int, str]
    holder_count: int
    fencing_token: int
    transition_count: int
    absent: tuple[Mapping[str, Any], ...] = ()
    terms: tuple[Mapping[str, Any], ...] = ()
    holders: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def read(cls, status: Mapping[str, Any]) -> Self:
        """Read a status that anybody may have written."""
        return cls(
            fields=status,
            conditions=_objects(status, "conditions"),
            holder_times=_holder_times(status),
            holder_count=_count(status, "holderCount"),
            fencing_token=_count(status, "fencingToken"),
            transition_count=_count(status, "transitionCount"),
            absent=_objects(status, "absent"),
            holders=tuple(one for one in _objects(status, "holders") if _is_holder(one)),
            terms=tuple(dict(one) for one in _objects(status, "recentTerms") if _is_term(one)),
        )

    def condition(self, kind: str) -> Mapping[str, Any]:
        """The recorded condition of this type; empty if there is none."""
        return next((one for one in self.conditions if one.get("type") == kind), {})


def _objects(status: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    found = status.get(name)
    return tuple(one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else ()


def _holder_times(status: Mapping[str, Any]) -> dict[int, str]:
    return {
        one["fencingToken"]: one["acquireTime"]
        for one in _objects(status, "holders")
        if isinstance(one.get("fencingToken"), int) and _is_time(one.get("acquireTime"))
    }


def _is_holder(one: Mapping[str, Any]) -> bool:
    token = one.get("fencingToken")
    is_token = isinstance(token, int) and not isinstance(token, bool)
    return is_token and isinstance(one.get("identity"), str) and _is_time(one.get("acquireTime"))


def _is_term(term: Mapping[str, Any]) -> bool:
    """Whether the API server would take this term back: somebody may have edited the status."""
    texts = ("identity", "podUID", "from", "until", "reason", "message", "podReason", "requestedBy")
    numbers = [term.get(name, 0) for name in ("fencingToken", "gapSeconds")]
    return (
        all(isinstance(term.get(name, ""), str) for name in texts)
        and all(isinstance(value, int) and not isinstance(value, bool) for value in numbers)
        and all(_is_time(term.get(name)) for name in ("from", "until"))
        and {"fencingToken", "identity", "reason", "message"} <= term.keys()
    )


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _count(status: Mapping[str, Any], name: str) -> int:
    value = status.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


# --- parts of a desired status --------------------------------------------------------------------------------------


def timestamp(wall: datetime) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds."""
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_conditions(
    desired: Iterable[Condition], recorded: RecordedStatus, generation: int, now: str
) -> list[dict[str, Any]]:
    """The list for the status. A condition whose status did not change keeps its last transition time."""
    return [
        {
            "type": one.type,
            "status": one.status,
            "observedGeneration": generation,
            "lastTransitionTime": _last_transition(one, recorded.condition(one.type), now),
            "reason": one.reason,
            "message": one.message,
        }
        for one in desired
    ]


def _last_transition(desired: Condition, recorded: Mapping[str, Any], now: str) -> str:
    is_same = recorded.get("status") == desired.status and _is_time(recorded.get("lastTransitionTime"))
    return str(recorded["lastTransitionTime"]) if is_same else now


def render_holders(entries: Sequence[Entry], first_seen: Mapping[int, str]) -> list[dict[str, Any]]:
    """The list for the status: the first 32, one per lease, because the list is a map by lease."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        found.setdefault(f"{entry.lease:x}", _holder(entry, first_seen.get(entry.create_revision, "")))
    return list(found.values())[:MAX_LISTED_HOLDERS]


def render_waiters(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The list for the status, in the order of the queue: the first 32, one per lease."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        found.setdefault(f"{entry.lease:x}", _holder(entry, ""))
    return list(found.values())[:MAX_LISTED_HOLDERS]


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
