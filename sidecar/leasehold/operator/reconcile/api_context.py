"""What every caller of the API server needs, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from leasehold.operator.reconcile.api import Kube
from leasehold.operator.reconcile.metrics import OperatorMetrics
from leasehold.operator.reconcile.ratelimit import RateLimiter
from leasehold.operator.reconcile.retry_on_recovery import RetryOnRecovery


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The API server, the limit on writes to it, what counts them, and the keys that wait for its recovery."""

    kube: Kube
    limiter: RateLimiter
    metrics: OperatorMetrics
    retries: RetryOnRecovery
