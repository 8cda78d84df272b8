"""One namespace's certificate against another's locks: all that etcd's API offers is refused, at both ports."""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.servers import Certificate, CertificateAuthority, EtcdServer
from tests.support import foreign_calls, tenants
from tests.support.exclusion_checker import Witness
from tests.support.foreign_calls import Calls, Target
from tests.support.raw_etcd import SECONDS, RawEtcd, fields_of
from tests.support.sidecars import Sidecar

MEMBERS = "leasehold-etcd"
REFUSALS = {
    "observe, by the election API": "ended without an answer",
    "log in as the other": "authentication failed",
    "log in as root": "authentication failed",
}
"""Of the calls that etcd refuses in other words than all others."""


@dataclass
class Scene:
    """An etcd set up as the chart does it, with two namespaces: `red` attacks what is `blue`'s."""

    server: EtcdServer
    member: Certificate
    red: Certificate
    blue: Certificate
    start: Callable[[Certificate, str], Sidecar]

    @property
    def address(self) -> str:
        return urlsplit(self.server.url).netloc

    @property
    def peer_address(self) -> str:
        return urlsplit(self.server.peer_url).netloc


@pytest.fixture(params=["3.7", "3.6", "3.5.35"])
def scene(
    request: pytest.FixtureRequest,
    certs: CertificateAuthority,
    sidecar_factory: Callable[..., Sidecar],
) -> Iterator[Scene]:
    """Members, clients and namespaces have one authority, as in the chart."""
    member = certs.server("member", common_name=MEMBERS)

    def start(files: Certificate, lock: str) -> Sidecar:
        flags = ["--etcd-ca", str(files.ca), "--etcd-cert", str(files.cert), "--etcd-key", str(files.key)]
        return sidecar_factory(lock.replace("/", "-"), server.url, root="/leasehold", lock=lock, flags=flags)

    with make_server(certs, member, request.param) as server:
        tenants.enable(server.ctl)
        for namespace in ("red", "blue"):
            tenants.admit(server.ctl, namespace)
        red, blue = (certs.client(tenants.user_of(name), name=name) for name in ("red", "blue"))
        yield Scene(server, member, red, blue, start)


def make_server(certs: CertificateAuthority, member: Certificate, version: str) -> EtcdServer:
    """Not started yet: its peers' port takes certificates of the members' name alone."""
    server = EtcdServer(version, authority=certs, mutual=True)  # type: ignore[arg-type]  # from the parameters above
    server.peer_url = server.peer_url.replace("http:", "https:")
    server.initial_cluster = f"{server.name}={server.peer_url}"
    server.flags += ["--peer-client-cert-auth", f"--peer-cert-allowed-cn={MEMBERS}"]
    server.flags += [f"--peer-trusted-ca-file={member.ca}", f"--peer-cert-file={member.cert}"]
    server.flags += [f"--peer-key-file={member.key}"]
    return server


@contextlib.contextmanager
def connected(address: str, files: Certificate) -> Iterator[RawEtcd]:
    raw = RawEtcd(address, files)
    try:
        yield raw
    finally:
        raw.close()


def answers(raw: RawEtcd, calls: Calls) -> dict[str, str]:
    """What etcd said to each call: why it refused, or nothing."""
    return {name: raw.refusal(method, fields) for name, (method, fields) in calls.items()}


def test_a_namespace_against_another(scene: Scene) -> None:
    """Of its own, the same certificate may do all of it. The other's leader, and its starts, notice nothing."""
    leader = scene.start(scene.blue, "blue/db")
    token = leader.wait_leading().token
    scene.start(scene.red, "red/db").wait_leading()
    blue, red = (Target.read(scene.server.ctl, name, "db") for name in ("blue", "red"))
    with connected(scene.address, scene.red) as raw, Witness([leader]) as witness:
        calls = attack(raw, red, blue)
        for name, said in answers(raw, calls).items():
            assert REFUSALS.get(name, "permission denied") in said, f"{name}: {said}"
        own = {**foreign_calls.on_keys(red), **foreign_calls.on_lease(red, f"{red.prefix}mine")}
        assert {name: said for name, said in answers(raw, own).items() if said} == {}
        assert_starts_are_undisturbed(scene, raw, calls)
    assert len(calls) >= 65
    assert {one.answer.token for one in witness.said} == {token}
    assert len(witness.said) == witness.asked > 0
    assert troubles(leader) == []


def attack(raw: RawEtcd, red: Target, blue: Target) -> Calls:
    """All calls, with the member's id and revision, which anybody may know."""
    header = fields_of(raw.ask(foreign_calls.MAINTENANCE + "Status", {})[1])
    return {
        **foreign_calls.on_keys(blue),
        **foreign_calls.on_lease(blue, f"{red.prefix}mine"),
        **foreign_calls.harmful(blue, red),
        **foreign_calls.on_users(tenants.user_of("red"), tenants.user_of("blue")),
        **foreign_calls.on_members(header[2], header[3] - 1),
    }


def assert_starts_are_undisturbed(scene: Scene, raw: RawEtcd, calls: Calls) -> None:
    """While the calls are made all the time."""
    over = threading.Event()

    def attack_on() -> None:
        while not over.is_set():
            answers(raw, calls)

    attacker = threading.Thread(target=attack_on)
    attacker.start()
    try:
        for name in ("blue/one", "blue/two"):
            late = scene.start(scene.blue, name)
            assert late.wait_leading().leading
            assert troubles(late) == []
    finally:
        over.set()
        attacker.join()


def troubles(sidecar: Sidecar) -> list[str]:
    """What it logged that is no good news; but for an etcd that is slow, as on a busy machine it may be."""
    bad = [one for one in sidecar.records() if one["level"] in ("warning", "error")]
    return [str(one) for one in bad if "no answer" not in one["message"] and "did not answer" not in one["message"]]


def test_the_other_ways_in(scene: Scene) -> None:
    """The peers' port knows no users: it lets members in, and nobody else. The JSON gateway takes no named users."""
    paths = ("/version", "/members", "/raft", "/raft/probing", "/leases/internal", "/downgrade/enabled")
    for path in (*paths, "/members/promote/1", "/raft/stream/message/1"):
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(scene.peer_address, scene.red, path)
    assert ask(scene.peer_address, scene.member, "/version") == 200
    with connected(scene.peer_address, scene.red) as raw:
        for method, fields in foreign_calls.on_members(1, 1).values():
            assert raw.refusal(method, fields).startswith("UNAVAILABLE")
    for path in ("/v3/kv/range", "/v3/kv/deleterange", "/v3/lease/leases", "/v3/auth/user/list", "/v3/lock/lock"):
        assert ask(scene.address, scene.red, path, b'{"key": "AA==", "range_end": "AA=="}') not in (200, 404)


def ask(address: str, files: Certificate, path: str, body: bytes | None = None) -> int:
    """The status of one HTTP request with this certificate. Raises OSError when the connection is refused."""
    context = ssl.create_default_context(cafile=files.ca)
    context.load_cert_chain(files.cert, files.key)
    connection = http.client.HTTPSConnection(address, timeout=SECONDS, context=context)
    with contextlib.closing(connection):
        connection.request("POST" if body else "GET", path, body)
        return connection.getresponse().status
