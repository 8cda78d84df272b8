"""Requeues the keys that failed while the API server did not answer, as soon as it answers. Pure.

Their back-off alone would bring them back within a minute, which is long after an outage. If the server answers with an
error, the key keeps its back-off: the key itself may be the reason, and would return again and again.
"""

from __future__ import annotations

from leasehold.lock.names import LockName
from leasehold.operator.reconcile.api import KubeUnknown
from leasehold.operator.reconcile.workqueue import WorkQueue


class RetryOnRecovery:
    """The keys, of several queues, that wait until the API server answers any request."""

    def __init__(self) -> None:
        self._keys: set[tuple[WorkQueue[LockName], LockName]] = set()

    def add(self, queue: WorkQueue[LockName], key: LockName, error: Exception) -> None:
        """Note a key that failed with this error, if the error is a missing answer."""
        if isinstance(error, KubeUnknown):
            self._keys.add((queue, key))

    def requeue_all(self) -> None:
        """The server has answered: queue all keys."""
        keys, self._keys = self._keys, set()
        for queue, key in keys:
            queue.add(key)
