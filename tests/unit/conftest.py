"""What no unit test leaves behind for the next one."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def level_of_our_logs() -> Iterator[None]:
    """Commands such as `leasehold status` silence our logs for the rest of their process, which here is the run's."""
    logger = logging.getLogger("leasehold")
    level = logger.level
    yield
    logger.setLevel(level)
