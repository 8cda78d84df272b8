"""Etcd's own Go election (`concurrency.Election`) in the same queue as real sidecars, both ways round."""

import json
from collections.abc import Callable

from tests.servers import Peer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
Peers = Callable[..., Peer]
LONG = 600


def candidate(peers: Peers, stored: StoredLock, ttl: int = LONG) -> Peer:
    return peers(stored.ctl, stored.keys.prefix, ttl=ttl)


def test_go_and_ours_take_turns(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """Three turns: a sidecar, then a Go program, then the sidecar that had queued behind it."""
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    peer = candidate(peer_factory, stored)
    peer.campaign("go", wait=False)
    wait_for(lambda: stored.identities() == ["a", "go"], "it to queue", PATIENCE)
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(2)
    assert a.terminate() == 0
    elected = peer.expect("elected")
    assert elected["revision"] > token
    assert elected["key"] == stored.entries()[0].key
    assert not b.is_leading()
    peer.resign()
    assert b.wait_leading().token > elected["revision"]


def test_go_observes_our_handovers(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """A Go program sees our leader, and observes our handovers."""
    a = sidecar_factory("a", ttl=LONG)
    token = a.wait_leading().token
    peer = candidate(peer_factory, stored)
    assert json.loads(peer.leader() or "")["identity"] == "a"
    peer.process.send("observe")
    assert peer.expect("leader")["revision"] == token
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(1)
    a.post("/handover")
    seen = peer.expect("leader")
    assert (json.loads(seen["value"])["identity"], seen["revision"]) == ("b", b.wait_leading().token)


def test_a_go_leader_that_proclaims(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """The key ahead changes, again and again: ours knows the new name, waits, and leads when it has gone."""
    peer = candidate(peer_factory, stored)
    elected = peer.campaign("first name")
    a = sidecar_factory("a", ttl=LONG)
    assert a.wait_queued(1).fields["leader"] == "first name"
    for name in ("second name", "third name"):
        peer.process.send(f"proclaim {name}")
        peer.expect("proclaimed")
        wait_for(lambda name=name: a.ask().fields["leader"] == name, "a to know it", PATIENCE)  # type: ignore[misc]  # a default
        assert not a.is_leading()
    peer.resign()
    assert a.wait_leading().token > elected["revision"]


def test_go_leaves_before_its_turn(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """The key that ours waits for is deleted while another still stands ahead: that is not its turn yet."""
    a = sidecar_factory("a", ttl=LONG)
    a.wait_leading()
    peer = candidate(peer_factory, stored)
    peer.campaign("go", wait=False)
    wait_for(lambda: stored.identities() == ["a", "go"], "it to queue", PATIENCE)
    b = sidecar_factory("b", ttl=LONG)
    b.wait_queued(2)
    peer.process.terminate()
    b.wait_queued(1)
    assert (a.is_leading(), b.is_leading()) == (True, False)
    a.terminate()
    b.wait_leading()


def test_a_go_leader_that_dies(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """Killed: ours leads when its lease has run out."""
    peer = candidate(peer_factory, stored, ttl=3)
    elected = peer.campaign("go")
    a = sidecar_factory("a", ttl=LONG)
    a.wait_queued(1)
    peer.process.kill()
    assert a.wait_leading().token > elected["revision"]


def test_go_behind_skipped_candidates(sidecar_factory: Factory, peer_factory: Peers, stored: StoredLock) -> None:
    """Ours deletes keys of ours ahead of it, out of turn: its own turn comes in order all the same."""
    everyone = []
    for name, group in (("a", "old"), ("b", "old"), ("c", "new")):
        everyone.append(sidecar_factory(name, ttl=LONG, flags=["--group", group]))
        everyone[-1].wait_queued()
    a, b, c = everyone
    a.wait_leading()
    peer = candidate(peer_factory, stored)
    peer.campaign("go", wait=False)
    wait_for(lambda: len(stored.entries()) == 4, "it to queue", PATIENCE)
    stored.declare(preferredGroup="new")
    token = c.wait_leading().token
    wait_for(lambda: stored.identities()[:2] == ["c", "go"] and len(stored.entries()) == 4, "the new order", PATIENCE)
    c.terminate()
    assert peer.expect("elected")["revision"] > token
    assert not a.is_leading()
    assert not b.is_leading()
