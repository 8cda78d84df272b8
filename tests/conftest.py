"""Fixtures of all tests: real servers that end with the test, and their logs in the report of a failure."""

import contextlib
import itertools
import os
import re
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import hypothesis
import pytest

# ruff: noqa: E402  # Else their asserts, and what those call, would be gone under -OO: this comes before their import.
pytest.register_assert_rewrite("tests.support", "tests.servers")

from tests.cluster import ControlPlane
from tests.servers import (
    CertificateAuthority,
    Disk,
    EtcdCluster,
    Etcdctl,
    EtcdServer,
    Peer,
    Postgres,
    Process,
    Toxiproxy,
    disks_available,
    program,
    running_processes,
)
from tests.support.examples import examples
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import StoredLock

# A run in a shell's background, or under nohup, begins with these ignored, and so would everything that it starts.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    """As Ctrl-C does, whatever that does now: in an async test it's the event loop's matter."""
    signal.raise_signal(signal.SIGINT)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Have TERM end the run in order, also after a test that had TERM for itself and left the default."""
    signal.signal(signal.SIGTERM, _interrupt)


signal.signal(signal.SIGTERM, _interrupt)

# A busy machine must not fail a property test by being slow; CI draws the same examples each time.
_EXAMPLES = examples(100)
hypothesis.settings.register_profile("suite", max_examples=_EXAMPLES, deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("suite")

_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of every running process's log to the report of a failure."""
    report = yield
    if report.failed:
        for process in running_processes():
            report.sections.append((f"log of {process.name} ({process.pid})", process.log_tail()))
    return report


@pytest.fixture(scope="session")
def etcd() -> Iterator[EtcdServer]:
    """One etcd 3.7 for all tests that do it no harm; each uses its own `root`. Others take `etcd_factory`."""
    with EtcdServer(name="etcd-shared") as server:
        yield server


@pytest.fixture
def etcdctl(etcd: EtcdServer) -> Etcdctl:
    """The real etcdctl on the shared etcd."""
    return etcd.ctl


@pytest.fixture
def root(request: pytest.FixtureRequest) -> str:
    """An etcd prefix of the test's own, to give as `--root`."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    return f"/{name}-{next(_numbers)}"


@pytest.fixture
def stored(etcdctl: Etcdctl, root: str) -> StoredLock:
    """The lock of the test's sidecars as the shared etcd has it."""
    return StoredLock(etcdctl, root)


class _Started(Protocol):
    def start(self) -> None: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=_Started)


@contextlib.contextmanager
def _starting(kind: Callable[..., S]) -> Iterator[Callable[..., S]]:
    """What makes and starts one of these for each call; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def start(*args: Any, **kwargs: Any) -> S:
            made = kind(*args, **kwargs)
            stack.callback(made.close)  # before the start, which may fail
            made.start()
            return made

        yield start


@pytest.fixture
def etcd_factory() -> Iterator[Callable[..., EtcdServer]]:
    """Starts an etcd of the test's own; arguments as those of EtcdServer."""
    with _starting(EtcdServer) as start:
        yield start


@pytest.fixture
def cluster_factory() -> Iterator[Callable[..., EtcdCluster]]:
    """Starts a cluster of the test's own; arguments as those of EtcdCluster."""
    with _starting(EtcdCluster) as start:
        yield start


@pytest.fixture
def peer_factory() -> Iterator[Callable[..., Peer]]:
    """Starts a candidate of etcd's own Go election; arguments as those of Peer."""
    with _starting(Peer) as start:
        yield start


@pytest.fixture
def spawn() -> Iterator[Callable[..., Process]]:
    """Starts any process; arguments as those of Process."""
    with _starting(Process) as start:
        yield start


@pytest.fixture
def sidecar_factory(etcd: EtcdServer, root: str) -> Iterator[Callable[..., Sidecar]]:
    """Starts a sidecar, on the shared etcd and the test's own root unless told otherwise; arguments as Sidecar's."""
    with contextlib.ExitStack() as stack:

        def start(name: str, server: str | None = None, **kwargs: Any) -> Sidecar:
            sidecar = Sidecar(server or etcd.url, name, **{"root": root, **kwargs})
            stack.callback(sidecar.close)  # before the start, which may fail
            sidecar.start()
            return sidecar

        yield start


@pytest.fixture
def disk_factory(etcd_factory: object, cluster_factory: object) -> Iterator[Callable[..., Disk]]:
    """Makes disks that can hang.

    It takes the server factories so that the disks are thawed and closed before the servers on them.
    """
    if not disks_available():
        pytest.skip("a disk that hangs needs root and loop devices")
    with contextlib.ExitStack() as stack:

        def make(*args: Any, **kwargs: Any) -> Disk:
            return stack.enter_context(Disk(*args, **kwargs))

        yield make


@pytest.fixture
def certs(tmp_path: Path) -> CertificateAuthority:
    """A certificate authority of the test's own."""
    return CertificateAuthority(tmp_path / "certs")


@pytest.fixture
def toxiproxy() -> Iterator[Toxiproxy]:
    """A TCP proxy between a client and a real server, that delays, throttles and cuts."""
    with Toxiproxy() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One real PostgreSQL for all tests; each uses its own table."""
    with Postgres() as server:
        yield server


# --- Kubernetes ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def api() -> Iterator[ControlPlane]:
    """One Kubernetes API for all tests that do it no harm; each uses its own `namespace`."""
    with ControlPlane(name="shared") as control_plane:
        yield control_plane


@pytest.fixture
def namespace(api: ControlPlane) -> Iterator[str]:
    """A fresh namespace of `api`; its Locks and pods go with the test."""
    name = api.make_namespace()
    yield name
    api.remove_namespace(name)


@pytest.fixture
def control_plane_factory() -> Iterator[Callable[..., ControlPlane]]:
    """Starts a control plane of the test's own; arguments as those of ControlPlane."""
    program("kube-apiserver")  # built here if need be: a fixture's time isn't the test's
    with _starting(ControlPlane) as start:
        yield start
