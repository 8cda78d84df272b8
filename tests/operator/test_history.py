"""The last terms of a Lock, as its status and `kubectl leasehold history` show them, and the order of its events."""

from __future__ import annotations

from typing import Any

from tests.cluster.objects import Object
from tests.operator.kubectl_plugin import Plugin
from tests.operator.operator_scene import Scene


def terms(seen: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = seen.get("status", {}).get("recentTerms", [])
    return found


def test_terms_of_a_lock(scene: Scene) -> None:
    """Each end is told with its cause and with who asked for it; the list outlives the operator."""
    scene.declare()
    a = scene.sidecar("a", pod=scene.pod("a"))
    scene.wait_held("a")
    b = scene.sidecar("b", pod=scene.pod("b"))
    scene.wait(lambda now: now["status"]["waiterCount"] == 1, "b to wait")
    a.post("/pause")
    b.wait_leading()
    scene.wait_held("b")
    scene.change(suspend=True)
    seen = scene.wait(lambda now: len(terms(now)) == 2, "two terms")
    first, second = terms(seen)
    assert (first["identity"], first["reason"]) == ("a", "Released")
    assert (second["identity"], second["reason"], second["gapSeconds"]) == ("b", "Released", second["gapSeconds"])
    managers = [one["manager"] for one in seen["metadata"]["managedFields"] if "f:spec" in one["fieldsV1"]]
    assert second["requestedBy"] in managers
    assert "as spec.suspend asks" in second["message"]
    scene.wait_told(
        ("LockAcquired", first["fencingToken"]),
        ("LockReleased", first["fencingToken"]),
        ("LockAcquired", second["fencingToken"]),
        ("LockReleased", second["fencingToken"]),
        ("Suspended", 0),
    )
    names = [
        (event["metadata"]["name"], event["reason"])
        for event in scene.api.list("events", scene.namespace)
        if event["involvedObject"]["name"] == "db" and event["reason"] != "Suspended"
    ]
    order = [reason for _, reason in sorted(names)]
    assert order == ["LockAcquired", "LockReleased"] * 2
    scene.operator.kill()
    scene.operator.start()
    scene.change(suspend=False)
    seen = scene.wait_held("b")
    assert terms(seen) == [first, second]
    shown = Plugin(scene.api, scene.namespace).ok("history", "db").splitlines()
    assert [line.split()[0] for line in shown] == ["HOLDER", "a", "b", "b"]
