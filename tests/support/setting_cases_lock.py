"""The settings of etcd, of the lock and of this candidate: one case for each, its effect as seen from outside."""

import socket

from tests.servers import reserve_port
from tests.support.setting_cases import Cases, Place, marks
from tests.support.sidecars import LOCK

CASES: Cases = {}
shows = marks(CASES)

# --- etcd ---


@shows("--etcd")
def any_member(place: Place) -> None:
    """Any of several members will do."""
    urls = f"http://127.0.0.1:{reserve_port()},{place.bench.server.url}"
    place.bench.start("a", {"--etcd": urls}).wait_leading()


@shows("--etcd-ca", "--etcd-cert", "--etcd-key")
def client_certificate(place: Place) -> None:
    """An etcd that demands a client's certificate is reached, and by one that has none it is not."""
    server = place.etcd_factory(authority=place.certs, mutual=True)
    mine = place.certs.client("sidecar")
    authority = {"--etcd-ca": str(mine.ca)}
    b = place.bench.start("b", authority, server=server)
    b.wait_for_log("etcd")
    a = place.bench.start("a", {**authority, "--etcd-cert": str(mine.cert), "--etcd-key": str(mine.key)}, server=server)
    assert a.wait_leading().fields["position"] == 0
    assert b.ask().fields["position"] is None


@shows("--etcd-user", "--etcd-password-file")
def login(place: Place) -> None:
    server = place.etcd_factory()
    server.enable_auth({"sidecar": "secret"}, prefix=f"{place.bench.root}/")
    password = place.directory / "password"
    password.write_text("secret\n")
    login = {"--etcd-user": "sidecar", "--etcd-password-file": str(password)}
    place.bench.start("a", login, server=server).wait_leading()


# --- the lock and this candidate ---


@shows("--lock")
def lock_name(place: Place) -> None:
    place.bench.start("a", {"--lock": "spaces/other"}).wait_leading()
    assert _keys_under(place, "/locks/spaces/other/queue/") == 1


@shows("--namespace")
def namespace(place: Place) -> None:
    """For a lock that is named without one; it goes before the pod's own."""
    env = {"POD_NAMESPACE": "pods"}
    place.bench.start("a", {"--namespace": "spaces", "--lock": "other"}, env=env).wait_leading()
    assert _keys_under(place, "/locks/spaces/other/queue/") == 1


@shows("--root")
def root(place: Place) -> None:
    place.bench.start("a", {"--root": f"{place.bench.root}/deeper"}).wait_leading()
    assert _keys_under(place, f"/deeper/locks/{LOCK}/queue/") == 1


def _keys_under(place: Place, rest: str) -> int:
    return len(place.bench.server.ctl.prefix(place.bench.root + rest))


@shows("--identity")
def identity(place: Place) -> None:
    """It goes before the pod's name; without both it is the host's."""
    a = place.bench.start("", {"--identity": "somebody"}, env={"POD_NAME": "pod-7"})
    assert a.wait_leading().fields["identity"] == "somebody"
    b = place.bench.start("", {"--identity": ""}, env={"POD_NAME": "pod-7"})
    assert b.wait_queued(1).fields["identity"] == "pod-7"
    c = place.bench.start("", {"--identity": ""}, env={"POD_NAME": ""})
    assert c.wait_queued(2).fields["identity"] == socket.gethostname()
    assert place.bench.stored.identities() == ["somebody", "pod-7", socket.gethostname()]


@shows("--ttl")
def ttl(place: Place) -> None:
    """Etcd's lease has it, whatever the lock's spec says."""
    place.bench.stored.declare(leaseDurationSeconds=60)
    place.bench.start("a", {"--ttl": "77"}).wait_leading()
    lease = place.bench.stored.entries()[0].lease
    assert place.bench.server.ctl.json("lease", "timetolive", f"{lease:x}")["granted-ttl"] == 77


@shows("--priority")
def priority(place: Place) -> None:
    """A higher one takes the lock over from a holder of a lower one, a lower one waits."""
    a = place.bench.start("a")
    a.wait_leading()
    b = place.bench.start("b", {"--priority": "5"})
    assert b.wait_leading().fields["position"] == 0
    a.wait_queued(1)
    c = place.bench.start("c", {"--priority": "-5"})
    c.wait_queued(2)
    assert [record.get("priority", 0) for record in place.bench.stored.records()] == [5, 0, -5]


@shows("--group")
def group(place: Place) -> None:
    """The group that the lock's spec prefers takes the lock over."""
    place.bench.stored.declare(preferredGroup="new")
    place.bench.start("a", {"--group": "old"}).wait_leading()
    place.bench.start("b", {"--group": "new"}).wait_leading()
    place.bench.start("c", {"--group": "old"}).wait_queued()
    assert place.bench.stored.identities()[0] == "b"


@shows("--require-lock")
def require_lock(place: Place) -> None:
    """An undeclared lock is not joined until it is declared, and left when it no longer is."""
    a = place.bench.start("a", {"--require-lock": "true"})
    a.wait_for_log("is not declared")
    b = place.bench.start("b")
    b.wait_leading()
    assert place.bench.stored.identities() == ["b"]
    place.bench.stored.declare(capacity=1)
    a.wait_queued(1)
    place.bench.server.ctl.delete(place.bench.stored.keys.spec)
    place.bench.wait_alone("b")


@shows("--max-drift")
def max_drift(place: Place) -> None:
    """The worse the clocks may be, the shorter a lease is believed: (1 - d) / (1 + d) of it."""
    a = place.bench.start("a", {"--max-drift": "0.4"})
    assert a.wait_leading().fields["validForSeconds"] <= 600 * 0.6 / 1.4
    a.terminate()
    b = place.bench.start("b")
    assert 600 * 0.6 / 1.4 < b.wait_leading().fields["validForSeconds"] <= 600 * 0.99 / 1.01
