"""Keys that failed because the API server did not answer: they are looked at again as soon as it does. Pure.

Their back-off would bring them within a minute by itself; after an outage that is a long time. A server that answers
with an error is no reason: the key alone may be at fault, and would come again and again.
"""

from __future__ import annotations

from leasehold.lock.names import LockName
from leasehold.operator.reconcile.api import KubeUnknown
from leasehold.operator.reconcile.workqueue import WorkQueue


class RetryOnRecovery:
    """The keys, of several queues, that wait for an answer of the API server, to whatever question."""

    def __init__(self) -> None:
        self._keys: set[tuple[WorkQueue[LockName], LockName]] = set()

    def add(self, queue: WorkQueue[LockName], key: LockName, error: Exception) -> None:
        """Note a key that failed by this error, if that was for want of an answer."""
        if isinstance(error, KubeUnknown):
            self._keys.add((queue, key))

    def rescue(self) -> None:
        """The server has answered."""
        keys, self._keys = self._keys, set()
        for queue, key in keys:
            queue.add(key)
