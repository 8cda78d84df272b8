"""etcd's upgrade from 3.5 by 3.6 to 3.7, as its manual describes it, on a quiet store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import EtcdServer, ProcessFailed, Version, program, wait_for
from tests.support.sidecars import Sidecar

TTL = 300
"""Far more than all restarts take, also on a machine that does something else."""


def upgrade(server: EtcdServer, version: Version, *flags: str) -> None:
    """Stop it in order, and start the other version on its data with these flags."""
    server.stop()
    server.version = version
    server.process.argv[0] = str(program(f"etcd-{version}"))
    server.flags = list(flags)
    server.start()


def storage_is_new(server: EtcdServer) -> bool:
    """Whether etcd has brought its store to 3.6: the manual wants it before the next step."""
    return bool(server.ctl.json("endpoint", "status")[0]["Status"].get("storageVersion", "").startswith("3.6"))


def snapshots(server: EtcdServer) -> set[str]:
    """The names of the snapshots that the member has made of its own."""
    return {file.name for file in (server.data / "member" / "snap").glob("*.snap")}


def snapshots_after_a_write(server: EtcdServer) -> set[str]:
    """As `snapshots`, which only writes lead to."""
    server.ctl.put("/kept", "2")
    return snapshots(server)


@pytest.fixture
def server(etcd_factory: Callable[..., EtcdServer]) -> EtcdServer:
    """An etcd 3.5 that was upgraded to 3.6."""
    made = etcd_factory("3.5.35")
    made.ctl.put("/kept", "1")
    upgrade(made, "3.6")
    wait_for(lambda: storage_is_new(made), "etcd to bring its store to 3.6")
    return made


def test_an_old_log_is_too_old_for_37(server: EtcdServer) -> None:
    """What the remedy is for. Once this passes no more, neither the remedy nor its sentence is needed."""
    with pytest.raises(ProcessFailed):
        upgrade(server, "3.7")


def test_the_remedy(server: EtcdServer, sidecar_factory: Callable[..., Sidecar]) -> None:
    """As the README says it: nothing is lost, and a sidecar's term goes on."""
    sidecar = sidecar_factory("a", server.url, ttl=TTL)
    token = sidecar.wait_leading().token
    before = snapshots(server)
    upgrade(server, "3.6", "--snapshot-count=5")
    wait_for(lambda: snapshots_after_a_write(server) > before, "etcd to make a snapshot")
    upgrade(server, "3.6")
    upgrade(server, "3.7")
    stored = {one.create_revision: one.value for one in server.ctl.prefix("/")}
    assert token in stored
    assert "2" in stored.values()
    assert sidecar.wait_leading().token == token
