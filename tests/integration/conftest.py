"""Fixtures of the integration tests alone."""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from leasehold.base.clock import now
from leasehold.etcd.client import EtcdClient
from tests.servers import PATIENCE, EtcdServer, Process, Version, wait_for
from tests.support.browser import Browser, why_no_browser
from tests.support.exec_pair import Exec
from tests.support.run_bench import Bench


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a file that need no special window."""
    if reason := why_no_browser():
        pytest.skip(reason)
    with Browser() as started:
        yield started


@pytest.fixture(scope="module", params=get_args(Version))
def server(request: pytest.FixtureRequest) -> Iterator[EtcdServer]:
    """An etcd of each version that we support, for all tests of a file."""
    with EtcdServer(request.param) as server:
        yield server


@pytest.fixture
async def client(server: EtcdServer) -> AsyncIterator[EtcdClient]:
    """Our own client of it."""
    async with EtcdClient([server.url], clock=now, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def bench(etcd: EtcdServer, root: str) -> Iterator[Bench]:
    """A place for sidecars on the shared etcd, whose settings come by flags until told otherwise."""
    with contextlib.ExitStack() as stack:
        yield Bench(stack, "flag", etcd, root)


@pytest.fixture
def make_exec(spawn: Callable[..., Process], root: str, tmp_path: Path) -> Iterator[Callable[..., Exec]]:
    """Makes `leasehold exec`s of one lock; at the end none of their commands' processes may be left."""
    made: list[Exec] = []

    def build(server: EtcdServer, name: str) -> Exec:
        made.append(Exec(spawn, server.url, root, name, tmp_path))
        return made[-1]

    yield build
    for one in made:
        if hasattr(one, "process"):
            one.process.kill()
        wait_for(lambda one=one: not one.alive(), f"{one.name}'s family to be gone", PATIENCE)  # type: ignore[misc]  # no type for a lambda's default


@pytest.fixture
def exec_pair(etcd: EtcdServer, make_exec: Callable[..., Exec]) -> tuple[Exec, Exec]:
    """Two of them on the shared etcd: the one that is to lead first, and the one behind it."""
    return make_exec(etcd, "first"), make_exec(etcd, "second")


@pytest.fixture
def nothing_left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No exception that nobody asked for, no transport that nobody closed: asyncio tells of such."""
    yield
    gc.collect()
    records = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [r.getMessage() for r in records if r.levelno >= logging.ERROR] == []
