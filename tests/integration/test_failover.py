"""Real sidecars on a real etcd: who leads, who takes over, and what each loss of a leader looks like from outside."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import SHORTEST_PAUSE, Etcdctl, wait_for
from tests.support.sidecars import LOCK, PATIENCE, TTL, Sidecar, wait_leader

Factory = Callable[..., Sidecar]


def queue_of(etcdctl: Etcdctl, root: str) -> list[dict[str, Any]]:
    """The records in the queue, first come first."""
    found = sorted(etcdctl.prefix(f"{root}/locks/{LOCK}/queue/"), key=lambda kv: kv.create_revision)
    return [json.loads(kv.value) for kv in found]


def queued(factory: Factory, names: str, ttl: int) -> list[Sidecar]:
    """Sidecars in the queue in this order, the first of them leading."""
    started: list[Sidecar] = []
    for position, name in enumerate(names):
        started.append(factory(name, ttl=ttl))
        started[-1].wait_queued(position)
    started[0].wait_leading()
    return started


def test_first_come_leads(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """One leads, the other waits behind it; both say so, and etcd's queue says the same."""
    a = sidecar_factory("a")
    first = a.wait_leading()
    b = sidecar_factory("b")
    second = b.wait_queued(1)
    assert (second.status, second.fields["leader"], second.fields["token"]) == (503, "a", None)
    assert (first.fields["leader"], first.fields["position"]) == ("a", 0)
    assert 0 < first.fields["validForSeconds"] <= TTL
    assert [record["identity"] for record in queue_of(etcdctl, root)] == ["a", "b"]


def test_graceful_stop_hands_over(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """TERM: the leader gives its key up and exits 0; the next leads long before any lease could have run out."""
    a = sidecar_factory("a", ttl=600)
    old = a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    assert a.terminate() == 0
    new = b.wait_leading()
    assert new.token > old.token
    assert [record["identity"] for record in queue_of(etcdctl, root)] == ["b"]
    assert etcdctl.leases()


def test_nothing_is_left_behind(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """A sidecar that was stopped has left neither a key nor a lease."""
    before = set(etcdctl.leases())
    a = sidecar_factory("a", ttl=600)
    a.wait_leading()
    assert a.terminate() == 0
    assert queue_of(etcdctl, root) == []
    wait_for(lambda: set(etcdctl.leases()) <= before, "the lease to be revoked")


def test_handover_on_request(sidecar_factory: Factory) -> None:
    """POST /handover: another leads, and the old leader stands in the queue again, at its end."""
    a, b, _ = queued(sidecar_factory, "abc", ttl=600)
    assert a.post("/handover") == 202
    b.wait_leading()
    a.wait_queued(2)
    assert not a.is_leading()


def test_kill_is_noticed_by_the_lease(sidecar_factory: Factory) -> None:
    """kill -9: the next leads once the lease has run out."""
    a = sidecar_factory("a", ttl=3)
    old = a.wait_leading()
    b = sidecar_factory("b", ttl=3)
    b.wait_queued(1)
    a.kill()
    assert b.wait_leading().token > old.token


def test_frozen_leader_wakes_as_nobody(sidecar_factory: Factory) -> None:
    """SIGSTOP: another leads after the TTL; the frozen one's first answer after SIGCONT is 503, then it queues."""
    a = sidecar_factory("a", ttl=6)  # a busy machine does not run it out before
    a.wait_leading()
    b = sidecar_factory("b")
    b.wait_queued(1)
    a.pause()
    new = b.wait_leading()
    a.resume()
    first = a.ask(timeout=30)
    assert first.status == 503
    a.wait_queued(1)
    assert b.ask().token == new.token


def test_frozen_waiter_blocks_nobody(sidecar_factory: Factory) -> None:
    """A waiter that is frozen for longer than its lease is passed by."""
    a, b, c = queued(sidecar_factory, "abc", ttl=3)
    b.pause()
    c.wait_queued(1)  # b's lease has run out
    a.kill()
    c.wait_leading()
    b.resume()
    wait_for(lambda: b.ask(timeout=30).fields["position"] == 1, "b to queue again", PATIENCE)


def test_key_deleted_by_hand(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """The leader whose key is deleted stops leading as soon as its watch says so, and queues again."""
    a, b = queued(sidecar_factory, "ab", ttl=600)
    old = a.wait_leading()
    key = min(etcdctl.prefix(f"{root}/locks/{LOCK}/queue/"), key=lambda kv: kv.create_revision).key
    etcdctl.delete(key)
    assert b.wait_leading().token > old.token
    a.wait_queued(1)
    assert not a.is_leading()


def test_lease_revoked_from_outside(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """As a deleted key: the next leads, the old leader queues again with a fresh lease."""
    a, b = queued(sidecar_factory, "ab", ttl=600)
    first = min(etcdctl.prefix(f"{root}/locks/{LOCK}/queue/"), key=lambda kv: kv.create_revision)
    etcdctl.revoke(first.lease)
    b.wait_leading()
    a.wait_queued(1)
    leases = {kv.lease for kv in etcdctl.prefix(f"{root}/locks/{LOCK}/queue/")}
    assert first.lease not in leases
    assert len(leases) == 2


@pytest.mark.parametrize("lease", ["none", "another"])
def test_key_taken_off_its_lease(lease: str, sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """The leader's own record is put back by hand, without its lease: the key would stand after the leader's death."""
    a, b = queued(sidecar_factory, "ab", ttl=5)
    key = min(etcdctl.prefix(f"{root}/locks/{LOCK}/queue/"), key=lambda kv: kv.create_revision)
    etcdctl.put(key.key, key.value, lease=etcdctl.grant(600) if lease == "another" else 0)
    token = b.wait_leading().token
    assert token > key.create_revision
    a.wait_queued(1)
    a.wait_for_log("somebody has taken our key off our lease")
    b.kill()
    assert a.wait_leading().token > token


def test_pause_and_resume(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """POST /pause leaves the queue until POST /resume."""
    a = sidecar_factory("a", ttl=600)
    a.wait_leading()
    assert a.post("/pause") == 202
    wait_for(lambda: queue_of(etcdctl, root) == [], "the key to be given up")
    assert a.get("/readyz")[0] == 503
    assert a.post("/resume") == 202
    a.wait_leading()
    assert a.get("/readyz")[0] == 200


def test_drain_keeps_the_lock(sidecar_factory: Factory) -> None:
    """503 at once, but nobody else leads before POST /drained; a drain longer than the TTL is kept alive meanwhile."""
    ttl = 6  # seconds, which no pause of a busy machine runs out
    a = sidecar_factory("a", ttl=ttl, flags=["--drain", "600"])
    old = a.wait_leading()
    b = sidecar_factory("b")
    b.wait_queued(1)
    assert a.post("/handover") == 202
    assert not a.is_leading()
    sent = b.ask().sent
    wait_for(lambda: b.is_leading() or b.ask().sent > sent + ttl, "longer than the TTL", longest_pause=SHORTEST_PAUSE)
    assert not b.is_leading()
    assert a.post("/drained") == 202
    assert b.wait_leading().token > old.token


def test_a_hundred_candidates(sidecar_factory: Factory, etcdctl: Etcdctl, root: str) -> None:
    """Keys of a hundred other candidates in the queue: ours waits behind them, and leads when the last has gone."""
    lease = etcdctl.grant(600)
    prefix = f"{root}/locks/{LOCK}/queue/"
    for number in range(100):
        etcdctl.put(f"{prefix}{number:x}", f"someone-{number}", lease=lease)
    a = sidecar_factory("a")
    assert a.wait_queued(100).fields["leader"] == "someone-0"
    etcdctl.delete(prefix + "63")
    etcdctl.revoke(lease)
    a.wait_leading()


def test_everybody_takes_a_turn(sidecar_factory: Factory) -> None:
    """Five sidecars, handed on from one to the next ten times: tokens grow each time."""
    everyone = queued(sidecar_factory, "abcde", ttl=600)
    leader = everyone[0]
    token = leader.wait_leading().token
    for _ in range(10):
        assert leader.post("/handover") == 202
        leader = wait_leader(everyone, but=leader)
        assert leader.wait_leading().token > token
        token = leader.ask().token
