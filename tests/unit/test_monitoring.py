"""The chart's alerts and its dashboard ask for metrics that there are, by labels that those have."""

import json
import math
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import CollectorRegistry

from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Snapshot, State
from leasehold.injector.metrics import InjectorMetrics
from leasehold.lock.names import LockName
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics

FILES: Final = Path(__file__).parents[2] / "charts" / "leasehold" / "files"
LEADING: Final = Snapshot(LockName("prod", "billing"), "billing-0", State.HOLDING, token=17, deadline=1.0, position=0)


def rules() -> list[dict[str, Any]]:
    """All alerts, those about the injector included."""
    text = "".join((FILES / name).read_text() for name in ("alerts.yaml", "injector-alerts.yaml"))
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def alerts() -> dict[str, str]:
    """The expression of each."""
    return {rule["alert"]: rule["expr"] for rule in rules()}


def panels() -> dict[str, str]:
    """The expression of each query of the dashboard."""
    found = json.loads((FILES / "dashboard.json").read_text())["panels"]
    return {
        f"{panel['title']} {number}": target["expr"]
        for panel in found
        for number, target in enumerate(panel.get("targets", []))
    }


def exported() -> dict[str, set[str]]:
    """The labels of every series of the sidecar, the operator and the injector."""
    registry = CollectorRegistry()
    Metrics(registry, Publisher(LEADING, lambda: 0.0)).error("etcd")
    OperatorMetrics(registry, lambda: Gauges(0, 0, 0, 0, active=False, etcd_reachable=False, mirror_age=math.nan))
    InjectorMetrics(registry)
    return {sample.name: set(sample.labels) for metric in registry.collect() for sample in metric.samples}


def aggregated(expression: str) -> set[str]:
    """What it sums by, or matches series on."""
    lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",")} - {"instance"}  # which the scraper adds


@pytest.mark.parametrize("expression", [*alerts().values(), *panels().values()], ids=[*alerts(), *panels()])
def test_it_asks_for_what_there_is(expression: str) -> None:
    series = exported()
    asked = set(re.findall(r"\bleasehold_\w+", expression))
    assert asked
    assert asked <= set(series)
    assert all(aggregated(expression) <= series[name] for name in asked)


def test_alerts_name_labels_that_are_kept() -> None:
    """An annotation uses only labels that the alert's expression keeps in its aggregation."""
    for rule in rules():
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert named <= aggregated(rule["expr"]), rule["alert"]
