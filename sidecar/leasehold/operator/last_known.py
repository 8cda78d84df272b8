"""Marks every Lock's status as the last known, after the operator has been deleted: nobody corrects it any more.

`Held` becomes Unknown, which `kubectl get locks` shows, and its message says from when the rest is. The next operator
that is installed writes the statuses as they are again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.kube.call import Body, KubeCall, KubeError
from leasehold.lock.kube_names import locks_path
from leasehold.operator.plan.conditions import STALLED
from leasehold.operator.plan.status import FALSE, UNKNOWN, Condition, RecordedStatus, render_conditions, timestamp

TIMEOUT_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 1.0
"""Between two rounds, while some have changed meanwhile."""
_PAGE: Final = "500"
_MESSAGE: Final = (
    "the operator was uninstalled, and nobody follows the lock in etcd; what this status shows is the last known, from"
)


def last_known(status: Mapping[str, Any], at: str) -> dict[str, Any] | None:
    """A Lock's status with conditions that say so, as of `at`; None if they do, or if it never had any."""
    recorded = RecordedStatus.read(status)
    if not recorded.conditions or recorded.condition("Held").get("reason") == "OperatorRemoved":
        return None
    message = f"{_MESSAGE} {at}"
    changed = [
        Condition("Ready", FALSE, "OperatorRemoved", message),
        Condition("Held", UNKNOWN, "OperatorRemoved", message),
    ]
    generation = status.get("observedGeneration")
    conditions = render_conditions(changed, recorded, generation if isinstance(generation, int) else 0, at)
    kinds = {STALLED, *(one.type for one in changed)}
    others = [dict(one) for one in recorded.conditions if one.get("type") not in kinds]
    return {**recorded.fields, "conditions": conditions + others}


async def mark_all(call: KubeCall, now: Callable[[], float], timeout: float = TIMEOUT_SECONDS) -> bool:
    """Mark all; False if some may have been left out after `timeout` seconds. Raises KubeFailure."""
    deadline = now() + timeout
    while now() < deadline:
        skipped = [lock async for lock in _locks(call) if not await _mark(call, lock)]
        if not skipped:
            return True
        await asyncio.sleep(PAUSE_SECONDS)
    return False


async def _locks(call: KubeCall) -> AsyncIterator[Body]:
    more = ""
    while True:
        query = {"limit": _PAGE} | ({"continue": more} if more else {})
        try:
            page = await call.get(locks_path(), **query)
        except KubeError as error:
            if error.status == 404:  # the CRD is gone, and the Locks with it
                return
            raise
        for lock in page["items"]:
            yield lock
        more = page["metadata"].get("continue") or ""
        if not more:
            return


async def _mark(call: KubeCall, lock: Body) -> bool:
    """Whether its status says so now, or it is gone; False if somebody has changed it meanwhile."""
    marked = last_known(lock.get("status") or {}, timestamp(datetime.now(UTC)))
    if marked is None:
        return True
    metadata = lock["metadata"]
    unchanged = {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]}
    body = {"metadata": unchanged, "status": {"conditions": marked["conditions"]}}
    try:
        await call.merge(f"{locks_path(metadata['namespace'], metadata['name'])}/status", body)
    except KubeError as error:
        if error.status not in (404, 409):
            raise
        return error.status == 404
    return True
