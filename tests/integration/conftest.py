"""Fixtures of the integration tests alone."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.servers import EtcdServer
from tests.support.run_bench import Bench


@pytest.fixture
def bench(etcd: EtcdServer, root: str) -> Iterator[Bench]:
    """A place for sidecars on the shared etcd, whose settings come by flags until told otherwise."""
    with contextlib.ExitStack() as stack:
        yield Bench(stack, "flag", etcd, root)
