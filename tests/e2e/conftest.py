"""The cluster with Leasehold installed, that all tests share which do it no harm; and namespaces to work in."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cluster import Cluster, images, why_unavailable
from tests.cluster.helm import build_dependencies
from tests.e2e.first_steps import FirstSteps
from tests.e2e.installation import CHARTS, Installation
from tests.e2e.workload import LONG_SECONDS, Workload


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that share a cluster come last: it ends with the run, and idle it takes a tenth of a processor."""
    items.sort(key=lambda item: "bare" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def bare(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """One node and all images, and nothing on it yet; progress of what has to be built is shown."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        if reason := why_unavailable():
            pytest.skip(f"{reason} Not tested: charts, injection and pods on real nodes.")
        made = Cluster(1, name="e2e")
        made.start()
        images.load_all(made)
    build_dependencies(CHARTS / "singleton")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def first(bare: Cluster) -> FirstSteps:
    """What becomes of somebody who follows the documentation: two commands, without a value, where nothing is."""
    return FirstSteps.take(bare)


@pytest.fixture(scope="session")
def installed(first: FirstSteps) -> Installation:
    """The chart on that cluster, with one member of its own etcd, and the page."""
    first.installation.upgrade(**{"ui.enabled": True})
    return first.installation


@pytest.fixture(params=["policy", "webhook"], scope="session")
def mode(request: pytest.FixtureRequest, installed: Installation) -> str:
    """What injects, for the tests of injection: all in one mode, then all in the other."""
    chosen: str = request.param
    installed.switch(chosen)
    return chosen


@pytest.fixture
def cluster(installed: Installation) -> Cluster:
    """The cluster on which Leasehold is installed."""
    return installed.cluster


@pytest.fixture
def own(installed: Installation) -> Iterator[str]:
    """A namespace of the test's own, in which nothing is prepared."""
    name = installed.cluster.make_namespace()
    yield name
    installed.cluster.remove_namespace(name)


@pytest.fixture
def workload(cluster: Cluster, own: str) -> Callable[..., Workload]:
    """Makes a Workload in that namespace; arguments as its own. No busy node runs its lease out."""

    def make(name: str = "one", **values: object) -> Workload:
        return Workload(cluster, own, name, **{"lock.leaseDurationSeconds": LONG_SECONDS, **values})

    return make
