"""The operator's metrics: every counter exists from the start, and gauges are read at the scrape."""

import math
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from leasehold.operator.reconcile.metrics import API_WRITES, ERRORS, ETCD_WRITES, RESULTS, Gauges, OperatorMetrics

STANDBY = Gauges(0, 0, 0, 0, active=False, etcd_reachable=False, mirror_age=math.nan)


def scrape(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_counters_start_at_zero() -> None:
    """Every kind is there from the start."""
    registry = CollectorRegistry()
    OperatorMetrics(registry, lambda: STANDBY)
    found = scrape(registry)
    for name, label, values in (
        ("reconciles", "result", RESULTS),
        ("errors", "kind", ERRORS),
        ("api_writes", "kind", API_WRITES),
        ("etcd_writes", "kind", ETCD_WRITES),
    ):
        assert all(found[f'leasehold_operator_{name}_total{{{label}="{value}"}}'] == 0 for value in values)


def test_reports_are_counted() -> None:
    registry = CollectorRegistry()
    metrics = OperatorMetrics(registry, lambda: STANDBY)
    metrics.reconciled("done", 0.02)
    metrics.error("etcd")
    metrics.api_write("status")
    metrics.etcd_write("put")
    found = scrape(registry)
    assert found['leasehold_operator_reconciles_total{result="done"}'] == 1
    assert found["leasehold_operator_reconcile_duration_seconds_count"] == 1
    assert found['leasehold_operator_errors_total{kind="etcd"}'] == 1
    assert found['leasehold_operator_api_writes_total{kind="status"}'] == 1
    assert found['leasehold_operator_etcd_writes_total{kind="put"}'] == 1


def test_gauges_are_read_at_the_scrape() -> None:
    registry = CollectorRegistry()
    now = STANDBY
    OperatorMetrics(registry, lambda: now)
    assert math.isnan(scrape(registry)["leasehold_operator_mirror_age_seconds"])
    now = replace(now, locks=3, active=True, mirror_age=1.5)
    found = scrape(registry)
    assert found["leasehold_operator_locks"] == 3
    assert found["leasehold_operator_active"] == 1
    assert found["leasehold_operator_etcd_reachable"] == 0
    assert found["leasehold_operator_mirror_age_seconds"] == 1.5
