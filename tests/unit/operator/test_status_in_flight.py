"""A status that is desired while the API server has not yet answered for the previous one."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from prometheus_client import CollectorRegistry

from leasehold.lock.names import LockName
from leasehold.operator.plan.resource import parse
from leasehold.operator.reconcile.api import Kube
from leasehold.operator.reconcile.api_context import ApiContext
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.reports import DesiredStatus, Reports
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.watch.locks import Locks
from tests.support.http_client import until

LOCK = LockName("default", "db")
BODY = {"metadata": {"namespace": "default", "name": "db", "uid": "1", "resourceVersion": "7"}, "spec": {}}


class SlowServer:
    """Accepts statuses, and answers when the test lets it."""

    def __init__(self) -> None:
        self.taken: list[Mapping[str, Any]] = []
        self.answers = asyncio.Event()

    async def patch_status(self, name: LockName, uid: str, status: Mapping[str, Any]) -> dict[str, Any]:
        self.taken.append(status)
        await self.answers.wait()
        return {**BODY, "status": status}


def gauges() -> Gauges:
    raise AssertionError("nobody scrapes")


async def test_a_status_planned_in_flight_is_planned_again() -> None:
    """It was planned without its predecessor, so it would give the same transition a second, later time."""
    server, planned_again = SlowServer(), list[LockName]()
    clock = asyncio.get_running_loop().time
    metrics = OperatorMetrics(CollectorRegistry(), gauges)
    api = ApiContext(cast(Kube, server), RateLimiter(1000, 1, clock), metrics, RetryOnRecovery())
    reports = Reports(api, Locks(), clock, planned_again.append)
    working = asyncio.create_task(reports.work())
    reports.set_desired(LOCK, DesiredStatus(parse(BODY), {"since": "12:00:00"}, ()))
    await until(lambda: len(server.taken) == 1)
    reports.set_desired(LOCK, DesiredStatus(parse(BODY), {"since": "12:00:01"}, ()))
    server.answers.set()
    await until(lambda: planned_again == [LOCK])
    assert len(reports) == 0
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
