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
from leasehold.kube.access import Access, AccessError
from leasehold.kube.api import locks_path
from leasehold.kube.call import Body, KubeCall, KubeError, KubeFailure

TIMEOUT_SECONDS: Final = 200.0
"""For everything. If a holder is cut off, its lock is released when its lease has expired, by default after 15 s."""
CALL_TIMEOUT_SECONDS: Final = 10.0
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


async def _main() -> int:
    access = await Access.load(None)
    call = KubeCall(access, CALL_TIMEOUT_SECONDS)
    try:
        left = await remove_all(call, clock.now)
    finally:
        await call.close()
    if not left:
        return 0
    more = f" and {len(left) - _MAX_NAMED} more" if len(left) > _MAX_NAMED else ""
    sys.stderr.write(
        f"leasehold: These Locks are not released: {', '.join(left[:_MAX_NAMED])}{more}. `kubectl describe lock` says "
        "why; uninstall again when that is mended.\n"
    )
    return 1


def main() -> int:
    """Delete all Locks with the pod's own service account; the exit code."""
    try:
        return asyncio.run(_main())
    except (AccessError, KubeFailure) as error:
        sys.stderr.write(f"leasehold: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
