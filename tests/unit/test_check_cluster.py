"""What facts about a cluster mean: Leasehold's own parts, Locks and workloads. Each flaw is one row."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leasehold.check import kube_rows, workload_rows
from leasehold.check.kube_facts import KubeFacts, Right, SidecarAnswer
from leasehold.check.kube_reading import gate_of, lock_of
from leasehold.check.rows import Level
from tests.servers import CertificateAuthority

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def part(name: str, ready: int) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": name}
    return {
        "metadata": {"name": name, "namespace": "s", "labels": labels},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": ready},
    }


def canary(age: float) -> dict[str, Any]:
    written = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": kube_rows.CANARY, "managedFields": [{"time": written}]}}


def hook(bundle: str) -> dict[str, Any]:
    return {"webhooks": [{"name": "h", "clientConfig": {"caBundle": base64.b64encode(bundle.encode()).decode()}}]}


@pytest.fixture
def sound(certs: CertificateAuthority) -> KubeFacts:
    """All is well, and nobody uses it."""
    certificate = Path(certs.server("one", not_after=NOW + timedelta(days=90)).cert).read_text()
    return KubeFacts(
        version={"gitVersion": "v1.34.1", "minor": "34"},
        locks=[canary(20)],
        deployments=[part("operator", 2), part("injector", 2)],
        webhooks=[hook(certificate)],
        policies=[{"metadata": {"name": "leasehold-sidecar"}}],
        pods=[],
        workloads=[],
        budgets=[],
        rights=[Right("patch", "locks", allowed=True)],
    )


def troubles(facts: KubeFacts) -> dict[str, Level]:
    found = [*kube_rows.rows_of(facts, NOW), *workload_rows.rows_of(facts)]
    assert all(row.cure for row in found if row.level in (Level.WARNING, Level.FAILED))
    return {row.check: row.level for row in found if row.level is not Level.OK}


@pytest.mark.parametrize(
    ("flaw", "check", "level"),
    [
        ({"version": {"gitVersion": "v1.29.3", "minor": "29+"}}, "kubernetes", Level.FAILED),
        ({"version": "no answer"}, "kubernetes", Level.UNKNOWN),
        ({"locks": "there are none"}, "resource", Level.UNKNOWN),
        ({"locks": [canary(121)]}, "operator-alive", Level.FAILED),
        ({"deployments": []}, "operator", Level.FAILED),
        ({"deployments": [part("operator", 0)]}, "operator", Level.FAILED),
        ({"deployments": [part("operator", 1)]}, "operator", Level.WARNING),
        ({"deployments": [part("operator", 2), part("injector", 0)]}, "injector", Level.FAILED),
        ({"webhooks": []}, "injector-webhook", Level.FAILED),
        ({"webhooks": [hook("")]}, "injector-webhook", Level.FAILED),
        ({"policies": []}, "policy", Level.WARNING),
        ({"rights": [Right("patch", "locks", allowed=False)]}, "rights", Level.FAILED),
        ({"rights": [Right("patch", "locks", allowed=None, why="you may not ask")]}, "rights", Level.UNKNOWN),
        ({"sidecars": [SidecarAnswer("n/p", 503, "app unhealthy")]}, "pod-queued", Level.FAILED),
        ({"sidecars": [SidecarAnswer("n/p", 0, "you may not ask")]}, "pod-queued", Level.UNKNOWN),
        ({"secrets": {"n": {"s": "you may not ask"}}}, "secret", Level.UNKNOWN),
        ({"budgets": "you may not ask"}, "budget", Level.UNKNOWN),
    ],
)
def test_flaw_of_a_cluster(sound: KubeFacts, flaw: dict[str, Any], check: str, level: Level) -> None:
    assert troubles(sound) == {}
    assert troubles(replace(sound, **flaw)) == {check: level}


def test_certificate_of_the_webhook_ends(sound: KubeFacts, certs: CertificateAuthority) -> None:
    ended = Path(certs.server("two", not_after=NOW).cert).read_text()
    assert troubles(replace(sound, webhooks=[hook(ended)])) == {"injector-webhook": Level.FAILED}


@pytest.mark.parametrize(
    "junk", [None, 3, "x", [], {"metadata": 3}, {"spec": {"initContainers": [3, {"name": "leasehold"}]}}]
)
def test_junk_is_no_error(sound: KubeFacts, junk: Any) -> None:
    """Whatever stands in an object, a row comes of it or nothing."""
    objects = [junk if isinstance(junk, dict) else {"metadata": junk, "spec": junk, "status": junk}]
    facts = replace(sound, locks=objects, pods=objects, workloads=objects, budgets=objects, deployments=objects)
    troubles(replace(facts, webhooks=objects, policies=objects, version=objects[0]))
    kube_rows.lock_rows(objects)


def test_pods_of_all_ways_are_read() -> None:
    """By the injector, by the library chart, by hand."""
    by_hand = {"name": "leasehold", "args": ["run", "--lock=n/reports"]}
    app = {"name": "app", "readinessProbe": {"httpGet": {"path": "/leader"}}}
    pod = {"spec": {"initContainers": [by_hand], "containers": [app]}}
    assert (lock_of(pod), gate_of(pod)) == ("reports", "readiness")
    variable = {"name": "leasehold", "env": [{"name": "LEASEHOLD_LOCK", "value": "reports"}]}
    pod = {"spec": {"initContainers": [variable], "containers": []}}
    assert (lock_of(pod), gate_of(pod)) == ("reports", "label")
