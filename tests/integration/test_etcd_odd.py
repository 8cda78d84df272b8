"""An etcd that is set up in ways that Leasehold has to tell its users of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.servers import EtcdCluster, EtcdServer, Process, program
from tests.servers.ports import release_port, reserve_port
from tests.support.sidecars import PATIENCE, Sidecar


@pytest.fixture
def port() -> Iterator[int]:
    reserved = reserve_port()
    yield reserved
    release_port(reserved)


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


def test_a_proxy_before_etcd(
    port: int,
    cluster_factory: Callable[..., EtcdCluster],
    spawn: Callable[..., Process],
    sidecar_factory: Callable[..., Sidecar],
) -> None:
    """etcd's own: it spreads the calls of one connection over the members."""
    cluster = cluster_factory(3)
    words = ["grpc-proxy", "start", f"--endpoints={cluster.endpoints}", f"--listen-addr=127.0.0.1:{port}"]
    spawn([program("etcd-3.7"), *words], name="grpc-proxy")
    sidecar = sidecar_factory("a", f"http://127.0.0.1:{port}")
    sidecar.wait_for_log("name the etcd members themselves as endpoints", PATIENCE)


def test_a_learner_as_the_only_endpoint(
    etcd_factory: Callable[..., EtcdServer], sidecar_factory: Callable[..., Sidecar]
) -> None:
    """It is named as what it is, and asked less and less often."""
    voter = etcd_factory()
    learner = EtcdServer(name="learner", flags=["--initial-cluster-state=existing"])
    learner.initial_cluster = f"{voter.initial_cluster},{learner.initial_cluster}"
    with contextlib.closing(learner):
        voter.ctl.run("member", "add", "learner", "--learner", f"--peer-urls={learner.peer_url}")
        learner.start(wait=False)
        sidecar = sidecar_factory("a", learner.url)
        sidecar.wait_for_log("it is a learner, which serves no candidates: name a voting member", PATIENCE)
        assert not sidecar.is_leading()
