"""`kubectl leasehold` with all there is behind it: a real operator, real sidecars, etcd and an API server."""

from collections.abc import Callable

import pytest

from tests.cluster import ControlPlane
from tests.operator.kubectl_plugin import Plugin, columns
from tests.operator.lock_objects import is_ready, lock
from tests.operator.operator_process import Operator
from tests.servers import PATIENCE, wait_for
from tests.support.sidecars import Sidecar

Start = Callable[..., Operator]
AN_HOUR = 3600
"""Seconds of a lease that no test outlives: whoever takes over was handed the lock."""


@pytest.fixture
def pair(namespace: str, sidecar_factory: Callable[..., Sidecar]) -> Callable[[], dict[str, Sidecar]]:
    """Starts two sidecars of one Lock; the first leads."""

    def start() -> dict[str, Sidecar]:
        leader = sidecar_factory("db-0", lock=f"{namespace}/db", ttl=None)
        leader.wait_leading()
        waiter = sidecar_factory("db-1", lock=f"{namespace}/db", ttl=None)
        waiter.wait_queued(1)
        return {"db-0": leader, "db-1": waiter}

    return start


def test_handover_suspension_revocation(
    api: ControlPlane, namespace: str, operator_factory: Start, pair: Callable[[], dict[str, Sidecar]]
) -> None:
    """The plugin's verbs, one after the other, on a real lock with real sidecars."""
    plugin, operator = Plugin(api, namespace), operator_factory()
    operator.wait_active()
    api.apply(lock("db", leaseDurationSeconds=AN_HOUR), namespace=namespace)
    api.wait("locks", "db", namespace, until=is_ready, what="ready")
    sidecars = pair()
    limit = f"--timeout={PATIENCE:g}s"
    plugin.ok("wait", "db", "--for=holder=db-0", limit)
    first = sidecars["db-0"].ask().token

    plugin.ok("handover", "db", "--wait", limit)
    plugin.ok("wait", "db", "--for=holder=db-1", limit)
    second = sidecars["db-1"].wait_leading().token
    assert second > first

    plugin.ok("suspend", "db")
    plugin.ok("wait", "db", "--for=free", limit)
    assert not any(sidecar.is_leading() for sidecar in sidecars.values())
    plugin.ok("resume", "db")
    plugin.ok("wait", "db", limit)

    plugin.ok("handover", "db", "--to", "db-0", "--wait", limit)
    third = sidecars["db-0"].wait_leading().token
    plugin.ok("handover", "db", "--to", "")
    assert third > second

    sidecars["db-0"].pause()  # it neither hands over nor notices that its key goes
    assert plugin.run("revoke", "db", "--yes").returncode == 0
    plugin.ok("wait", "db", "--for=holder=db-1", limit)
    assert sidecars["db-1"].wait_leading().token > third
    sidecars["db-0"].resume()
    sidecars["db-0"].wait_not_leading()

    assert columns(plugin.ok("list").splitlines()[1])[:3] == ["db", "True", "db-1"]
    wait_for(lambda: "HolderRevoked" in plugin.ok("describe", "db"), "the history to tell of it", PATIENCE)
    assert "LockAcquired" in plugin.ok("describe", "db")
    assert operator.errors() == 0
