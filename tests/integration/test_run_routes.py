"""Every route of a real sidecar, as its user sees it, held against what etcd says at the same time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.servers import EtcdServer, reserve_port, wait_for
from tests.support.http_asker import EventStream, Reply, ask
from tests.support.sidecars import LOCK, PATIENCE, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
CONTROL_ROUTES = ("/handover", "/pause", "/resume", "/drained")
PUBLIC_ROUTES = ("/leader", "/", "/events", "/livez", "/readyz", "/metrics")


def get(sidecar: Sidecar, path: str) -> Reply:
    return ask("GET", sidecar.url + path)


def post(sidecar: Sidecar, path: str) -> Reply:
    return ask("POST", sidecar.control + path)


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
    assert 0 < fields.pop("validForSeconds") <= 5
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


# --- /livez and /readyz ---


def readiness(sidecar: Sidecar) -> tuple[int, str]:
    assert get(sidecar, "/livez").status == 200, "it lives in every state"
    reply = get(sidecar, "/readyz")
    assert reply.fields["ready"] is (reply.status == 200)
    assert ("reason" in reply.fields) is (reply.status != 200)
    return reply.status, reply.fields["state"]


def wait_ready_as(sidecar: Sidecar, state: str, status: int) -> None:
    wait_for(lambda: readiness(sidecar) == (status, state), f"{sidecar.name} to be {state}, {status}", PATIENCE)


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


# --- the control listener ---


def test_waiter_has_nothing_to_give_up(sidecar_factory: Factory) -> None:
    """409 and a sentence; and it stays where it is."""
    sidecar_factory("a", ttl=600).wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    for path in ("/handover", "/drained"):
        reply = post(b, path)
        assert (reply.status, reply.fields["state"]) == (409, "waiting")
        assert "does not hold the lock" in reply.fields["error"]
    assert b.ask().fields["position"] == 1


def test_control_in_every_order(sidecar_factory: Factory) -> None:
    """Asked twice, or before its time, no command does harm."""
    a = sidecar_factory("a", ttl=600, flags=["--drain", "600"])
    first = a.wait_leading()
    assert post(a, "/resume").status == 202, "nothing is paused, which is what was asked for"
    assert a.ask().token == first.token
    assert [post(a, "/handover").status for _ in range(2)] == [202, 202]
    assert get(a, "/leader").status == 503
    assert post(a, "/drained").status == 202
    assert a.wait_leading().token > first.token
    assert [post(a, "/pause").status for _ in range(2)] == [202, 202]
    assert post(a, "/drained").status in (202, 409), "the first may have been enough"
    wait_ready_as(a, "idle", 503)
    assert post(a, "/drained").status == 409
    assert post(a, "/handover").status == 409
    assert [post(a, "/resume").status for _ in range(2)] == [202, 202]
    a.wait_leading()


def test_drained_without_a_drain(sidecar_factory: Factory) -> None:
    """POST /drained to a holder gives the lock up without a wait, however long the drain may be."""
    a = sidecar_factory("a", ttl=600, flags=["--drain", "600"])
    a.wait_leading()
    b = sidecar_factory("b", ttl=600)
    b.wait_queued(1)
    assert post(a, "/drained").status == 202
    b.wait_leading()


def test_the_listeners_are_apart(sidecar_factory: Factory) -> None:
    """Whoever may ask who leads may not thereby take the lead away."""
    a = sidecar_factory("a", ttl=600)
    token = a.wait_leading().token
    for path in CONTROL_ROUTES:
        assert ask("POST", a.url + path).status == 404
        assert ask("GET", a.control + path).status == 405
    for path in PUBLIC_ROUTES:
        assert ask("GET", a.control + path).status == 404
        assert ask("POST", a.url + path).status == 405
    assert get(a, "/nothing").status == 404
    assert a.ask().token == token


def test_no_web_page_hands_a_lock_over(sidecar_factory: Factory) -> None:
    """A browser names the page in Origin; a page that was made to resolve to us names itself in Host."""
    a = sidecar_factory("a", ttl=600)
    token = a.wait_leading().token
    for headers in ({"Origin": "http://evil.test"}, {"Host": "evil.test:4041"}):
        assert ask("POST", a.control + "/handover", headers).status == 403
    assert a.ask().token == token


def test_control_on_a_unix_socket(sidecar_factory: Factory, tmp_path: Path) -> None:
    """For its owner and group; one that a killed process left behind is replaced, and TERM takes it away."""
    path = tmp_path / "control.sock"
    a = sidecar_factory("a", ttl=3, flags=["--control", f"unix:{path}"])
    first = a.wait_leading()
    assert path.stat().st_mode & 0o777 == 0o660
    assert ask("POST", f"unix:{path}:/handover").status == 202
    wait_for(lambda: a.is_leading() and a.ask().token > first.token, "the next term")
    a.kill()
    assert path.exists()
    a.start()
    a.wait_leading()
    assert ask("POST", f"unix:{path}:/drained", {"Host": "any.test"}).status == 202
    assert a.terminate() == 0
    assert not path.exists()


@pytest.mark.parametrize("address", ["[::1]", "[::]", "127.0.0.1", "0.0.0.0", "localhost", ""])
def test_addresses_to_listen_on(sidecar_factory: Factory, address: str) -> None:
    """IPv6 too; `[::]`, `0.0.0.0` and no host at all answer on loopback as well."""
    port = reserve_port()
    a = sidecar_factory("a", ttl=600, flags=["--listen", f"{address}:{port}"])
    host = {"[::]": "[::1]", "0.0.0.0": "127.0.0.1", "": "[::1]"}.get(address, address)
    a.url = f"http://{host}:{port}"
    assert a.wait_leading().leading
    if address in ("[::]", ""):
        assert ask("GET", f"http://127.0.0.1:{port}/leader").status == 200
