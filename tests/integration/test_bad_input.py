"""Bad input to real sidecars: what cannot heal is a sentence and exit code 2, what can is a log line and a retry.

Each value of each flag is checked in tests/unit/test_config.py; here is what only a start can find out.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, CertificateAuthority, Etcdctl, EtcdServer, Process, reserve_port, wait_for

LOCK = LockName("default", "job")
QUIET = ("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--ttl", "3")
# To root without these capabilities, a file's mode matters as it does to anybody.
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") if os.geteuid() == 0 else ()
Start = Callable[..., Process]


@pytest.fixture
def start(spawn: Start, root: str) -> Callable[..., Process]:
    """Starts a sidecar of the lock `default/job`."""

    def run(*arguments: str, **options: object) -> Process:
        command = [sys.executable, "-m", "leasehold", "run", "--lock", "job", "--root", root, *QUIET, *arguments]
        return spawn(command, name="sidecar", **options)

    return run


def refusal(*arguments: str) -> str:
    """What a start with these says, which must be one sentence of its own and exit code 2."""
    command = [sys.executable, "-m", "leasehold", "run", "--lock", "job", *QUIET, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("leasehold: ")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return said[0].removeprefix("leasehold: ")


def wait_held(etcdctl: Etcdctl, root: str, identity: str) -> None:
    queue = Keys(LOCK, root).queue
    wait_for(lambda: any(identity in entry.value for entry in etcdctl.prefix(queue)[:1]), f"{identity} holds", PATIENCE)


# --- what ends the start ---


@pytest.mark.parametrize("flag", ["--listen", "--control"])
def test_a_port_in_use(flag: str, etcd: EtcdServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refusal("--etcd", etcd.url, flag, address).startswith(f"{flag} is '{address}': ")


def test_an_address_that_is_not_ours(etcd: EtcdServer) -> None:
    assert refusal("--etcd", etcd.url, "--listen", "192.0.2.1:4040").startswith("--listen is '192.0.2.1:4040': ")


def test_unusable_files_and_directories(tmp_path: Path, spawn: Start) -> None:
    """What this user may not read or write is told by name."""
    secret, home = tmp_path / "secret", tmp_path / "home"
    secret.write_text("secret")
    home.mkdir()
    secret.chmod(0)
    home.chmod(0)
    settings = ("--etcd-user", "me", "--etcd-password-file", str(secret), "--state-dir", str(home))
    process = spawn([*UNPRIVILEGED, sys.executable, "-m", "leasehold", "run", "--lock", "job", *settings])
    assert process.wait() == 2
    assert f"--etcd-password-file is '{secret}': this process may not read that file" in process.log
    assert f"--state-dir is '{home}': this process may not write to that directory" in process.log


def test_state_directory_is_read_only() -> None:
    """A state directory on a read-only mount is told by name."""
    assert "may not write to that directory" in refusal("--state-dir", "/proc/self")


def test_shared_state_directory(tmp_path: Path, start: Start, etcd: EtcdServer, etcdctl: Etcdctl, root: str) -> None:
    """The second of two sidecars on one state directory says so."""
    settings = ("--etcd", etcd.url, "--state-dir", str(tmp_path), "--identity", "first")
    first = start(*settings)
    wait_held(etcdctl, root, "first")
    said = refusal("--root", root, *settings)
    assert said.startswith(f"--state-dir is '{tmp_path}': another process is using it")
    assert first.running


def test_certificate_with_another_key(certs: CertificateAuthority) -> None:
    """A certificate and the key of another are told in a sentence."""
    one, two = certs.client("one"), certs.client("two")
    pair = ("--etcd-cert", str(one.cert), "--etcd-key", str(two.key))
    assert "belongs to another certificate" in refusal("--etcd", "https://127.0.0.1:1", *pair)


@pytest.mark.parametrize("files", [6, 8, 10])
@pytest.mark.parametrize(
    "command", [("run", "--lock", "job", *QUIET), ("exec", "--lock", "job", "--", "true")], ids=" ".join
)
def test_too_few_file_descriptors(command: tuple[str, ...], files: int, etcd: EtcdServer, root: str) -> None:
    """However far a start gets, it is one sentence with the remedy; 75 says that another time it may work."""
    words = [sys.executable, "-m", "leasehold", command[0], "--etcd", etcd.url, "--root", root, *command[1:]]
    limited = ["prlimit", f"--nofile={files}", *words]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert done.returncode == 75, done.stderr
    assert said == [f"leasehold: too many files are open: this process may have {files}: raise its limit (ulimit -n)."]


# --- what can heal ---


def test_no_etcd_at_the_start(start: Start, etcd_factory: Callable[..., EtcdServer], root: str) -> None:
    """It is said, tried again a few times a second at the most, and joined when etcd is there."""
    server = etcd_factory()
    server.kill()
    process = start("--etcd", server.url, "--identity", "patient")
    process.wait_for_log(server.url.removeprefix("http://"))
    server.restart()
    wait_held(server.ctl, root, "patient")
    assert len(process.log.splitlines()) < 100
    assert "Traceback" not in process.log


def test_an_etcd_that_demands_a_login(
    start: Start, etcd_factory: Callable[..., EtcdServer], root: str, tmp_path: Path
) -> None:
    """Authentication may be turned off again, or the password file be replaced: neither needs a restart."""
    server = etcd_factory()
    server.enable_auth({"me": "right"}, prefix=root)
    anonymous = start("--etcd", server.url, "--identity", "anonymous")
    anonymous.wait_for_log("demands a user name and a password")
    password = tmp_path / "password"
    password.write_text("wrong\n")
    login = start("--etcd", server.url, "--identity", "me", "--etcd-user", "me", "--etcd-password-file", str(password))
    login.wait_for_log("authentication failed")
    assert "wrong" not in login.log
    password.write_text("right\n")
    wait_held(server.ctl, root, '"me"')
    assert anonymous.running
    for process in (anonymous, login):
        assert "Traceback" not in process.log
        assert len(process.log.splitlines()) < 200


def test_an_etcd_that_demands_tls(
    start: Start, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority
) -> None:
    server = etcd_factory(authority=certs)
    process = start("--etcd", server.url.replace("https", "http"))
    process.wait_for_log(server.url.removeprefix("https://"))
    wait_for(lambda: process.log.count("\n") > 1, "it says so", PATIENCE)
    assert process.running
    assert "Traceback" not in process.log
    assert process.terminate() == 0


def test_certificate_of_another_ca(
    start: Start, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, tmp_path: Path
) -> None:
    """A certificate of another authority is told in a sentence."""
    server = etcd_factory(authority=certs)
    process = start("--etcd", server.url)  # the system's authorities did not sign it
    process.wait_for_log("certificate")
    assert process.running
    assert "Traceback" not in process.log


# --- what others have written ---


CORRUPT = ["", "{", "null", '{"identity":1}', '{"identity":"x"}', "\x1b[2Jclear", "a\nb", "x" * 5000]


def test_foreign_records_in_the_queue(start: Start, etcd: EtcdServer, etcdctl: Etcdctl, root: str) -> None:
    """Each is a candidate like any other: waited for, and never deleted by us."""
    keys = Keys(LOCK, root)
    leases = [etcdctl.grant(600) for _ in CORRUPT]
    for lease, value in zip(leases, CORRUPT, strict=True):
        etcdctl.put(keys.entry(lease), value, lease=lease)
    process = start("--etcd", etcd.url, "--identity", "ours")
    wait_for(lambda: len(etcdctl.prefix(keys.queue)) == len(CORRUPT) + 1, "it is in the queue", PATIENCE)
    for lease in leases:
        assert process.running
        assert "ours" not in etcdctl.prefix(keys.queue)[0].value
        etcdctl.revoke(lease)
    wait_held(etcdctl, root, "ours")
    assert "Traceback" not in process.log
    assert "\x1b" not in process.log


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{broken", "does not hold a JSON object"),
        ("[]", "does not hold a JSON object"),
        (json.dumps({"capacity": -1}), "impossible capacity"),
        (json.dumps({"leaseDurationSeconds": "forever"}), "impossible leaseDurationSeconds"),
        (json.dumps({"capacity": 1, "frobnicate": True}), "frobnicate"),
    ],
)
def test_odd_spec_is_said_once(
    spec: str, says: str, start: Start, etcd: EtcdServer, etcdctl: Etcdctl, root: str
) -> None:
    """A spec that cannot be used is logged once, not at each look."""
    etcdctl.put(Keys(LOCK, root).spec, spec)
    process = start("--etcd", etcd.url, "--identity", "ours")
    wait_held(etcdctl, root, "ours")
    process.wait_for_log(says)
    assert process.terminate() == 0
    assert process.log.count(says) == 1
    assert "Traceback" not in process.log


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"lease": "x"}', b"[" * 100_000])
def test_corrupt_resume_file(
    content: bytes, start: Start, etcd: EtcdServer, etcdctl: Etcdctl, root: str, tmp_path: Path
) -> None:
    """The candidate joins as a new one, and a good file takes the place of the corrupt one."""
    (tmp_path / "resume.json").write_bytes(content)
    process = start("--etcd", etcd.url, "--identity", "ours", "--state-dir", str(tmp_path))
    wait_held(etcdctl, root, "ours")
    assert process.log.count("resume file") == 1
    assert "Traceback" not in process.log
    wait_for(lambda: (tmp_path / "resume.json").read_bytes() != content, "a good one is there", PATIENCE)


def test_service_named_leasehold(spawn: Start, etcd: EtcdServer, etcdctl: Etcdctl, root: str) -> None:
    """What Kubernetes sets for it in every pod of the namespace; the first has broken other projects' sidecars."""
    service = {
        "LEASEHOLD_PORT": "tcp://10.0.0.1:4040",
        "LEASEHOLD_SERVICE_HOST": "10.0.0.1",
        "LEASEHOLD_SERVICE_PORT": "4040",
        "LEASEHOLD_PORT_4040_TCP": "tcp://10.0.0.1:4040",
    }
    settings = {"LEASEHOLD_LOCK": "job", "LEASEHOLD_ETCD": etcd.url, "LEASEHOLD_ROOT": root, "LEASEHOLD_TTLL": "5"}
    command = [sys.executable, "-m", "leasehold", "run", *QUIET, "--identity", "ours"]
    process = spawn(command, env=service | settings)
    wait_held(etcdctl, root, "ours")
    assert process.log.count("LEASEHOLD_TTLL is no setting of leasehold") == 1
    assert "LEASEHOLD_PORT" not in process.log
    assert process.terminate() == 0


def test_wrong_settings_open_no_port(spawn: Start) -> None:
    """Nothing listens when the settings are wrong."""
    port = reserve_port()
    command = [sys.executable, "-m", "leasehold", "run", "--listen", f"127.0.0.1:{port}", "--ttl", "0"]
    assert spawn(command).wait() == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
