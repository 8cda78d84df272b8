"""The gate `label` while no operator is there: a Service routes to nobody rather than to a pod that does not lead."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.node import PATIENCE
from tests.e2e.installation import Installation, ready
from tests.e2e.witness import PodWitness
from tests.e2e.workload import Workload
from tests.servers import wait_for

_HAND_OVER = """
from urllib.request import Request, urlopen
urlopen(Request("http://127.0.0.1:4041/handover", method="POST"), timeout=30)
"""


@pytest.fixture
def one(workload: Callable[..., Workload]) -> Workload:
    """Two pods that are Ready while they queue, of which the leader's has the label."""
    made = workload(replicas=2, **{"leasehold.gate": "label"})
    made.install()
    made.wait_ready(2)
    return made


def test_nobody_is_routed_to_who_does_not_lead(installed: Installation, one: Workload) -> None:
    """A leader hands over: its label stays, and it is no endpoint any more; with an operator, the next one is."""
    with PodWitness(installed.cluster, one.namespace, one.labels) as witness:
        first = witness.wait_leader().name
        wait_for(lambda: one.endpoints() == [address(one, first)], "the leader to be routed to", PATIENCE)
        with no_operator(installed):
            one.kubectl("exec", first, "--container=leasehold", "--", "python3", "-c", _HAND_OVER)
            second = witness.wait_leader(but=first).name
            wait_for(lambda: one.endpoints() == [], "nobody to be routed to", PATIENCE)
        wait_for(lambda: one.endpoints() == [address(one, second)], "the next one to be routed to", PATIENCE)
        one.wait_ready(2)
        assert witness.contradictions() == []


@contextlib.contextmanager
def no_operator(installed: Installation) -> Iterator[None]:
    """All replicas are gone meanwhile, as if nobody would ever come back."""
    scale = ["-n", installed.namespace, "scale", "deployment/leasehold-operator"]
    installed.cluster.kubectl(*scale, "--replicas=0")
    try:
        wait_for(lambda: installed.pods("operator") == [], "the operator to be gone", PATIENCE)
        yield
    finally:
        installed.cluster.kubectl(*scale, "--replicas=2")
        wait_for(lambda: [*map(ready, installed.pods("operator"))] == [True, True], "the operator to be back", PATIENCE)


def address(one: Workload, name: str) -> str:
    """A pod's."""
    (found,) = (pod for pod in one.pods() if pod["metadata"]["name"] == name)
    return str(found["status"]["podIP"])
