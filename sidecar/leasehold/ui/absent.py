"""Pods that are not in a lock's queue, and why: the operator writes that into the Lock's status, not into etcd.

A Lock is read when somebody looks at its page, at most every `FRESH_SECONDS`, however many browsers do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from leasehold.base.terminal import one_line
from leasehold.lock.kube_names import locks_path
from leasehold.lock.names import LockName

FRESH_SECONDS: Final = 2.0
_MAX_KNOWN: Final = 200
_SHOWN: Final = ("podName", "reason", "message", "since", "until")


class Reader(Protocol):
    """Reads one object of the API server."""

    async def read(self, path: str) -> Mapping[str, Any]:
        """What is at this path, empty if there is nothing. Raises Unreadable."""


class Unreadable(Exception):
    """The API server does not say; the text is one sentence without a full stop."""


class AbsentPods:
    """What the Locks' statuses say. `reader` is None where no API server is asked."""

    def __init__(self, reader: Reader | None, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._reader = reader
        self._clock = clock
        self._known: dict[LockName, tuple[float, dict[str, Any]]] = {}

    async def of(self, name: LockName) -> dict[str, Any]:
        """Fields for the lock's page: `absent` and `absentCount`, or `absentError`; none if nobody is asked."""
        if self._reader is None:
            return {}
        known = self._known.get(name)
        if known is not None and self._clock() - known[0] < FRESH_SECONDS:
            return known[1]
        fields = await _read(self._reader, name)
        while len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[name] = self._clock(), fields
        return fields


async def _read(reader: Reader, name: LockName) -> dict[str, Any]:
    try:
        lock = await reader.read(locks_path(name.namespace, name.name))
    except Unreadable as error:
        return {"absentError": one_line(str(error))}
    status = lock.get("status")
    absent = status.get("absent") if isinstance(status, dict) else None
    listed = [_pod(one) for one in absent if isinstance(one, dict)] if isinstance(absent, list) else []
    count = status.get("absentCount") if isinstance(status, dict) else 0
    return {"absent": listed, "absentCount": count if isinstance(count, int) else len(listed)}


def _pod(one: Mapping[str, Any]) -> dict[str, str]:
    return {name: one_line(str(one[name])) for name in _SHOWN if one.get(name)}
