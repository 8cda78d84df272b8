"""The chart's alerts and its dashboard ask for metrics that there are, by labels that those have."""

import json
import math
import re
from dataclasses import replace
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
from leasehold.lock.reason import Code, Reason
from leasehold.operator.certificates.keeper import renewal_metric
from leasehold.operator.reconcile.metrics import Gauges, OperatorMetrics

FILES: Final = Path(__file__).parents[2] / "charts" / "leasehold" / "files"
LEADING: Final = Snapshot(LockName("prod", "billing"), "billing-0", State.HOLDING, token=17, deadline=1.0, position=0)


BEHIND: Final = Reason(Code.BEHIND, since=0.0)
TROUBLED: Final = Gauges(0, 0, 0, 0, active=False, etcd_reachable=False, mirror_age=math.nan, attention=[("a/b", "X")])
SCRAPED: Final = {"instance", "namespace", "pod", "cluster"}
"""Labels that the scraper adds."""


def rules() -> list[dict[str, Any]]:
    """All alerts, those about the injector included."""
    text = "\n".join((FILES / f"{name}.yaml").read_text() for name in ("alerts", "etcd-alerts", "injector-alerts"))
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
    OperatorMetrics(registry, lambda: TROUBLED)
    InjectorMetrics(registry)
    renewal_metric(registry).labels("ns/etcd-server").set(0)
    waiting = CollectorRegistry()
    Metrics(waiting, Publisher(replace(LEADING, state=State.WAITING, position=1, reason=BEHIND), lambda: 0.0))
    metrics = [*registry.collect(), *waiting.collect()]
    return {sample.name: set(sample.labels) for metric in metrics for sample in metric.samples}


def aggregated(expression: str) -> set[str]:
    """What it sums by, or matches series on."""
    lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",")}


@pytest.mark.parametrize("expression", [*alerts().values(), *panels().values()], ids=[*alerts(), *panels()])
def test_it_asks_for_what_there_is(expression: str) -> None:
    series = exported()
    asked = set(re.findall(r"\bleasehold_\w+", expression))
    assert asked or 'job="leasehold-etcd"' in expression
    assert asked <= set(series)
    assert all(aggregated(expression) - SCRAPED <= series[name] for name in asked)


def test_alerts_name_labels_that_are_kept() -> None:
    """An annotation uses only labels that the alert's expression keeps in its aggregation."""
    for rule in rules():
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert named <= aggregated(rule["expr"]), rule["alert"]


def test_each_alert_has_a_runbook() -> None:
    """A heading of its own on the page that its annotation names."""
    headings = re.findall(r"^## (\w+)$", (FILES.parent / "RUNBOOKS.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alerts())
    assert all(rule["annotations"]["runbook_url"] == f"RUNBOOKS#{rule['alert'].lower()}" for rule in rules())


def test_dashboard_of_several_clusters() -> None:
    """Each query is narrowed by the variables: the cluster, and for sidecars the namespace and the lock."""
    variables = {each["name"] for each in json.loads((FILES / "dashboard.json").read_text())["templating"]["list"]}
    assert variables == {"datasource", "cluster", "namespace", "lock"}
    for title, expression in panels().items():
        for name, selector in re.findall(r"\b(leasehold_\w+)\{([^}]*)\}", expression):
            wanted = {"cluster"} if name.startswith("leasehold_operator_") else variables - {"datasource"}
            assert set(re.findall(r"\$(\w+)", selector)) == wanted, title
        assert len(re.findall(r"\bleasehold_\w+(?!\w|\{)", expression)) == 0, title
        lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        assert all("cluster" in one for one in lists if "lock" in one), f"{title}: two clusters may have the same lock"


def test_alerts_of_several_clusters() -> None:
    """One cluster's health hides no other's: whatever is summed is summed by cluster, and nothing asks for absence."""
    for name, expression in alerts().items():
        lists = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
        assert all("cluster" in one for one in lists), name
        assert "absent(" not in expression, name
        assert len(re.findall(r"\b(?:sum|max|count|min)\b(?! by)", expression)) == 0, name
