"""What etcd's own troubles look like through a sidecar: it never leads on hope, and comes back by itself."""

import contextlib
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.servers import SHORTEST_PAUSE, CertificateAuthority, Disk, EtcdCluster, EtcdServer, wait_for
from tests.servers.etcdctl import EtcdctlFailed
from tests.support.exclusion_checker import Witness
from tests.support.sidecars import PATIENCE, Sidecar, wait_leader

Factory = Callable[..., Sidecar]
TTL = 3
"""Seconds of a lease that is to end."""


def ends_leading(sidecar: Sidecar, away: float) -> None:
    """Wait until it says 503. No 200 until then promises more than is left of a lease that was renewed before `away`.

    That is an instant since which etcd has answered nothing.
    """

    def over() -> bool:
        answer = sidecar.ask()
        if answer.leading:
            assert answer.sent + answer.fields["validForSeconds"] < away + TTL
        return not answer.leading

    wait_for(over, f"{sidecar.name} to lead no more", PATIENCE)


def test_restart_of_etcd_costs_no_term(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """etcd is restarted within the TTL: same leader, same token."""
    server = etcd_factory()
    a = sidecar_factory("a", server.url, ttl=60)
    token = a.wait_leading().token
    b = sidecar_factory("b", server.url, ttl=60)
    b.wait_queued(1)
    server.restart()
    wait_for(lambda: a.ask().fields["validForSeconds"] > 55, "a confirmed keep-alive", PATIENCE)
    assert a.ask().token == token
    b.wait_queued(1)


def test_etcd_away_for_longer_than_the_ttl(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """The leader stops by its own clock; when etcd is back somebody leads, and nobody hammered it meanwhile."""
    server = etcd_factory()
    both = [sidecar_factory(name, server.url, ttl=TTL) for name in "ab"]
    wait_leader(both)
    server.kill()
    away = time.monotonic()
    for one in both:
        ends_leading(one, away)
    begun, cpu = time.monotonic(), [one.cpu_seconds() for one in both]
    wait_for(lambda: time.monotonic() > begun + 5, "a while without etcd")
    for one, before in zip(both, cpu, strict=True):
        busy = (one.cpu_seconds() - before) / (time.monotonic() - begun)
        assert busy < 0.5, f"{one.name} is busy while etcd is away"
        assert one.running
    server.start()
    wait_leader(both)


def test_frozen_etcd(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """A single member that hangs is as good as gone; after it wakes, somebody leads, under no lower token."""
    server = etcd_factory()
    both = [sidecar_factory(name, server.url, ttl=TTL) for name in "ab"]
    token = wait_leader(both).ask().token
    with Witness(both) as witness:
        server.pause()
        away = time.monotonic()
        for one in both:
            ends_leading(one, away)
        server.resume()
        assert wait_leader(both).ask().token >= token
    assert witness.contradictions() == []


def test_one_of_three_killed(cluster_factory: Callable[..., EtcdCluster], sidecar_factory: Factory) -> None:
    """Any one member may die, etcd's leader too: the term goes on."""
    cluster = cluster_factory(3)
    both = [sidecar_factory(name, cluster.endpoints, ttl=10) for name in "ab"]
    token = wait_leader(both).ask().token
    with Witness(both) as witness:
        for member in (cluster.members[0], cluster.leader()):
            member.kill()
            renewed = partial(_renewed_since, both, time.monotonic())
            wait_for(renewed, "a keep-alive through another member", PATIENCE)
            member.start()
    assert witness.contradictions() == []
    assert wait_leader(both).ask().token == token


def test_one_of_three_frozen(cluster_factory: Callable[..., EtcdCluster], sidecar_factory: Factory) -> None:
    """The member that all connections go to hangs: they go elsewhere before the lease runs out."""
    cluster = cluster_factory(3)
    both = [sidecar_factory(name, cluster.endpoints, ttl=10) for name in "ab"]
    token = wait_leader(both).ask().token
    first = cluster.members[0]
    if first.is_leader():
        cluster.move_leader()
    first.pause()
    before = time.monotonic()
    wait_for(lambda: _renewed_since(both, before), "a keep-alive through another member", PATIENCE)
    assert wait_leader(both).ask().token == token
    first.resume()


def _renewed_since(sidecars: list[Sidecar], instant: float) -> bool:
    """Whether the leader's lease was confirmed by a keep-alive sent after this instant."""
    answers = [one.ask() for one in sidecars]
    return any(one.leading and one.received + one.fields["validForSeconds"] - 9.7 > instant for one in answers)


def test_compaction_under_a_watch(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """History is compacted while etcd is unreachable: the watches are begun anew, and the next leader is not missed."""
    server = etcd_factory()
    a = sidecar_factory("a", server.url, ttl=30)
    a.wait_leading()
    b = sidecar_factory("b", server.url, ttl=30)
    b.wait_queued(1)
    b.pause()
    for number in range(50):
        server.ctl.put("/noise", str(number))
    server.ctl.compact()
    b.resume()
    server.restart()
    b.wait_queued(1)
    assert a.terminate() == 0
    b.wait_leading()


def test_full_etcd_still_hands_over(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """NOSPACE: etcd takes no writes. The leader leads on, hands over on TERM, and new ones wait for the space."""
    server = etcd_factory(flags=["--quota-backend-bytes=2097152"])
    a = sidecar_factory("a", server.url, ttl=15)  # one that has lost its lease could not come back
    a.wait_leading()
    b = sidecar_factory("b", server.url, ttl=15)
    b.wait_queued(1)
    with pytest.raises(EtcdctlFailed, match="space exceeded"):
        _fill(server)
    token = a.ask().token
    promised = a.ask()
    until = promised.received + promised.fields["validForSeconds"]
    wait_for(lambda: _promises(a) > until, "a keep-alive under the alarm", PATIENCE)
    assert a.ask().token == token
    assert a.terminate() == 0
    b.wait_leading()


def _promises(sidecar: Sidecar) -> float:
    """The instant until which it says that it holds at least."""
    answer = sidecar.ask()
    return answer.sent + float(answer.fields["validForSeconds"])


def _fill(server: EtcdServer) -> None:
    for number in range(200):
        server.ctl.put(f"/fill/{number}", "x" * 100_000)


def test_wiped_etcd(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """etcd forgets everything: it is said loudly, and both are back in the queue without a restart."""
    server = etcd_factory()
    for number in range(20):  # so that the fresh store's revision is lower for certain
        server.ctl.put("/noise", str(number))
    both = [sidecar_factory(name, server.url, ttl=60) for name in "ab"]
    leader = wait_leader(both)
    next(one for one in both if one is not leader).wait_queued(1)
    server.stop()
    server.wipe()
    server.start()
    for one in both:
        one.wait_for_log("lost data", PATIENCE)
    leader = wait_leader(both)
    next(one for one in both if one is not leader).wait_queued(1)


def test_restored_etcd(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """etcd is restored from a copy in which another led: that is noticed, and one leads at the end."""
    server = etcd_factory()
    a = sidecar_factory("a", server.url, ttl=5)
    a.wait_leading()
    b = sidecar_factory("b", server.url, ttl=5)
    b.wait_queued(1)
    server.stop()
    saved = server.save_data()
    server.start()
    a.kill()
    b.wait_leading()
    for number in range(20):
        server.ctl.put("/noise", str(number))
    promised = b.ask()
    until = promised.received + promised.fields["validForSeconds"]
    wait_for(lambda: _promises(b) > until, "a keep-alive that has seen the newest revision", PATIENCE)
    server.stop()
    server.restore_data(saved)
    server.start()
    b.wait_for_log("lost data", PATIENCE)
    b.wait_leading()


def test_leader_of_etcd_with_a_hung_disk(
    cluster_factory: Callable[..., EtcdCluster], disk_factory: Callable[[], Disk], sidecar_factory: Factory
) -> None:
    """etcd 3.5.1: a leader whose disk hangs goes on renewing a lease that has expired elsewhere: not to be believed.

    The holder can reach the hung member alone, the waiter the others alone. Whoever of the two leads, never both do.
    """
    disk = disk_factory()
    cluster = cluster_factory(3, "3.5", directories=[disk.path / "etcd"])
    hung = cluster.members[0]
    if cluster.leader() is not hung:
        cluster.move_leader(hung)
    others = [member for member in cluster.members if member is not hung]
    a = sidecar_factory("a", hung.url, ttl=6)  # a busy machine does not run it out before the disk hangs
    old = a.wait_leading()
    b = sidecar_factory("b", ",".join(one.url for one in others), ttl=3)
    b.wait_queued(1)
    with Witness([a, b]) as witness:
        wait_for(lambda: witness.heard("a", 0.0), "the witness to hear a", PATIENCE)
        disk.freeze()
        with contextlib.suppress(EtcdctlFailed):  # a leader with nothing to write does not notice that it cannot
            others[0].ctl.put("/noise", "")
        new = b.wait_leading()
        end = time.monotonic() + 3
        wait_for(lambda: time.monotonic() > end, "a while under two leaders of etcd")
        wait_for(lambda: witness.heard("b", 0.0), "the witness to hear b", PATIENCE)
    disk.thaw()  # what this etcd does then is known to be wrong: it may revoke the new holder's lease
    assert new.token > old.token
    assert witness.contradictions() == []
    before = [one for one in witness.said if one.answer.token == old.token]
    after = [one for one in witness.said if one.answer.token >= new.token]
    assert max(one.answer.sent for one in before) < min(one.answer.received for one in after)


def test_follower_whose_watch_is_silent(
    cluster_factory: Callable[..., EtcdCluster], disk_factory: Callable[[], Disk], sidecar_factory: Factory
) -> None:
    """A follower whose disk hangs passes keep-alives on but tells no events: its waiter learns its turn."""
    disk = disk_factory()
    cluster = cluster_factory(3, "3.5", directories=[disk.path / "etcd"])
    hung = cluster.members[0]
    if cluster.leader() is hung:
        cluster.move_leader(cluster.members[1])
    others = [member for member in cluster.members if member is not hung]
    healthy = ",".join(one.url for one in others)
    a = sidecar_factory("a", healthy, ttl=3)
    a.wait_leading()
    b = sidecar_factory("b", f"{hung.url},{healthy}", ttl=3)
    b.wait_queued(1)
    disk.freeze()
    assert a.terminate() == 0
    b.wait_leading()
    disk.thaw()


def test_mutual_tls_and_rotated_certificates(
    etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory, certs: CertificateAuthority
) -> None:
    """Client certificates with a common name work; rotated ones are taken up without a restart."""
    server = etcd_factory(authority=certs, mutual=True)
    mine = certs.client("sidecar")
    flags = ["--etcd-ca", str(mine.ca), "--etcd-cert", str(mine.cert), "--etcd-key", str(mine.key)]
    a = sidecar_factory("a", server.url, ttl=30, flags=flags)
    token = a.wait_leading().token
    certs.client("sidecar")
    server.restart()
    wait_for(lambda: a.ask().fields["validForSeconds"] > 28, "a keep-alive over a new connection", PATIENCE)
    assert a.ask().token == token


def test_tokens_of_etcd_auth_expire(
    etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory, root: str
) -> None:
    """etcd's login tokens run out after seconds: the sidecar logs in again, and its term goes on."""
    server = etcd_factory(flags=["--auth-token-ttl=2"])
    server.enable_auth({"sidecar": "secret"}, prefix=f"{root}/")
    password = server.directory / "password"
    password.write_text("secret\n")
    flags = ["--etcd-user", "sidecar", "--etcd-password-file", str(password)]
    a = sidecar_factory("a", server.url, ttl=9, flags=flags)  # a token is used again only after it has run out
    token = a.wait_leading().token
    b = sidecar_factory("b", server.url, ttl=9, flags=flags)
    b.wait_queued(1)
    end = time.monotonic() + 8
    wait_for(
        lambda: time.monotonic() > end or not a.is_leading(), "several tokens to expire", longest_pause=SHORTEST_PAUSE
    )
    assert a.ask().token == token
    assert a.terminate() == 0
    assert b.wait_leading().token > token
