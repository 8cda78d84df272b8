"""Fixtures of the simulation."""

from collections.abc import Iterator

import pytest

from .compiled_records import compiled_records


@pytest.fixture
def quick() -> Iterator[None]:
    """For tests that run many schedules."""
    with compiled_records():
        yield
