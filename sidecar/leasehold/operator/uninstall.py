"""Deletes every Lock and waits until they are gone. This must happen before the operator is deleted.

The chart runs `python -m leasehold.operator.uninstall` when it is uninstalled. A deleted Lock waits for its release in
etcd, which only an operator can confirm. Without the operator it would stay indefinitely, and the CRD with it.
Exit codes: 0 all are gone; 1 some are not: stderr names them, and nothing was forced.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from leasehold.base import clock
from leasehold.kube.call import Body, KubeCall, KubeError
from leasehold.kube.job import run_job
from leasehold.lock.kube_names import locks_path

TIMEOUT_SECONDS: Final = 200.0
"""For everything. If a holder is cut off, its lock is released when its lease has expired, by default after 15 s."""
_PAUSE_SECONDS: Final = 1.0
_MAX_NAMED: Final = 5


async def remove_all(call: KubeCall, now: Callable[[], float], timeout: float = TIMEOUT_SECONDS) -> list[str]:
    """Delete all Locks; the names of those that still exist after `timeout` seconds. Raises KubeFailure.

    Locks that are created meanwhile are deleted too.
    """
    deadline = now() + timeout
    while locks := await _locks(call):
        for lock in locks:
            if "deletionTimestamp" not in lock["metadata"]:
                await _delete(call, lock)
        if now() > deadline:
            return [f"{lock['metadata']['namespace']}/{lock['metadata']['name']}" for lock in locks]
        await asyncio.sleep(_PAUSE_SECONDS)
    return []


async def _locks(call: KubeCall) -> list[Body]:
    try:
        found: list[Body] = (await call.get(locks_path()))["items"]
    except KubeError as error:
        if error.status != 404:
            raise
        return []  # the CRD is gone
    return found


async def _delete(call: KubeCall, lock: Body) -> None:
    namespace, name = lock["metadata"]["namespace"], lock["metadata"]["name"]
    try:
        await call.delete(locks_path(namespace, name))
    except KubeError as error:
        if error.status != 404:
            raise


async def _job(call: KubeCall) -> str:
    left = await remove_all(call, clock.now)
    if not left:
        return ""
    more = f" and {len(left) - _MAX_NAMED} more" if len(left) > _MAX_NAMED else ""
    return (
        f"These Locks are not released: {', '.join(left[:_MAX_NAMED])}{more}. `kubectl describe lock` says why; "
        "uninstall again when that is mended."
    )


if __name__ == "__main__":
    sys.exit(run_job(_job))
