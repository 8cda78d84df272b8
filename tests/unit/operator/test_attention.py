"""Which Locks the operator's metrics name."""

from typing import Any

import pytest

from leasehold.operator.plan.attention import needing_attention
from leasehold.operator.plan.resource import parse


def reasons(status: Any) -> list[tuple[str, str]]:
    return needing_attention([parse({"metadata": {"namespace": "a", "name": "b", "uid": "1"}, "status": status})])


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"conditions": [condition("Ready", "False", "InvalidSpec")]}, "InvalidSpec"),
        ({"conditions": [condition("Degraded", "True", "StoreRolledBack")]}, "StoreRolledBack"),
        ({"conditions": [condition("Held", "False", "Vacant")], "waiterCount": 2}, "Vacant"),
        ({"conditions": [condition("Held", "False", "Vacant")]}, "Unused"),
        (
            {"conditions": [condition("Held", "False", "Vacant"), condition("Degraded", "True", "NoCandidate")]},
            "NoCandidate",
        ),
        (
            {"conditions": [condition("Ready", "False", "InvalidSpec"), condition("Degraded", "True", "InvalidSpec")]},
            "InvalidSpec",
        ),
    ],
)
def test_lock_that_needs_attention(status: dict[str, Any], reason: str) -> None:
    assert reasons(status) == [("a/b", reason)]


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [condition("Ready", "True", "Declared"), condition("Held", "True", "Held")]},
        {"conditions": [condition("Held", "False", "Suspended")]},
        {"conditions": [condition("Ready", "False", "Deleting")]},
        {"conditions": [condition("Held", "Unknown", "EtcdUnavailable")]},
        {"conditions": "junk"},
        {},
    ],
)
def test_lock_that_needs_none(status: dict[str, Any]) -> None:
    assert reasons(status) == []
