"""Every route of a real sidecar, as its user sees it, held against what etcd says at the same time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.servers import EtcdServer, wait_for
from tests.support.http_asker import EventStream, ask
from tests.support.run_routes import get, post, wait_ready_as
from tests.support.sidecars import LOCK, PATIENCE, TTL, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]


# --- /leader ---


def test_leader_of_a_holder(sidecar_factory: Factory, stored: StoredLock) -> None:
    """200, with the token that etcd has as the create revision, in the body and in the header."""
    a = sidecar_factory("a")
    a.wait_leading()
    reply = get(a, "/leader")
    (entry,) = stored.entries()
    token = entry.create_revision
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["leasehold-token"] == str(token)
    fields = reply.fields
    since = datetime.fromisoformat(fields.pop("since"))
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=5)
    assert 0 < fields.pop("validForSeconds") <= TTL
    assert fields == {
        "lock": LOCK,
        "identity": "a",
        "leading": True,
        "token": token,
        "key": entry.key,
        "leader": "a",
        "position": 0,
        **dict.fromkeys(("reason", "reasonCode", "reasonSince", "reasonUntil")),
    }


def test_leader_of_a_waiter(sidecar_factory: Factory) -> None:
    """503, the leader's name, and no token: one that is not in force is of no use to anyone."""
    sidecar_factory("a").wait_leading()
    b = sidecar_factory("b")
    b.wait_queued(1)
    reply = get(b, "/leader")
    assert reply.status == 503
    assert reply.headers["cache-control"] == "no-store"
    assert "leasehold-token" not in reply.headers
    fields = reply.fields
    since = datetime.fromisoformat(fields.pop("reasonSince"))
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=5)
    assert fields == {
        "lock": LOCK,
        "identity": "b",
        "leading": False,
        "token": None,
        "key": None,
        "validForSeconds": 0,
        "leader": "a",
        "since": None,
        "position": 1,
        "reason": "others stand ahead in the queue: 1 ahead; a is the first",
        "reasonCode": "behind",
        "reasonUntil": None,
    }


def test_head_of_leader(sidecar_factory: Factory) -> None:
    """The same status and headers as GET, and no body: enough for a load balancer."""
    a = sidecar_factory("a", ttl=600)
    a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    for one, status in ((a, 200), (b, 503)):
        got, head = get(one, "/leader"), ask("HEAD", one.url + "/leader")
        assert (got.status, head.status, head.body) == (status, status, "")
        assert got.headers.keys() == head.headers.keys()
        assert got.headers.get("leasehold-token") == head.headers.get("leasehold-token")


# --- / ---


def wait_names(sidecar: Sidecar, leader: str) -> None:
    wait_for(lambda: get(sidecar, "/").fields == {"name": leader}, f"{sidecar.name} to name {leader!r}", PATIENCE)
    assert get(sidecar, "/").status == 200


def test_the_leader_electors_contract(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Always 200 and the leader's name, on every candidate; nobody's while nobody leads."""
    a = sidecar_factory("a", ttl=600)
    a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    for one in (a, b):
        reply = get(one, "/")
        assert (reply.status, reply.fields) == (200, {"name": "a"})
        assert reply.headers["content-type"].startswith("application/json")
    a.post("/handover")
    b.wait_leading()
    wait_names(a, "b")
    stored.declare(suspend=True)
    for one in (a, b):
        wait_names(one, "")


def test_foreign_leader_is_named(sidecar_factory: Factory, stored: StoredLock) -> None:
    """A leader that is not of Leasehold is named by the text of its key."""
    stored.stranger("some etcdctl")
    a = sidecar_factory("a")
    a.wait_queued(1)
    assert get(a, "/").fields == {"name": "some etcdctl"}


# --- /events ---


def test_events_tell_state_and_changes(sidecar_factory: Factory, stored: StoredLock) -> None:
    """Seen by the one that loses the lead, and by the one that gains it."""
    a = sidecar_factory("a", ttl=600)
    old = a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    with EventStream(a.url) as left, EventStream(b.url) as right:
        assert left.status == 200
        assert left.headers["content-type"].startswith("text/event-stream")
        name, data = left.next()
        assert (name, data["leading"], data["token"]) == ("state", True, old.token)
        name, data = right.next()
        assert (name, data["leading"], data["leader"]) == ("state", False, "a")
        a.post("/handover")
        lost = left.until("lost")
        assert (lost["leading"], lost["token"]) == (False, None)
        gained = right.until("gained")
        assert (gained["leading"], gained["leader"]) == (True, "b")
        assert gained["token"] == b.ask().token > old.token
        assert left.until("leader")["leader"] == "b"
        a.wait_queued(1)
        stored.declare(suspend=True)
        assert right.until("lost")["leading"] is False
        assert left.until("vacancy")["leader"] is None
        stored.declare(suspend=False)
        assert left.until("gained")["leader"] == "a", "it was next when nobody could hold"


def test_events_beat_and_end(sidecar_factory: Factory) -> None:
    """So that a consumer can tell a quiet sidecar from a dead connection; its last word at the end is that it lost."""
    a = sidecar_factory("a", ttl=600)
    a.wait_leading()
    with EventStream(a.url) as events:
        assert events.any()[0] == "state"
        name, data = events.any()
        assert (name, data["leading"]) == ("heartbeat", True)
        assert a.terminate() == 0
        assert events.until("lost")["leading"] is False
        with pytest.raises(EOFError):
            events.until("nothing more")


def test_ready_while_in_the_queue(sidecar_factory: Factory) -> None:
    """Holders and waiters are ready; one that is paused, or is giving its place up, is not."""
    a = sidecar_factory("a", ttl=600, flags=["--drain", "600"])
    wait_ready_as(a, "holding", 200)
    b = sidecar_factory("b", ttl=600)
    wait_ready_as(b, "waiting", 200)
    post(b, "/pause")
    wait_ready_as(b, "idle", 503)
    post(b, "/resume")
    wait_ready_as(b, "waiting", 200)
    post(a, "/handover")
    wait_ready_as(a, "yielding", 503)
    post(a, "/drained")
    wait_ready_as(a, "waiting", 200)
    wait_ready_as(b, "holding", 200)


def test_ready_through_an_outage(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """Not before it has joined; but an outage later takes no standby out of its Services."""
    server = etcd_factory()
    server.kill()
    a = sidecar_factory("a", server.url, ttl=3)
    wait_ready_as(a, "joining", 503)
    server.start()
    wait_ready_as(a, "holding", 200)
    server.kill()
    wait_ready_as(a, "unsure", 200)
    assert get(a, "/leader").status == 503
