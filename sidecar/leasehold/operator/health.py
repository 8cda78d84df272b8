"""Whether this process is alive and ready: `/livez`, `/readyz` and `/metrics`.

A restart helps only a process that is stuck, so an outage of etcd or of the API server must not cause one. A canary is
written to the API server and must come back through the informer; only canaries that *were* written count. etcd has
another canary, which belongs to the mirror; here the mirror only has to make progress, be it by noticing an outage.
Ready means that both servers were read once: from then on, a standby can take over.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold.http.lean_aiohttp import web as aio
from leasehold.http.scrape import Exposition
from leasehold.http.server import App, answer
from leasehold.operator.reconcile.api import KubeFailure
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.repeated_failure_log import RepeatedFailureLog

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
    """Write canaries until cancelled. If one cannot be written, it does not count."""
    failure_log = RepeatedFailureLog(_log, f"the canary in the namespace {namespace} cannot be written")
    for number in itertools.count(1):
        try:
            await api.kube.touch_canary(namespace, f"{identity}.{number}")
        except KubeFailure as error:
            failure_log.failed(error)
            await asyncio.sleep(CANARY_RETRY_SECONDS)
            continue
        failure_log.succeeded()
        canary.written()
        api.metrics.api_write("canary")
        api.retries.requeue_all()
        await asyncio.sleep(CANARY_INTERVAL_SECONDS)


def make_app(registry: CollectorRegistry, live: Question, ready: Callable[[], Mapping[str, bool]]) -> App:
    """The routes. `ready` names what has to be true."""
    app = App()

    async def livez(request: aio.BaseRequest) -> aio.Response:
        wrong = live()
        return answer({"alive": False, "reason": wrong}, 503) if wrong else answer({"alive": True})

    async def readyz(request: aio.BaseRequest) -> aio.Response:
        states = ready()
        return answer({"ready": all(states.values()), **states}, 200 if all(states.values()) else 503)

    app.get("/livez", livez)
    app.get("/readyz", readyz)
    app.get("/metrics", Exposition(registry).handle)
    return app
