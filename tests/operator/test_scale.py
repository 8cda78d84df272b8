"""Thousands of Locks: all are declared, all statuses are right, and then there is silence. Nothing is timed here.

Two thousand in the suite, for ten thousand take two and a half minutes of two cores that do nothing else; set
LEASEHOLD_TEST_LOCKS=10000 for all of them. `python -m tests.bench operator` always takes ten thousand, fails as well
when a status is wrong, and measures how long it takes.
"""

import os
import time
from collections.abc import Callable

import pytest

from leasehold.lock.names import LockName
from tests.bench.processes import memory
from tests.cluster import ControlPlane
from tests.operator import many_locks
from tests.operator.conftest import operator_user
from tests.operator.operator_process import Operator
from tests.servers import EtcdServer, wait_for

LOCKS = int(os.environ.get("LEASEHOLD_TEST_LOCKS", "2000"))
HELD_EVERY = 10
"""Of so many Locks one has a holder."""
PATIENCE = 900.0
"""Seconds: each step takes well under a minute where two cores have nothing else to do."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the metrics."""
MOST_MEMORY = 500e6
"""Bytes resident at most, on whatever machine; the figure to reach is 300 MB."""

Start = Callable[..., Operator]


@pytest.fixture
def plane(control_plane_factory: Callable[..., ControlPlane]) -> ControlPlane:
    """A control plane of its own: to clean so many Locks out of the shared one would take as long as the test."""
    return control_plane_factory(name="scale")


@pytest.mark.timeout(3600)  # it makes and changes thousands of resources; on a busy machine that takes its time
def test_thousands_of_locks(
    plane: ControlPlane, etcd_factory: Callable[..., EtcdServer], operator_factory: Start, root: str
) -> None:
    """A cold start declares and reports them all; whoever comes after it finds nothing to write, idle or comparing."""
    names = many_locks.names(0, LOCKS)
    server = etcd_factory().url
    kubeconfig = plane.kubeconfig(operator_user(plane))
    many_locks.make_locks(plane, names)
    tokens = many_locks.hold(server, root, names[::HELD_EVERY])

    first = operator_factory("first", server, kubeconfig=kubeconfig, control_plane=plane, flags=["--log-level", "info"])
    wait_until(lambda: has_settled(first), "all Locks to be declared and reported")
    assert many_locks.declared_count(server, root) == LOCKS
    assert many_locks.count_wrong(plane, names, tokens) == 0
    assert first.etcd_writes() == LOCKS
    # On a busy machine two of 2,000 were once reported twice. That it ends is what the second operator shows.
    assert LOCKS <= first.metric("api_writes_total", kind="status") < 1.01 * LOCKS
    assert memory(first.pid).rss < MOST_MEMORY
    assert first.errors() == 0
    assert first.terminate() == 0

    before = versions_of(plane)
    second = operator_factory("second", server, kubeconfig=kubeconfig, control_plane=plane, flags=COMPARING)
    wait_until(lambda: has_settled(second), "the second to have seen them all")
    songs = canaries(second) + 1
    wait_until(lambda: canaries(second) >= songs, "the canary, and so at least one comparison")
    assert (second.etcd_writes(), second.api_writes(), second.errors()) == (0, 0, 0)
    assert versions_of(plane) == before
    assert memory(second.pid).rss < MOST_MEMORY


COMPARING = ("--log-level", "info", "--compare-every", "10")
"""With half the canary's interval between two full comparisons."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """As `wait_for`, with fewer looks: each costs the operator some milliseconds, which it has a better use for."""

    def look() -> bool:
        time.sleep(LOOK_EVERY)
        return bool(condition())

    wait_for(look, what, PATIENCE)


def has_settled(operator: Operator) -> bool:
    """Whether it is active, has seen and declared all, and has nothing left to do."""
    now = operator.metrics()
    names = ("active", "locks", "declared", "queue_length", "reports_waiting")
    return [now[name] for name in names] == [1, LOCKS, LOCKS, 0, 0]


def canaries(operator: Operator) -> float:
    """How often it has touched its canary."""
    return operator.metric("api_writes_total", kind="canary")


def versions_of(plane: ControlPlane) -> dict[LockName, str]:
    """The resourceVersion of every Lock: any write would raise it."""
    return {name: one["metadata"]["resourceVersion"] for name, one in many_locks.all_locks(plane)}
