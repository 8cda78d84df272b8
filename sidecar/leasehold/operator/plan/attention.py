"""Which Locks need somebody's attention, by the conditions in their statuses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from leasehold.operator.plan.resource import Lock

UNUSED: Final = "NoCandidate"
"""The reason of a Lock that nobody holds and nobody waits for. Its condition says Vacant in both cases."""
_ATTENTION: Final = {("Ready", "False"), ("Degraded", "True"), ("Held", "False")}
_MEANT: Final = ("Suspended", "Deleting", "Declaring")
"""Reasons for which somebody has asked, or which are over in a moment."""


def needing_attention(locks: Iterable[Lock]) -> list[tuple[str, str]]:
    """The Locks, as NAMESPACE/NAME, and the reasons of their conditions, in the order of their names."""
    return sorted((str(lock.name), reason) for lock in locks for reason in _reasons(lock.status))


def _reasons(status: Mapping[str, Any]) -> Iterator[str]:
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if (condition.get("type"), condition.get("status")) in _ATTENTION and condition.get("reason") not in _MEANT:
            vacant = condition.get("reason") == "Vacant" and not status.get("waiterCount")
            yield UNUSED if vacant else str(condition.get("reason"))
