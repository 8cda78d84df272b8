"""Which Locks need somebody's attention, by the conditions in their statuses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from leasehold.operator.plan.resource import Lock

UNUSED: Final = "Unused"
"""The reason of a Lock that nobody queues for, and no pod names. Its condition says Vacant, as if somebody waited."""
_ABANDONED: Final = "NoCandidate"
"""The reason of one that pods name, and nobody queues for."""
_ATTENTION: Final = {("Ready", "False"), ("Degraded", "True"), ("Held", "False")}
_MEANT: Final = ("Suspended", "Deleting", "Declaring")
"""Reasons for which somebody has asked, or which are over in a moment."""


def needing_attention(locks: Iterable[Lock]) -> list[tuple[str, str]]:
    """The Locks, as NAMESPACE/NAME, and the reasons of their conditions, in the order of their names."""
    return sorted((str(lock.name), reason) for lock in locks for reason in _reasons(lock.status))


def _reasons(status: Mapping[str, Any]) -> set[str]:
    """Each once: a scrape must not have a series twice."""
    found = {str(condition.get("reason")) for condition in _conditions(status)}.difference(_MEANT)
    if "Vacant" in found and not status.get("waiterCount"):
        found.remove("Vacant")
        if _ABANDONED not in found:
            found.add(UNUSED)
    return found


def _conditions(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if (condition.get("type"), condition.get("status")) in _ATTENTION:
            yield condition
