"""Starts that cannot succeed leave nothing in etcd and disturb nobody; what can heal is said once, and heals.

Mistakes in a value are in tests/unit/test_config.py; more of what real servers refuse is in test_bad_input.py.
"""

import re
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.servers import CertificateAuthority, EtcdServer, reserve_port, wait_for
from tests.support.run_bench import App, Bench, Way, variable_of
from tests.support.sidecars import PATIENCE, Sidecar

Start = Callable[..., EtcdServer]


# --- what ends the start ---


@pytest.mark.parametrize("way", ["flag", "variable"])
@pytest.mark.parametrize(
    ("flag", "mend"),
    [
        ("--listen", "the port is in use; choose another, or end the program that listens there"),
        ("--control", "another process listens there; choose another path, or end that process"),
        ("--state-dir", "another process is using it; give each sidecar one of its own"),
    ],
)
def test_what_another_sidecar_uses(flag: str, mend: str, way: Way, bench: Bench, tmp_path: Path) -> None:
    """One sentence that names the setting as it was given, and exit code 2; the other leads on, alone in etcd."""
    used = {"--listen": f"127.0.0.1:{reserve_port()}", "--control": f"unix:{tmp_path}/s", "--state-dir": str(tmp_path)}
    first = bench.start("first", used)
    before = first.wait_leading()
    leases = set(bench.stored.ctl.leases())
    bench.way = way
    second = bench.make("second", {flag: used[flag]}).begin()
    assert second.wait() == 2
    name = flag if way == "flag" else variable_of(flag)
    assert said(second) == [f"leasehold: {name} is {used[flag]!r}: {mend}."]
    assert bench.stored.identities() == ["first"]
    assert set(bench.stored.ctl.leases()) <= leases
    assert first.ask().token == before.token


def said(sidecar: Sidecar) -> list[str]:
    """The lines that are no record of the log; the log must be free of tracebacks."""
    assert "Traceback" not in sidecar.log
    return [line for line in sidecar.log.splitlines() if not line.startswith("{")]


def test_file_at_the_control_socket(bench: Bench, tmp_path: Path) -> None:
    """It may be somebody's work: it is neither used nor removed."""
    path = tmp_path / "precious"
    path.write_text("data")
    sidecar = bench.make("a", {"--control": f"unix:{path}"}).begin()
    assert sidecar.wait() == 2
    assert said(sidecar) == [
        f"leasehold: --control is 'unix:{path}': a file that is not a socket is there; choose another path."
    ]
    assert path.read_text() == "data"
    assert bench.stored.entries() == []


def test_mistakes_are_told_at_once(bench: Bench, tmp_path: Path) -> None:
    """Each in a sentence of its own, whether flag or variable, before anything was opened."""
    port = reserve_port()
    settings = {"--state-dir": str(tmp_path / "missing"), "--listen": f"127.0.0.1:{port}"}
    sidecar = bench.make("a", settings, env={"LEASEHOLD_MAX_DRIFT": "1", "LEASEHOLD_DRAIN": "soon"}).begin()
    assert sidecar.wait() == 2
    named = sorted(line.removeprefix("leasehold: ").split()[0] for line in said(sidecar))
    assert named == ["--state-dir", "LEASEHOLD_DRAIN", "LEASEHOLD_MAX_DRIFT"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


# --- what can heal ---


def wait_said_once(sidecar: Sidecar, text: str) -> None:
    """Wait until it says so and has tried again; it must have been said once, at a level that is not for debugging."""
    sidecar.wait_for_log(text, PATIENCE)
    before = vain_attempts(sidecar)
    wait_for(lambda: vain_attempts(sidecar) >= before + 2, f"{sidecar.name} to try again", PATIENCE)
    heard = [record["message"] for record in sidecar.records() if record["level"] != "debug"]
    assert sum(text in message for message in heard) == 1, heard
    assert "Traceback" not in sidecar.log


def vain_attempts(sidecar: Sidecar) -> float:
    """How many requests to etcd have failed, by its own count."""
    found = re.search(r'leasehold_errors_total{kind="request",.*} (\S+)', sidecar.get("/metrics")[1])
    return float(found[1]) if found else 0


def test_a_role_that_is_granted_later(bench: Bench, etcd_factory: Start, tmp_path: Path) -> None:
    """The user may log in, but the lock's keys are not its own: said, and joined when they are."""
    server = etcd_factory()
    server.enable_auth({"me": "secret"}, prefix="/elsewhere/")
    password = tmp_path / "password"
    password.write_text("secret")
    login = {"--etcd-user": "me", "--etcd-password-file": str(password)}
    a = bench.start("a", login, server=server)
    wait_said_once(a, "permission denied: the user or certificate lacks a role for these keys")
    server.ctl.run("role", "grant-permission", "candidate", "--prefix=true", "readwrite", f"{bench.root}/")
    a.wait_leading()


def test_bad_certificate_is_rotated(
    bench: Bench, etcd_factory: Start, certs: CertificateAuthority, tmp_path: Path
) -> None:
    """One of an authority that etcd does not know, replaced in its files by one that it does."""
    server = etcd_factory(authority=certs, mutual=True)
    wrong, right = CertificateAuthority(tmp_path / "other").client("me"), certs.client("me")
    files = {"--etcd-ca": str(certs.path), "--etcd-cert": str(wrong.cert), "--etcd-key": str(wrong.key)}
    a = bench.start("a", files, server=server)
    wait_said_once(a, "it did not accept our client certificate")
    right.key.replace(wrong.key)
    right.cert.replace(wrong.cert)
    a.wait_leading()


@pytest.mark.parametrize(
    ("scheme", "says"),
    [("https", "is it an http:// endpoint?"), ("http", "does it want https://, or a client certificate?")],
)
def test_the_other_scheme(
    scheme: str, says: str, bench: Bench, etcd_factory: Start, certs: CertificateAuthority
) -> None:
    """It cannot tell a wrong setting from an etcd that is being changed, so it says so and goes on trying."""
    server = etcd_factory(authority=certs if scheme == "http" else None)
    url = f"{scheme}://127.0.0.1:{server.port}"
    a = bench.start("a", {"--etcd": url})
    wait_said_once(a, says)
    assert a.terminate() == 0


class QuietHandler(BaseHTTPRequestHandler):
    """Whatever it is asked is an error to it, which nobody needs to read."""

    def log_message(self, *args: object) -> None:
        pass


def test_no_etcd_at_the_address(bench: Bench) -> None:
    """A web server, say: it is said; and where it is one address of several, the others serve."""
    with ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as stranger:
        Thread(target=stranger.serve_forever, args=(0.05,), daemon=True).start()
        a = bench.start("a", {"--etcd": f"http://127.0.0.1:{stranger.server_port},{bench.server.url}"})
        a.wait_leading()
        b = bench.start("b", {"--etcd": f"http://127.0.0.1:{stranger.server_port}"})
        wait_said_once(b, "is this etcd's client port?")
        stranger.shutdown()


def test_an_app_that_is_not_there_yet(bench: Bench) -> None:
    """The health check's address may answer later than the sidecar starts; what it gets is said once."""
    with App(503) as app:
        a = bench.start("a", {"--app-health": app.url})
        a.wait_for_log("waiting for the app to become healthy")
        app.wait_asked()
        assert sum("waiting for the app" in record["message"] for record in a.records()) == 1
        assert a.get("/readyz")[0] == 503
        app.status = 200
        wait_for(a.is_leading, "a to lead", PATIENCE)
