"""`leasehold operator` as a process: what it refuses to start with, what it starts without, and how it ends."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import ControlPlane
from tests.operator.operator_manifest import OPERATOR_NAMESPACE
from tests.operator.operator_process import Operator
from tests.servers import EtcdServer, Process, wait_for
from tests.support.sidecars import PATIENCE
from tests.support.stored_lock import stored_lock

Start = Callable[..., Operator]


def refusal(operator: Operator) -> str:
    """What it said, and nothing else, before it ended with exit code 2."""
    assert operator.wait(PATIENCE) == 2
    return operator.log_since_start


def test_each_mistake_is_one_sentence(operator_factory: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("clusters: [")
    said = refusal(operator_factory(kubeconfig=broken, begin=True))
    assert said.count("\n") == 1
    assert said.startswith(
        f"leasehold: The API server's address or credentials cannot be read from the kubeconfig {broken}: "
    )
    said = refusal(operator_factory(kubeconfig=tmp_path / "none", flags=["--api-writes", "many"], begin=True))
    assert [line.partition(" is ")[0] for line in said.splitlines()] == [
        "leasehold: --kubeconfig",
        "leasehold: --api-writes",
    ]


def test_port_in_use(operator_factory: Start) -> None:
    """A port in use is told before anything is started."""
    first = operator_factory("first")
    address = first.url.removeprefix("http://")
    said = refusal(operator_factory("second", flags=["--listen", address], begin=True))
    assert said.startswith(f"leasehold: --listen is '{address}': the port is in use; ")
    assert said.count("\n") == 1


def test_missing_extra(spawn: Callable[..., Process], tmp_path: Path) -> None:
    """Without its extra, it says what to install."""
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    code = "import sys; sys.modules['kopf'] = None; from leasehold.__main__ import main; sys.exit(main())"
    started = spawn([sys.executable, "-c", code, "operator", "--kubeconfig", kubeconfig], name="without-extra")
    assert started.wait() == 2
    assert started.log == "leasehold: The operator needs kopf: install it with pip install 'leasehold[operator]'.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_told_to(operator_factory: Start, number: signal.Signals) -> None:
    operator = operator_factory()
    operator.wait_active()
    operator.signal(number)
    assert operator.wait() == 0


def test_standby_takes_over(operator_factory: Start, etcd: EtcdServer, root: str) -> None:
    """Only one is active at a time; a stop is a handover, after a death nobody is before the lease has ended."""
    replicas = stored_lock(etcd.ctl, root, OPERATOR_NAMESPACE, "leasehold-operator")
    one = operator_factory("one", ttl=5)
    one.wait_active()
    two = operator_factory("two", ttl=5)
    wait_for(two.is_ready, "the standby to be ready", PATIENCE)
    assert not two.is_active()
    one.signal(signal.SIGTERM)
    two.wait_active()
    assert one.wait() == 0
    one.start()
    wait_for(one.is_ready, "the former one to be the standby", PATIENCE)
    two.kill()

    def takes_over() -> bool:
        active = one.is_active()
        assert not (active and "two" in replicas.identities()), "its key stands, so its lease had not ended"
        return active

    wait_for(takes_over, "the former one to be active again", PATIENCE)
    one.wait_active()
    assert one.errors() == 0


def test_start_without_any_server(
    control_plane_factory: Callable[..., ControlPlane],
    operator_factory: Start,
    etcd_factory: Callable[..., EtcdServer],
) -> None:
    """It is alive all along, and ready once both have come."""
    plane = control_plane_factory()
    server = etcd_factory()
    operator = operator_factory(server=server.url, control_plane=plane)
    operator.terminate()
    server.stop()
    plane.apiserver.stop()
    operator.start()
    wait_for(operator.is_live, "it to be alive", PATIENCE)
    assert not operator.is_ready()
    server.start()
    wait_for(operator.is_active, "it to be active", PATIENCE)
    assert not operator.is_ready()
    plane.apiserver.start()
    operator.wait_active()
    assert operator.is_live()
    assert operator.errors() == 0
