"""The operator's Prometheus metrics.

The election of its replicas has the sidecar's metrics, labelled with the operator's lock. The metrics here concern the
Locks of the whole cluster. There may be ten thousand, so only those that need attention are named, and of these only a
hundred. Gauges are read from the operator's state at the scrape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

DURATION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RESULTS: Final = ("done", "again", "failed")
"""How a reconcile ends: nothing is left to do; a change overtook it, so it is repeated soon; it is retried later."""
API_WRITES: Final = ("status", "finalizers", "event", "label", "canary")
ETCD_WRITES: Final = ("put", "delete", "evict")
ERRORS: Final = ("etcd", "api", "bug", "inactive", "conflict")


@dataclass(frozen=True, slots=True)
class Gauges:
    """The operator's state at a scrape. `mirror_age`: seconds since the mirror was last proven to be current."""

    locks: int
    declared: int
    queue_length: int
    reports_waiting: int
    active: bool
    etcd_reachable: bool
    mirror_age: float
    attention: Sequence[tuple[str, str]] = ()
    """Locks that need attention, and the reason of each: of the condition that says so."""
    etcd_endpoints: int = 0


MAX_NAMED_LOCKS: Final = 100


class OperatorMetrics:
    """Counts in the given registry, and exposes what `gauges` returns."""

    def __init__(self, registry: CollectorRegistry, gauges: Callable[[], Gauges]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotations
        self._reconciles = Counter(
            "leasehold_operator_reconciles", "Reconciles of a Lock, by result.", ["result"], registry=registry
        )
        self._errors = Counter("leasehold_operator_errors", "Errors, by kind.", ["kind"], registry=registry)
        self._api = Counter(
            "leasehold_operator_api_writes",
            "Writes to the API server that were done, by kind.",
            ["kind"],
            registry=registry,
        )
        self._etcd = Counter(
            "leasehold_operator_etcd_writes", "Writes to etcd that were done, by kind.", ["kind"], registry=registry
        )
        self._durations = Histogram(
            "leasehold_operator_reconcile_duration_seconds",
            "Time of one reconcile of a Lock, its writes included.",
            registry=registry,
            buckets=DURATION_BUCKETS,
        )
        self._show_zeros()
        registry.register(_GaugeCollector(gauges))

    def reconciled(self, result: str, seconds: float) -> None:
        """A reconcile of a Lock has ended after so many seconds. `result` is one of `RESULTS`."""
        self._reconciles.labels(result).inc()
        self._durations.observe(seconds)

    def error(self, kind: str) -> None:
        """Something failed. `kind` is one of `ERRORS`."""
        self._errors.labels(kind).inc()

    def api_write(self, kind: str) -> None:
        """A write to the API server succeeded. `kind` is one of `API_WRITES`."""
        self._api.labels(kind).inc()

    def etcd_write(self, kind: str) -> None:
        """A write to etcd succeeded. `kind` is one of `ETCD_WRITES`."""
        self._etcd.labels(kind).inc()

    def _show_zeros(self) -> None:
        # If a counter appeared with its first event, rate() would not count that event. So all exist from the start.
        shown = (
            (self._reconciles, RESULTS),
            (self._errors, ERRORS),
            (self._api, API_WRITES),
            (self._etcd, ETCD_WRITES),
        )
        for counter, values in shown:
            for value in values:
                counter.labels(value)


class _GaugeCollector(Collector):
    """The gauges at the scrape."""

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        now = self._gauges()
        for name, text, value in (
            ("locks", "Lock resources known.", now.locks),
            ("declared", "Locks that are declared in etcd, by this operator or another.", now.declared),
            ("queue_length", "Locks that wait for a reconcile or are being reconciled.", now.queue_length),
            ("reports_waiting", "Statuses, pods' labels and events that wait to be written.", now.reports_waiting),
            ("active", "1 while this replica may write etcd, else 0.", now.active),
            ("etcd_reachable", "1 while etcd answers, else 0.", now.etcd_reachable),
            ("etcd_endpoints", "Addresses of etcd that this replica has, one a member.", now.etcd_endpoints),
            ("mirror_age_seconds", "Time since the mirror of etcd was last known to be current.", now.mirror_age),
        ):
            yield GaugeMetricFamily(f"leasehold_operator_{name}", text, value=float(value))
        named = GaugeMetricFamily(
            "leasehold_operator_lock_attention",
            "1 for a Lock that is not Ready, is Degraded, or has nobody who holds it, by reason; 100 of them at most.",
            labels=["lock", "reason"],
        )
        for lock, reason in now.attention[:MAX_NAMED_LOCKS]:
            named.add_metric([lock, reason], 1.0)
        yield named

    def describe(self) -> list[Metric]:
        # A registry would otherwise call `collect` at registration, before the operator's state exists.
        return []
