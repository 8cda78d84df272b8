"""An etcd that is set up in ways that Leasehold has to tell its users of."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers import EtcdServer
from tests.support.sidecars import PATIENCE, Sidecar


def test_an_etcd_that_grants_longer_leases(
    etcd_factory: Callable[..., EtcdServer], sidecar_factory: Callable[..., Sidecar]
) -> None:
    """Its least lease is one and a half times its election timeout, in whole seconds: what that means is said, once."""
    server = etcd_factory(flags=["--election-timeout=5000", "--heartbeat-interval=500"])
    sidecar = sidecar_factory("a", server.url, ttl=3)
    sidecar.wait_leading()
    sidecar.post("/pause")
    sidecar.wait_not_leading()
    sidecar.post("/resume")
    sidecar.wait_leading()
    sentence = "etcd grants leases of 8 s, not of the 3 s asked for"
    sidecar.wait_for_log(sentence, PATIENCE)
    assert sidecar.log_since_start.count(sentence) == 1
