"""What is wanted to be seen of a lock while the API server has not answered for an earlier status yet."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from prometheus_client import CollectorRegistry

from leasehold.lock.keys import LockName
from leasehold.operator.plan.resource import parse
from leasehold.operator.reconcile.api import Kube
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.reports import DesiredStatus, Reports
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery
from leasehold.operator.watch.locks import Locks
from tests.support.http_client import until

LOCK = LockName("default", "db")
BODY = {"metadata": {"namespace": "default", "name": "db", "uid": "1", "resourceVersion": "7"}, "spec": {}}


class SlowServer:
    """Takes statuses, and answers when the test lets it."""

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
    """It knows not what its predecessor says: sent as it is, it gives the same transition a second, later time."""
    server, planned_again = SlowServer(), list[LockName]()
    clock = asyncio.get_running_loop().time
    reports = Reports(
        cast(Kube, server),
        Locks(),
        RateLimiter(1000, 1, clock),
        OperatorMetrics(CollectorRegistry(), gauges),
        RetryOnRecovery(),
        clock,
        planned_again.append,
    )
    working = asyncio.create_task(reports.work())
    reports.want(LOCK, DesiredStatus(parse(BODY), {"since": "12:00:00"}, ()))
    await until(lambda: len(server.taken) == 1)
    reports.want(LOCK, DesiredStatus(parse(BODY), {"since": "12:00:01"}, ()))
    server.answers.set()
    await until(lambda: planned_again == [LOCK])
    assert len(reports) == 0
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
