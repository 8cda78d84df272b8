"""Whether this process is alive: the watch canary.

A restart helps only a process that is stuck, so an outage of etcd or of the API server must not cause one. A canary is
written to the API server and must come back through the informer; only canaries that *were* written count. etcd has
another canary, which belongs to the mirror; here the mirror only has to make progress, be it by noticing an outage.
The canary's versions also tell that the API server was restored from a backup.
Ready means that both servers were read once: from then on, a standby can take over.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Final

from leasehold.base.logs import RepeatedFailureLog
from leasehold.operator.reconcile.api import CANARY, KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.watch.api_restore import check_version

_log = logging.getLogger("leasehold.operator.health")

CANARY_INTERVAL_SECONDS: Final = 20.0
"""The time between two canaries: three small writes per minute and replica."""
CANARY_RETRY_SECONDS: Final = 3.0
"""The pause after a canary was not written. Its success also requeues the keys that wait for the API server."""
MAX_MISSING: Final = 7
"""After this many canaries in a row that were written and did not come back, the informer counts as stuck. That takes
two minutes; a watch that is only silent has been reopened by then."""
STUCK_SECONDS: Final = 120.0
"""After this time without progress the mirror counts as stuck; its own attempts take far less."""

Question = Callable[[], str]
"""Returns the problem in a sentence, "" if there is none."""


class WatchCanary:
    """Counts canaries that were written and have not come back. Pure."""

    def __init__(self) -> None:
        self._missing = 0

    def written(self) -> None:
        """One more canary was written, and the API server confirmed it."""
        self._missing += 1

    def arrived(self) -> None:
        """The informer has delivered a canary. Any of them proves that it works."""
        self._missing = 0

    def problem(self) -> str:
        """The informer's problem, "" if there is none."""
        if self._missing < MAX_MISSING:
            return ""
        return f"the informer has not delivered {self._missing} changes in a row that the API server confirmed"


async def write_canaries(canary: WatchCanary, api: ApiContext, namespace: str, identity: str) -> None:
    """Write canaries until cancelled. If one cannot be written, it does not count. Raises ApiServerRestored."""
    failure_log = RepeatedFailureLog(_log, f"the canary in the namespace {namespace} cannot be written")
    known = ""
    for number in itertools.count(1):
        try:
            version = await api.kube.touch_canary(namespace, f"{identity}.{number}")
        except KubeFailure as error:
            failure_log.failed(error)
            await asyncio.sleep(CANARY_RETRY_SECONDS)
            continue
        check_version(f"the Lock {namespace}/{CANARY}", version, known)
        known = version
        failure_log.succeeded()
        canary.written()
        api.metrics.api_write("canary")
        api.retries.requeue_all()
        await asyncio.sleep(CANARY_INTERVAL_SECONDS)
