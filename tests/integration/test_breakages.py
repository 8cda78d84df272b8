"""Seventeen ways to break etcd, a lock or an app: `check` and the sidecar name each, and what `check` says cures it."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.servers import CertificateAuthority, EtcdCluster, EtcdctlFailed, EtcdServer, reserve_port, wait_for
from tests.support.breakages import Act, Breakage, Row, ways
from tests.support.run_bench import App, Bench
from tests.support.sidecars import LOCK, PATIENCE, Sidecar, request

ENDED = datetime.now(UTC) - timedelta(days=1)


class Place:
    """An etcd that may be harmed, one sidecar, and the settings of it and of `check`."""

    def __init__(self, bench: Bench, directory: Path, start_etcd: Callable[..., EtcdServer]) -> None:
        self.bench = bench
        self.etcd = bench.server
        self.stored = bench.stored
        self.directory = directory
        self.start_etcd = start_etcd
        self.settings: dict[str, str] = {"--etcd": self.etcd.url}
        self.sidecar: Sidecar | None = None

    def start(self, **more: str) -> Sidecar:
        """The sidecar; `more` are settings of its own."""
        own = {f"--{name.replace('_', '-')}": value for name, value in more.items()}
        self.sidecar = self.bench.start("a", {**self.settings, **own})
        return self.sidecar

    def reason(self) -> str:
        """The code of what keeps it from leading, as `/readyz` has it, or `/leader` if it has a place in the queue."""
        assert self.sidecar is not None
        return str(json.loads(self.sidecar.get("/leader")[1])["reasonCode"])

    def row(self, check: str) -> Row | None:
        """What `leasehold check` says of that, unless all is well."""
        words = [word for pair in self.settings.items() for word in pair]
        command = [sys.executable, "-m", "leasehold", "check", *words, "--root", self.bench.root, "--lock", LOCK]
        done = subprocess.run(
            [*command, "--output", "json"], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        rows: list[Row] = json.loads(done.stdout)["rows"]
        return next((one for one in rows if one["check"] == check and one["level"] != "ok"), None)


BREAKAGES: list[Breakage[Place]] = []
broken = partial(ways, BREAKAGES)


@broken("etcd-member", "etcd-unreachable", "that this member runs")
def etcd_is_down(place: Place) -> Act:
    place.etcd.kill()
    place.start()
    yield
    place.etcd.start()


@broken("etcd-member", "etcd-unreachable", "check the address in --etcd")
def port_is_of_something_else(place: Place) -> Act:
    with App(404) as app:
        right, place.settings["--etcd"] = place.settings["--etcd"], app.url.removesuffix("/healthz")
        wrong = place.start()
        yield
    place.settings["--etcd"] = right
    wrong.close()
    place.start()


@broken("etcd-alarms", "etcd-full", "compact and defragment it")
def space_is_used_up(place: Place) -> Act:
    with contextlib.suppress(EtcdctlFailed):
        for number in range(1000):
            place.etcd.ctl.put(f"/filling/{number}", "x" * 100_000)
    place.start()
    yield
    ctl = place.etcd.ctl
    ctl.run("del", "/filling/", "--prefix")
    revision = ctl.json("get", "/filling/", "--prefix")["header"]["revision"]
    ctl.run("compact", "--physical", str(revision))
    ctl.run("defrag")
    ctl.run("alarm", "disarm")


@broken("locks", "etcd-login", "--etcd-user")
def login_is_demanded(place: Place) -> Act:
    own = place.start_etcd(name="etcd-login")
    own.enable_auth({"me": "secret"}, prefix=f"{place.bench.root}/")
    place.settings["--etcd"] = own.url
    stranger = place.start()
    yield
    (place.directory / "password").write_text("secret\n")
    place.settings |= {"--etcd-user": "me", "--etcd-password-file": str(place.directory / "password")}
    stranger.close()
    place.start()


@broken("locks", "etcd-login", "--etcd-password-file")
def password_is_wrong(place: Place) -> Act:
    own, password = place.start_etcd(name="etcd-password"), place.directory / "password"
    own.enable_auth({"me": "secret"}, prefix=f"{place.bench.root}/")
    password.write_text("wrong\n")
    place.settings |= {"--etcd": own.url, "--etcd-user": "me", "--etcd-password-file": str(password)}
    place.start()
    yield
    password.write_text("secret\n")


@broken("locks", "etcd-login", "etcdctl role grant-permission")
def role_lacks_the_keys(place: Place) -> Act:
    own, password = place.start_etcd(name="etcd-rights"), place.directory / "password"
    own.enable_auth({"me": "secret"}, prefix="/elsewhere/")
    password.write_text("secret\n")
    place.settings |= {"--etcd": own.url, "--etcd-user": "me", "--etcd-password-file": str(password)}
    place.start()
    yield
    own.ctl.run("role", "grant-permission", "candidate", "--prefix=true", "readwrite", f"{place.bench.root}/")


@broken("etcd-leader", "etcd-unreachable", "start the other members")
def too_few_members_run(place: Place) -> Act:
    with EtcdCluster() as cluster:
        place.settings["--etcd"] = cluster.endpoints
        for member in cluster.members[1:]:
            member.kill()
        wait_for(lambda: place.row("etcd-leader"), "the member that is left to know no leader", PATIENCE)
        place.start()
        yield
        cluster.start()
        yield


@broken("etcd-learner", "etcd-refuses", "etcdctl member promote")
def learner_is_the_only_endpoint(place: Place) -> Act:
    learner = EtcdServer(name="learner", flags=["--initial-cluster-state=existing"])
    voter = place.start_etcd(name="voter")
    learner.initial_cluster = f"{voter.initial_cluster},{learner.initial_cluster}"
    with contextlib.closing(learner):
        added = voter.ctl.json("member", "add", "learner", "--learner", f"--peer-urls={learner.peer_url}")
        learner.start(wait=False)
        place.settings["--etcd"] = learner.url
        place.start()
        yield
        voter.ctl.run("member", "promote", f"{int(added['member']['ID']):x}")
        yield


def _secured(place: Place) -> CertificateAuthority:
    """Have etcd and its clients use certificates of an authority of the test's own."""
    authority = CertificateAuthority(place.directory / "certs")
    own = place.start_etcd(name="etcd-tls", authority=authority, mutual=True)
    mine = authority.client("app")
    files = {"--etcd-ca": str(mine.ca), "--etcd-cert": str(mine.cert), "--etcd-key": str(mine.key)}
    place.settings |= {"--etcd": own.url, **files}
    return authority


@broken("etcd-certificate", "etcd-unreachable", "issue a new certificate")
def certificate_of_etcd_has_ended(place: Place) -> Act:
    authority = _secured(place)
    authority.server("etcd-tls-server", not_after=ENDED)
    place.start()
    yield
    authority.server("etcd-tls-server")


@broken("client-certificate", "etcd-unreachable", "issue a new certificate")
def own_certificate_has_ended(place: Place) -> Act:
    authority = _secured(place)
    authority.client("app", not_after=ENDED)
    place.start()
    yield
    authority.client("app")


@broken("lock-held", "app-starting", "/readyz says why")
def health_port_is_wrong(place: Place) -> Act:
    port = reserve_port()
    place.start(app_health=f"http://127.0.0.1:{port}/healthz")
    yield
    with App(200, port) as app:
        app.wait_asked()
        yield


@broken("lock-held", "undeclared", "/readyz says why")
def lock_is_not_declared(place: Place) -> Act:
    place.start(require_lock="yes")
    yield
    place.stored.declare(ttl=10)


@broken("lock-held", "paused", "/readyz says why")
def sidecar_is_paused(place: Place) -> Act:
    sidecar = place.start()
    sidecar.wait_leading()
    sidecar.post("/pause")
    yield
    said = json.loads(sidecar.get("/readyz")[1])["reason"]
    assert "POST /resume on the control listener" in said
    request("POST", f"{sidecar.control}/resume")


@broken("lock-suspended", "suspended", "spec.suspend to false")
def lock_is_suspended(place: Place) -> Act:
    place.stored.declare(suspend=True)
    place.start()
    yield
    place.stored.declare(suspend=False)


@broken("lock-spec", "spec-unreadable", "they could read")
def declaration_is_nonsense(place: Place) -> Act:
    place.stored.declare(suspend=True)
    place.start().wait_queued()
    place.stored.write_spec("not a spec")
    yield
    place.stored.declare(suspend=False)


@broken("lock-no-lease", "behind", "etcdctl del ")
def key_was_written_by_hand(place: Place) -> Act:
    place.stored.ctl.put(f"{place.stored.keys.queue}by-hand", "by hand")
    place.start()
    row = yield
    command = re.search(r"etcdctl (del) (\S+)$", row["cure"])
    assert command is not None
    place.stored.ctl.run(*command.groups())


@broken("lock-foreign", "behind", "stop it")
def candidate_is_a_stranger(place: Place) -> Act:
    lease = place.stored.stranger("somebody")
    place.start()
    yield
    place.stored.ctl.run("lease", "revoke", f"{lease:x}")


@pytest.fixture(scope="module")
def harmed() -> Iterator[EtcdServer]:
    """One etcd for those breakages that it survives."""
    with EtcdServer(name="etcd-harmed", flags=["--quota-backend-bytes=4194304"]) as server:
        yield server


@pytest.fixture
def place(harmed: EtcdServer, root: str, tmp_path: Path, etcd_factory: Callable[..., EtcdServer]) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        yield Place(Bench(stack, "flag", harmed, root), tmp_path, etcd_factory)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda one: one.act.__name__)
def test_found_named_and_cured(breakage: Breakage[Place], place: Place) -> None:
    """The sidecar gives the reason, `check` has the row; after the cure the sidecar leads, and the row is gone."""
    steps = breakage.act(place)
    next(steps)
    wait_for(lambda: place.reason() == breakage.reason, f"the reason {breakage.reason}", PATIENCE)
    row = place.row(breakage.check)
    assert row is not None, f"check does not say {breakage.check}"
    breakage.cured(steps, row)
    assert place.sidecar is not None
    place.sidecar.wait_leading()
    wait_for(lambda: place.row(breakage.check) is None, f"no row {breakage.check} any more", PATIENCE)
    steps.close()
