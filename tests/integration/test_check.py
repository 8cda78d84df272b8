"""`leasehold check` on real etcds, each broken in one way: it finds that, says so, and answers in time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leasehold.check.etcd_rows import SECTION
from leasehold.check.lock_rows import SECTION as LOCKS
from tests.servers import PATIENCE, CertificateAuthority, EtcdCluster, EtcdctlFailed, EtcdServer, Process
from tests.support.sidecars import LOCK, Sidecar
from tests.support.stored_lock import StoredLock

Checks = dict[str, dict[str, Any]]


def check(url: str, *arguments: str) -> tuple[int, Checks]:
    """The exit code, and the rows that are not well, by their check's name."""
    command = [sys.executable, "-m", "leasehold", "check", "--etcd", url, "--output", "json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stderr == ""
    rows = json.loads(done.stdout)["rows"]
    assert all(row["cure"] for row in rows if row["level"] != "ok")
    assert done.returncode == _code(rows)
    # Slow answers are told as they are, and a busy machine is slow: a test that looks for others does not see them.
    rows = [row for row in rows if "answers a linearizable read in" not in row["found"]]
    return _code(rows), {row["check"]: row for row in rows if row["level"] != "ok"}


def _code(rows: list[dict[str, Any]]) -> int:
    return int(any(row["level"] in ("failed", "unknown") for row in rows))


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_all_is_well(etcd: EtcdServer, root: str, sidecar_factory: Callable[..., Sidecar]) -> None:
    sidecar_factory("a").wait_leading()
    code, found = check(etcd.url, "--root", root, "--lock", LOCK)
    assert (code, {name: row["found"] for name, row in found.items()}) == (0, {})


def test_etcd_that_does_not_answer(etcd_factory: Callable[..., EtcdServer], silent: str) -> None:
    """Nothing listens, something else listens, or etcd is frozen: a row for it, and one for what was not asked."""
    server = etcd_factory()
    server.pause()
    try:
        for url in ("http://127.0.0.1:1", silent, server.url):
            code, found = check(url)
            assert (code, set(found), found["locks"]["level"]) == (1, {"etcd-member", "locks"}, "unknown")
            assert found["etcd-member"]["about"] == url
    finally:
        server.resume()


def test_known_flaw_is_named(etcd_factory: Callable[..., EtcdServer]) -> None:
    code, found = check(etcd_factory("3.5").url)
    assert (code, set(found)) == (0, {"etcd-version"})
    assert "can revoke leases" in found["etcd-version"]["found"]


def test_space_is_used_up(etcd_factory: Callable[..., EtcdServer]) -> None:
    server = etcd_factory(flags=["--quota-backend-bytes=2097152"])
    with pytest.raises(EtcdctlFailed, match="space exceeded"):
        fill(server)
    code, found = check(server.url)
    assert (code, set(found)) == (1, {"etcd-alarms", "etcd-space"})
    assert "NOSPACE" in found["etcd-alarms"]["found"]


def fill(server: EtcdServer) -> None:
    for number in range(100):
        server.ctl.put(f"/filling/{number}", "x" * 100_000)


def test_certificate_ends(etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority) -> None:
    """Etcd's own has ended, so nobody can reach it; the client's ends within days."""
    ended, soon = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 3))
    server = etcd_factory(authority=certs, mutual=True)
    certs.server("etcd-server", not_after=ended)
    client = certs.client("app", not_after=soon)
    files = ["--etcd-ca", str(client.ca), "--etcd-cert", str(client.cert), "--etcd-key", str(client.key)]
    code, found = check(server.url, *files)
    assert (code, set(found)) == (1, {"etcd-member", "etcd-certificate", "client-certificate", "locks"})
    assert "ended on" in found["etcd-certificate"]["found"]
    assert "expired" in found["etcd-member"]["found"]
    assert "ends soon" in found["client-certificate"]["found"]


def test_members_that_are_away(cluster_factory: Callable[..., EtcdCluster]) -> None:
    """One of three that is not named; one that is down; two, so that nobody can lead."""
    cluster = cluster_factory()
    first, second, third = cluster.members
    code, found = check(f"{first.url},{second.url}")
    assert (code, set(found)) == (0, {"etcd-members"})
    assert third.url in found["etcd-members"]["cure"]
    third.kill()
    code, found = check(cluster.endpoints)  # if it led, the others may not have elected yet
    assert code == 1
    assert {"etcd-member", "etcd-members"} <= set(found)
    assert third.name in found["etcd-members"]["found"]
    second.kill()
    code, found = check(cluster.endpoints)
    assert code == 1
    assert {"etcd-latency", "locks"} <= set(found)


def test_login_is_demanded(etcd_factory: Callable[..., EtcdServer]) -> None:
    server = etcd_factory()
    server.enable_auth({})
    code, found = check(server.url)
    assert code == 1
    assert "demands a user name" in found["locks"]["found"]


def test_locks_that_are_broken(etcd: EtcdServer, stored: StoredLock, root: str) -> None:
    """Of one lock, each of its troubles; and the same if all locks are looked at."""
    only = ("--root", root, "--lock", LOCK)
    assert set(check(etcd.url, *only)[1]) == {"lock-held"}
    stored.stranger("somebody")
    assert set(check(etcd.url, *only)[1]) == {"lock-foreign"}
    stored.ctl.put(f"{stored.keys.queue}by-hand", "by hand")
    stored.declare(suspend=True)
    expected = {"lock-foreign", "lock-no-lease", "lock-suspended"}
    assert set(check(etcd.url, *only)[1]) == set(check(etcd.url, "--root", root)[1]) == expected
    stored.write_spec("not a spec")
    code, found = check(etcd.url, *only)
    assert (code, found["lock-spec"]["section"]) == (1, LOCKS)


def test_watch_tells_what_has_changed(etcd: EtcdServer, stored: StoredLock, root: str) -> None:
    """With `--watch` the rows are printed again once a finding differs, and not before."""
    command = [
        sys.executable,
        "-m",
        "leasehold",
        "check",
        "--etcd",
        etcd.url,
        "--root",
        root,
        "--lock",
        LOCK,
        "--watch",
    ]
    with Process(command, name="check", lines=True) as watching:
        found = [watching.read_line()]
        while "failed" not in found[-1]:
            found.append(watching.read_line())
        assert any("nobody stands in the queue" in line for line in found)
        stored.stranger("somebody")
        again = [watching.read_line()]
        while not any("is held by somebody" in line for line in again):
            again.append(watching.read_line())
        assert not any("nobody stands" in line for line in again)


def test_people_see_causes_and_cures(etcd: EtcdServer, stored: StoredLock, root: str) -> None:
    """Section by section, each cure below its row, and a last line that counts."""
    command = [sys.executable, "-m", "leasehold", "check", "--etcd", etcd.url, "--root", root, "--lock", LOCK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    lines = done.stdout.splitlines()
    assert lines[:2] == [SECTION, "-" * len(SECTION)]
    assert lines[-3].startswith("    no candidate is in the queue")
    assert lines[-1].startswith("1 failed; ")
