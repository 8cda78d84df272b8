"""Deletes every Lock and waits until they are gone: what has to be done before the operator is, and the CRD with it.

`python -m leasehold.operator.uninstall`, run by the chart as it is uninstalled. A Lock waits for its release in etcd,
which only an operator can tell of: deleted after the operator, it would be there for ever, and the CRD with it.
Exit codes: 0 all are gone; 1 some are not, named on stderr, and nothing was forced.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from leasehold import clock
from leasehold.kube.access import Access, AccessError
from leasehold.kube.api import locks_path
from leasehold.kube.call import Body, KubeCall, KubeError, KubeFailure

PATIENCE: Final = 200.0
"""Seconds for all of it: a lock whose holder is cut off is released when its lease has ended, 15 s unless told."""
CALL_TIMEOUT: Final = 10.0
_PAUSE: Final = 1.0
_NAMED: Final = 5


async def remove_all(call: KubeCall, now: Callable[[], float], patience: float = PATIENCE) -> list[str]:
    """Delete all Locks; the names of those that are still there after `patience` seconds. Raises KubeFailure.

    Whatever is made meanwhile is deleted, too.
    """
    deadline = now() + patience
    while locks := await _locks(call):
        for lock in locks:
            if "deletionTimestamp" not in lock["metadata"]:
                await _delete(call, lock)
        if now() > deadline:
            return [f"{lock['metadata']['namespace']}/{lock['metadata']['name']}" for lock in locks]
        await asyncio.sleep(_PAUSE)
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
    call = KubeCall(access, CALL_TIMEOUT)
    try:
        left = await remove_all(call, clock.now)
    finally:
        await call.close()
    if not left:
        return 0
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    sys.stderr.write(
        f"leasehold: These Locks are not released: {', '.join(left[:_NAMED])}{more}. `kubectl describe lock` says why; "
        "uninstall again when that is mended.\n"
    )
    return 1


def main() -> int:
    """Do it with the pod's own service account; the exit code."""
    try:
        return asyncio.run(_main())
    except (AccessError, KubeFailure) as error:
        sys.stderr.write(f"leasehold: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
