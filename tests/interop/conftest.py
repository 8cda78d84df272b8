"""Fixtures of the interoperability tests alone."""

import pytest

from tests.servers import Etcdctl
from tests.support.stored_lock import StoredLock


@pytest.fixture
def stored(etcdctl: Etcdctl, root: str) -> StoredLock:
    """The lock of the test's sidecars as the shared etcd has it."""
    return StoredLock(etcdctl, root)
