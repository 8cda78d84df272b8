"""Whether this process is alive: the watch canary.

A restart mends a process that is stuck, and nothing else. So neither etcd nor the API server being away ends it: a
canary is a mark that is written to the API server and has to come back through the informer, and only marks that *were*
written count against it. etcd's canary is the mirror's own affair; here it only has to have noticed, one way or the
other, how things stand. Ready means that both sides were read once: a standby can take over from then on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Final

from leasehold.operator.reconcile.api import Kube, KubeFailure
from leasehold.operator.reconcile.metrics import OperatorMetrics
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.trouble import RepeatedFailureLog

_log = logging.getLogger("leasehold.operator.health")

CANARY_INTERVAL: Final = 20.0
"""Seconds between two canaries: three small writes a minute and replica."""
CANARY_RETRY: Final = 3.0
"""Seconds until the next attempt while the API server does not take it: others wait for its return, too."""
MISSED: Final = 7
"""Marks in a row that were written and did not come back, after which the informer counts as stuck: that takes two
minutes, and a watch that is merely silent has been opened anew by then."""
STUCK: Final = 120.0
"""Seconds without a sign of life from the mirror after which it counts as stuck; its own attempts take far less."""

Question = Callable[[], str]
"""A sentence that says what is wrong, "" when nothing is."""


class WatchCanary:
    """What became of the marks. Pure."""

    def __init__(self) -> None:
        self._missing = 0

    def written(self) -> None:
        """One more mark was written, and confirmed."""
        self._missing += 1

    def came(self) -> None:
        """The informer brought the canary, whichever mark it bears: it delivers."""
        self._missing = 0

    def problem(self) -> str:
        """What is wrong with the informer, if anything."""
        if self._missing < MISSED:
            return ""
        return f"the informer has not delivered {self._missing} changes in a row that the API server confirmed"


async def prove_for_ever(
    canary: WatchCanary, kube: Kube, namespace: str, identity: str, metrics: OperatorMetrics, stranded: RetryOnRecovery
) -> None:
    """Write marks for ever; one that cannot be written proves nothing."""
    trouble = RepeatedFailureLog(_log, f"the canary in the namespace {namespace} cannot be written")
    for number in itertools.count(1):
        try:
            await kube.touch_canary(namespace, f"{identity}.{number}")
        except KubeFailure as error:
            trouble.because(error)
            await asyncio.sleep(CANARY_RETRY)
            continue
        trouble.over()
        canary.written()
        metrics.api_write("canary")
        stranded.rescue()
        await asyncio.sleep(CANARY_INTERVAL)
