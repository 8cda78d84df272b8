"""Every setting of `leasehold run` has an effect that can be seen from outside, given as a flag and as a variable.

Each function is the case of the flags that it is marked with; a flag without a case fails a test. What a setting may
not be is in tests/unit/test_config.py, and what a start refuses in test_run_bad_input.py.
"""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from leasehold.run.work_end import DOUBT_SECONDS, ENDING
from leasehold.settings import commands
from tests.servers import CertificateAuthority, EtcdServer, reserve_port, wait_for
from tests.support.http_asker import ask
from tests.support.run_bench import App, Bench, Way
from tests.support.sidecars import LOCK, PATIENCE, Sidecar, wait_leader


@dataclass(frozen=True)
class Place:
    """What a case may use."""

    bench: Bench
    directory: Path
    certs: CertificateAuthority
    etcd_factory: Callable[..., EtcdServer]


Case = Callable[[Place], None]
CASES: dict[tuple[str, ...], Case] = {}


def shows(*names: str) -> Callable[[Case], Case]:
    """Mark a function as the case of these flags."""

    def mark(case: Case) -> Case:
        CASES[names] = case
        return case

    return mark


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


# --- listeners ---


@shows("--listen")
def listen(place: Place) -> None:
    port = reserve_port()
    a = place.bench.start("a", {"--listen": f"127.0.0.1:{port}"})
    assert ask("GET", f"http://127.0.0.1:{port}/livez").status == 200
    assert a.url == f"http://127.0.0.1:{port}"


@shows("--control")
def control(place: Place) -> None:
    port = reserve_port()
    place.bench.start("a", {"--control": f"127.0.0.1:{port}"}).wait_leading()
    assert ask("POST", f"http://127.0.0.1:{port}/pause").status == 202
    wait_for(lambda: place.bench.stored.entries() == [], "a to leave the queue", PATIENCE)


# --- the app ---


@shows("--state-dir")
def state_dir(place: Place) -> None:
    """Holds what is known, for those who would rather read a file; it says when the sidecar has ended."""
    a = place.bench.start("a", {"--state-dir": str(place.directory)})
    token = a.wait_leading().token
    state = place.directory / "state.json"
    wait_for(lambda: state.exists() and json.loads(state.read_text())["leading"], "the state file to tell", PATIENCE)
    fields = json.loads(state.read_text())
    assert (fields["token"], fields["state"], fields["ended"]) == (token, "holding", False)
    assert fields["validUntilUptime"] > float(Path("/proc/uptime").read_text().split()[0])
    assert a.terminate() == 0
    fields = json.loads(state.read_text())
    assert (fields["leading"], fields["token"], fields["ended"]) == (False, None, True)


@shows("--drain")
def drain(place: Place) -> None:
    """TERM: 503 at once, and the key stays until the app is done."""
    a = place.bench.start("a", {"--drain": "600"})
    a.wait_leading()
    b = place.bench.start("b")
    b.wait_queued(1)
    a.signal(signal.SIGTERM)
    a.wait_not_leading()
    assert place.bench.stored.identities() == ["a", "b"]
    assert a.post("/drained") == 202
    b.wait_leading()
    assert a.wait() == 0


@shows("--native-sidecar")
def native_sidecar(place: Place) -> None:
    """TERM waits for signs of the app's end, not for the drain time. A handover on request still does."""
    a = place.bench.start("a", {"--drain": "600", "--native-sidecar": "true"})
    a.wait_leading()
    a.post("/handover")
    assert a.get("/readyz")[0] == 503
    assert place.bench.stored.identities() == ["a"]
    assert a.terminate() == 0
    assert place.bench.stored.entries() == []


@shows("--termination-grace")
def termination_grace(place: Place) -> None:
    """TERM may come because it is over: then an app that refuses connections may still work for some time."""
    flags = {"--native-sidecar": "true", "--termination-grace": "1", "--state-dir": str(place.directory)}
    with App(200) as app:
        a = place.bench.start("a", {**flags, "--app-health": app.url})
        a.wait_leading()
        (place.directory / ENDING).touch()
    begun = time.monotonic()
    assert a.terminate() == 0
    assert time.monotonic() - begun >= DOUBT_SECONDS


@shows("--init-work")
def init_work(place: Place) -> None:
    """An init container may work for as long as the grace period."""
    flags = {"--native-sidecar": "true", "--termination-grace": "1", "--init-work": "true"}
    a = place.bench.start("a", flags)
    a.wait_leading()
    begun = time.monotonic()
    assert a.terminate() == 0
    assert time.monotonic() - begun >= DOUBT_SECONDS + 1


@shows("--app-health")
def app_health(place: Place) -> None:
    """An app that was never healthy never leads."""
    with App(503) as app:
        a = place.bench.start("a", {"--app-health": app.url})
        app.wait_asked()
        assert place.bench.stored.entries() == []
        app.status = 204
        a.wait_leading()


@shows("--pod-labels")
def pod_labels(place: Place) -> None:
    """A pod that is labelled as the leader, and does not lead, is unready after a while; one that leads is ready."""
    labels = place.directory / "labels"
    labels.write_text('app="x"\nleasehold.dev/leader="true"')
    a, b = (place.bench.start(name, {"--pod-labels": str(labels)}) for name in ("a", "b"))
    leader = wait_leader([a, b])
    (other,) = {a, b} - {leader}
    wrong = "no operator has taken the label off"
    wait_for(lambda: wrong in other.get("/readyz")[1], "the label to count as wrong", PATIENCE)
    assert other.get("/readyz")[0] == 503
    assert leader.get("/readyz")[0] == 200
    labels.write_text('app="x"')
    wait_for(lambda: other.get("/readyz")[0] == 200, "the label to be gone", PATIENCE)


@shows("--on-gained", "--on-lost")
def hooks(place: Place) -> None:
    """Each is run with the event, the lock and the token in its environment; no shell reads its words."""
    script = "import os, sys; open(sys.argv[1], 'a').write(' '.join(os.environ[n] for n in sys.argv[2:]) + '\\n')"
    told = place.directory / "told $HOME"
    command = f"{sys.executable} -c \"{script}\" '{told}' LEASEHOLD_EVENT LEASEHOLD_LOCK LEASEHOLD_TOKEN"
    a = place.bench.start("a", {"--on-gained": command, "--on-lost": command})
    token = a.wait_leading().token
    wait_for(lambda: told.exists() and told.read_text(), "the hook to have told", PATIENCE)
    assert a.terminate() == 0
    assert told.read_text().splitlines() == [f"gained {LOCK} {token}", f"lost {LOCK} {token}"]


# --- logs ---


@shows("--log-level")
def log_level(place: Place) -> None:
    """Only what is at least as bad: at `error`, a start and an end without trouble say nothing."""
    heard = {}
    for level in ("error", "info", "debug"):
        one = _begin_and_lead(place, {"--log-level": level})
        assert one.terminate() == 0
        heard[level] = one.records()
    assert heard["error"] == []
    assert {record["level"] for record in heard["info"]} == {"info"}
    assert len(heard["info"]) <= len(heard["debug"]) < 50


@shows("--log-format")
def log_format(place: Place) -> None:
    a = _begin_and_lead(place, {"--log-format": "text"})
    a.wait_for_log("token=")
    assert a.records() == []
    a.terminate()
    b = _begin_and_lead(place, {"--log-format": "json"})
    b.wait_for_log("gained")
    assert all("message" in json.loads(line) for line in b.log.splitlines())


def _begin_and_lead(place: Place, settings: dict[str, str]) -> Sidecar:
    """A sidecar whose log may not tell where it listens; it leads on return."""
    port = reserve_port()
    one = place.bench.make("a", settings)
    one.argv += ["--listen", f"127.0.0.1:{port}"]
    one.url = f"http://127.0.0.1:{port}"
    one.begin().wait_leading()
    return one


# --- the table ---


@pytest.mark.parametrize("way", ["flag", "variable"])
@pytest.mark.parametrize("names", CASES, ids=" ".join)
def test_setting(
    names: tuple[str, ...],
    way: Way,
    bench: Bench,
    tmp_path: Path,
    certs: CertificateAuthority,
    etcd_factory: Callable[..., EtcdServer],
) -> None:
    bench.way = way
    CASES[names](Place(bench, tmp_path, certs, etcd_factory))


def test_every_setting_has_a_case() -> None:
    given = {option.flag for group in commands.RUN for option in group.options}
    assert given == {name for names in CASES for name in names}


def test_flag_goes_before_its_variable(bench: Bench) -> None:
    """If both are given, the flag counts."""
    a = bench.start("a", {"--identity": "flag"}, env={"LEASEHOLD_IDENTITY": "variable", "LEASEHOLD_PRIORITY": "3"})
    a.wait_leading()
    assert [(record["identity"], record["priority"]) for record in bench.stored.records()] == [("flag", 3)]


def test_flag_turns_a_switch_off(bench: Bench) -> None:
    """A switch that a variable turns on is turned off by its flag."""
    a = bench.make("a", env={"LEASEHOLD_REQUIRE_LOCK": "true"})
    a.argv.append("--no-require-lock")
    a.start()
    a.wait_leading()


def test_the_pod_in_the_record(bench: Bench) -> None:
    """What Kubernetes' downward API tells, as the container's variables."""
    env = {"POD_NAME": "web-7", "POD_NAMESPACE": "shop", "POD_UID": "0b6c", "NODE_NAME": "node-3"}
    bench.start("a", env=env).wait_leading()
    (record,) = bench.stored.records()
    assert record.pop("incarnation")
    assert record == {"identity": "a", "pod": "web-7", "podNamespace": "shop", "podUID": "0b6c", "node": "node-3"}


def test_namespace_of_the_pod(bench: Bench) -> None:
    """A lock without a namespace is of the pod's."""
    a = bench.start("a", {"--lock": "other"}, env={"POD_NAMESPACE": "shop"})
    assert a.wait_leading().fields["lock"] == "shop/other"
