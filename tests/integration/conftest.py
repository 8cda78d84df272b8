"""Fixtures of the integration tests alone."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.servers import Etcdctl, EtcdServer
from tests.support.run_bench import Bench
from tests.support.stored_lock import StoredLock


@pytest.fixture
def stored(etcdctl: Etcdctl, root: str) -> StoredLock:
    """The lock of the test's sidecars as the shared etcd has it."""
    return StoredLock(etcdctl, root)


@pytest.fixture
def bench(etcd: EtcdServer, root: str) -> Iterator[Bench]:
    """A place for sidecars on the shared etcd, whose settings come by flags until told otherwise."""
    with contextlib.ExitStack() as stack:
        yield Bench(stack, "flag", etcd, root)
