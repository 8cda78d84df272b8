"""Conditions on the operator's own Lock, by which it tells what concerns no other Lock.

A merge patch replaces the whole list, so those who write share one of these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.kube.call import KubeCall
from leasehold.lock.kube_names import locks_path
from leasehold.lock.names import LockName

MAX_MESSAGE_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class OwnCondition:
    """A condition without its time. `type` and `reason` are one word in CamelCase each."""

    type: str
    status: str
    reason: str
    message: str


class OwnConditions:
    """Writes those that change, and leaves those of others of the operator's parts.

    What an uninstallation had put there, as it does with every Lock, goes.
    """

    def __init__(
        self, kube: KubeCall, lock: LockName, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`lock`: the operator's own, which exists."""
        self._kube = kube
        self._path = f"{locks_path(lock.namespace, lock.name)}/status"
        self._wall = wall
        self._stored: dict[str, dict[str, Any]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def write(self, desired: OwnCondition) -> bool:
        """Write it, unless it stands there as it is; whether its reason is a new one. Raises KubeFailure."""
        async with self._one_at_a_time:
            if self._stored is None:
                self._stored = _conditions(await self._kube.merge(self._path, {"status": {}}))
            before = self._stored.get(desired.type, {})
            fields = self._fields(desired, before)
            if fields != before or _REMOVED in self._stored:
                self._stored.pop(_REMOVED, None)
                stored = self._stored | {desired.type: fields}
                self._stored = None  # unless the answer comes, nobody knows what stands there
                self._stored = _conditions(
                    await self._kube.merge(self._path, {"status": {"conditions": [*stored.values()]}})
                )
            return bool(before.get("reason") != desired.reason)

    def _fields(self, desired: OwnCondition, before: dict[str, Any]) -> dict[str, Any]:
        since = before.get("lastTransitionTime") if before.get("status") == desired.status else None
        return {
            "type": desired.type,
            "status": desired.status,
            "reason": desired.reason,
            "message": desired.message[:MAX_MESSAGE_CHARACTERS],
            "lastTransitionTime": since or self._wall().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def forget(self) -> None:
        """Another replica may have written meanwhile."""
        self._stored = None


_REMOVED: Final = "OperatorRemoved"
"""The reason by which it is known."""


def _conditions(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By their types; those of an uninstallation under its reason."""
    found = (body.get("status") or {}).get("conditions") or ()
    return {_REMOVED if each.get("reason") == _REMOVED else each["type"]: dict(each) for each in found}
