"""`leasehold operator`, killed in the midst of its work: `python -m tests.operator.crashing POINTS operator …`

POINTS is a list of `lock:operation` with commas. Each lock named stands still from the moment just after its first such
operation: the answer has come, and nothing was made of it. When all of them stand still, the process kills itself, as a
SIGKILL from outside would.
"""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from leasehold.__main__ import main
from leasehold.lock.names import LockName
from leasehold.operator.plan.resource import FINALIZER
from leasehold.operator.reconcile.api import Kube
from leasehold.operator.reconcile.etcd_writer import Writer

OPERATIONS = {
    Kube: ("patch_finalizers", "patch_status", "label_pod"),
    Writer: ("put_spec", "delete_spec", "evict"),
}
Operation = Callable[..., Awaitable[Any]]
_points: set[tuple[str, str]] = set()


def _crashing(honest: Operation, operation: str) -> Operation:
    @functools.wraps(honest)
    async def call(self: object, name: LockName, *arguments: Any) -> Any:
        answer = await honest(self, name, *arguments)
        if (point := (name.name, _fully(operation, arguments))) in _points:
            await _stand_still(point)
        return answer

    return call


def _fully(operation: str, arguments: tuple[Any, ...]) -> str:
    """Finalizers are two operations: ours is put on, or taken off."""
    if operation != "patch_finalizers":
        return operation
    return "finalizer_on" if FINALIZER in arguments[-1] else "finalizer_off"


async def _stand_still(point: tuple[str, str]) -> None:
    _points.remove(point)
    if not _points:
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.Future()


if __name__ == "__main__":
    for word in sys.argv.pop(1).split(","):
        lock, what = word.split(":")
        _points.add((lock, what))
    for owner, operations in OPERATIONS.items():
        for one in operations:
            setattr(owner, one, _crashing(getattr(owner, one), one))
    raise SystemExit(main())
