"""What the charts need to be rendered: the library chart where its users have it."""

import pytest

from tests.charts.rendered import SINGLETON
from tests.cluster.helm import build_dependencies
from tests.servers import program


@pytest.fixture(scope="session", autouse=True)
def dependencies() -> None:
    """The library chart in the chart that uses it, from this checkout."""
    program("helm")
    build_dependencies(SINGLETON)
