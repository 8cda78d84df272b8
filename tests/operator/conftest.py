"""Fixtures of the operator's tests: operators with the rights of their manifest, and Locks in etcd."""

import contextlib
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.lock.kube_names import CANARY
from tests.cluster import ControlPlane
from tests.cluster.rest import ApiError
from tests.operator.crd_locks import Locks
from tests.operator.enrolled import Enrolled
from tests.operator.kubectl_plugin import Plugin
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, install_operator
from tests.operator.operator_on_own_etcd import OwnEtcd
from tests.operator.operator_process import Operator
from tests.operator.operator_scene import Scene
from tests.servers import PATIENCE, CertificateAuthority, EtcdCluster, EtcdServer, program
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import StoredLock, stored_lock

_users: weakref.WeakKeyDictionary[ControlPlane, str] = weakref.WeakKeyDictionary()


def operator_user(api: ControlPlane) -> str:
    """The operator's service account in this control plane, installed at the first call."""
    if api not in _users:
        _users[api] = install_operator(api)
    return _users[api]


@pytest.fixture
def operator_factory(request: pytest.FixtureRequest, etcd: EtcdServer, root: str) -> Iterator[Callable[..., Operator]]:
    """Starts an operator; on the shared servers, and with the test's own root, unless told otherwise.

    `start(name, server=URL of etcd, control_plane=, kubeconfig=, begin=True not to wait, …)`; the rest as Operator's.
    """
    with contextlib.ExitStack() as stack:

        def start(
            name: str = "operator",
            server: str | None = None,
            *,
            control_plane: ControlPlane | None = None,
            begin: bool = False,
            **kwargs: Any,
        ) -> Operator:
            plane: ControlPlane = control_plane or request.getfixturevalue("api")
            kubeconfig = kwargs.pop("kubeconfig", None) or plane.kubeconfig(operator_user(plane))
            settings = {"root": root, "namespace": OPERATOR_NAMESPACE, **kwargs}
            operator = Operator(server or etcd.url, kubeconfig, name, **settings)
            # an old canary says that no operator reports, and the plugin tells that to whoever asks after this test
            stack.callback(_remove_canary, plane, settings["namespace"])
            stack.callback(operator.close)  # before the start, which may fail
            if begin:
                operator.begin()
            else:
                operator.start()
            return operator

        yield start


def _remove_canary(plane: ControlPlane, namespace: str) -> None:
    with contextlib.suppress(OSError, ApiError):  # the test may have ended the API server, or taken the CRD away
        plane.delete("locks", CANARY, namespace)


@pytest.fixture
def stored(etcd: EtcdServer, root: str, namespace: str) -> Callable[[str], StoredLock]:
    """The keys of a Lock of the test's namespace, as etcd has them."""
    return partial(stored_lock, etcd.ctl, root, namespace)


@pytest.fixture
async def client(etcd: EtcdServer) -> AsyncIterator[EtcdClient]:
    """Our own client of the shared etcd, on a connection of the test's own."""
    async with EtcdClient([etcd.url], clock=clock.now, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def kubectl_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the plugin's parts in the tests' own process: the kubectl that all others use."""
    monkeypatch.setenv("KUBECTL", str(program("kubectl")))


@pytest.fixture
def plugin(api: ControlPlane, namespace: str, kubectl_of_this_process: None) -> Plugin:
    """`kubectl leasehold` in the test's namespace; of an operator that a test before killed, nothing is left."""
    _remove_canary(api, OPERATOR_NAMESPACE)
    return Plugin(api, namespace)


@pytest.fixture
def own(
    api: ControlPlane,
    namespace: str,
    root: str,
    etcd_factory: Callable[..., EtcdServer],
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
) -> OwnEtcd:
    """An active operator on an etcd of the test's own, which it may harm."""
    return OwnEtcd(api, namespace, root, etcd_factory(), operator_factory, sidecar_factory)


@pytest.fixture
def enrol(
    api: ControlPlane,
    certs: CertificateAuthority,
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
    tmp_path: Path,
) -> Callable[..., Enrolled]:
    """Has operators administer an etcd's users: `enrol(etcd, authority)`, by default the authority of all tests.

    Each etcd has a directory of its own for what its namespaces are given.
    """
    operator_user(api)  # makes the operator's namespace

    def make(etcd: EtcdServer | EtcdCluster, authority: CertificateAuthority = certs) -> Enrolled:
        place = Path(tempfile.mkdtemp(dir=tmp_path))
        return Enrolled(api, etcd, authority, operator_factory, sidecar_factory, place)

    return make


@pytest.fixture
def enrolled(
    certs: CertificateAuthority, etcd_factory: Callable[..., EtcdServer], enrol: Callable[..., Enrolled]
) -> Enrolled:
    """An etcd that demands certificates, and nobody who administers it yet."""
    return enrol(etcd_factory(authority=certs, mutual=True))


@pytest.fixture
def scene(
    api: ControlPlane,
    namespace: str,
    operator_factory: Callable[..., Operator],
    stored: Callable[[str], StoredLock],
    sidecar_factory: Callable[..., Sidecar],
) -> Iterator[Scene]:
    """One operator at work in the test's namespace, and what its tests do there."""
    operator = operator_factory()
    operator.wait_active()
    yield Scene(api, namespace, operator, stored, sidecar_factory)
    assert operator.errors() == 0


@pytest.fixture
def crd_locks(api: ControlPlane, namespace: str) -> Locks:
    return Locks(api, namespace)
