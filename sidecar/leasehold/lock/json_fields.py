"""Values from etcd as JSON. Anybody can have written them, so nothing about them is taken for granted."""

from __future__ import annotations

import json
from typing import Any


def json_object(value: bytes) -> dict[str, Any] | None:
    """The JSON object in these bytes; None if they hold anything else."""
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):  # undecodable bytes and broken JSON are both ValueErrors
        return None
    return fields if isinstance(fields, dict) else None


def is_integer(value: object, low: int, high: int) -> bool:
    """Whether this is an integer in the range, both ends included. JSON's true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
