"""After an uninstall no pod keeps the label of a leader; what is not Leasehold's stays as it is."""

from collections.abc import Callable
from typing import Any

import pytest

from leasehold.base import clock
from leasehold.kube.access import Access
from leasehold.kube.call import KubeCall
from leasehold.kube.job import CALL_TIMEOUT_SECONDS
from leasehold.lock.kube_names import LEADER_LABEL, LEADER_OF
from leasehold.operator import unlabel
from tests.cluster import ControlPlane

LABEL = {LEADER_LABEL: "true"}


@pytest.fixture
def labels(api: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The labels of five pods before: three of leaders, one of somebody else's, one of none. Pages hold two."""
    monkeypatch.setattr(unlabel, "_PAGE", "2")
    monkeypatch.setattr(unlabel, "PAUSE_SECONDS", 0.5)
    for number in range(3):
        api.make_pod(f"leader-{number}", namespace, labels={"app": "x", **LABEL}, annotations={LEADER_OF: "a,b"})
    api.make_pod("by-hand", namespace, labels=LABEL)
    api.make_pod("waiter", namespace, labels={"app": "x"})
    return labels_of(api, namespace)


def labels_of(api: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    found = api.list("pods", namespace)
    return {pod["metadata"]["name"]: pod["metadata"].get("labels", {}) for pod in found}


async def remove(api: ControlPlane, timeout: float, now: Callable[[], float] = clock.now) -> bool:
    call = KubeCall(await Access.load(api.kubeconfig()), CALL_TIMEOUT_SECONDS)
    try:
        return await unlabel.remove_labels(call, now, timeout)
    finally:
        await call.close()


async def test_labels_are_taken_off(api: ControlPlane, namespace: str, labels: dict[str, dict[str, Any]]) -> None:
    assert await remove(api, 60)
    expected = {name: {"app": "x"} if name.startswith("leader") else before for name, before in labels.items()}
    assert labels_of(api, namespace) == expected
    assert not any(LEADER_OF in one["metadata"].get("annotations", {}) for one in api.list("pods", namespace))


@pytest.mark.usefixtures("labels")
async def test_an_operator_that_goes_on(api: ControlPlane, namespace: str) -> None:
    """It labels again what was unlabelled, as long as it runs: that is not taken for success."""

    def now() -> float:  # asked before each look: an operator that pauses for longer than one is none that goes on
        marks = {"labels": LABEL, "annotations": {LEADER_OF: "a"}}
        api.patch("pods", "leader-0", {"metadata": marks}, namespace)
        return clock.now()

    assert not await remove(api, 5, now)
    assert await remove(api, 60)
