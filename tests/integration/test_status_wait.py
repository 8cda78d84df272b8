"""`leasehold status` and `leasehold wait` with real sidecars on a real etcd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Process, reserve_port, wait_for
from tests.support.stored_lock import StoredLock

LOCK = LockName("default", "job")


def leasehold(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leasehold", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


class Sidecars:
    """Sidecars of one lock, and what is printed about it."""

    def __init__(self, spawn: Callable[..., Process], etcd: EtcdServer, root: str) -> None:
        self._spawn = spawn
        self.place = ("--etcd", etcd.url, "--root", root, "--lock", "job")
        self.stored = StoredLock(etcd.ctl, root, str(LOCK))

    def command(self, name: str, port: int, *settings: str) -> list[str]:
        where = ("--listen", f"127.0.0.1:{port}", "--control", "127.0.0.1:0")
        words = [sys.executable, "-m", "leasehold", "run", *self.place, "--identity", name, "--ttl", "60"]
        return [*words, *where, *settings]

    def start(self, name: str, *settings: str, port: int | None = None) -> tuple[Process, int]:
        port = port or reserve_port()
        return self._spawn(self.command(name, port, *settings), name=name), port

    def status(self) -> Any:
        done = leasehold("status", *self.place, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait_for_queue(self, *identities: str) -> None:
        wanted = list(identities)
        wait_for(lambda: self.stored.identities() == wanted, f"{wanted}", PATIENCE)


@pytest.fixture
def sidecars(spawn: Callable[..., Process], etcd: EtcdServer, root: str) -> Sidecars:
    return Sidecars(spawn, etcd, root)


# --- status ---


def test_status_of_a_lock_nobody_wants(sidecars: Sidecars) -> None:
    done = leasehold("status", *sidecars.place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Lock default/job: vacant; nobody waiting.\nNot declared: ")


def test_status_of_a_queue(sidecars: Sidecars, root: str, etcdctl: Etcdctl) -> None:
    sidecars.start("one", "--group", "g1", "--priority", "2")
    sidecars.wait_for_queue("one")
    sidecars.start("two")
    sidecars.wait_for_queue("one", "two")
    first, second = sidecars.status()["candidates"]
    keys = etcdctl.prefix(Keys(LOCK, root).queue)
    assert [first["token"], second["token"]] == sorted(key.create_revision for key in keys)
    assert (first["holds"], second["holds"]) == (True, False)
    assert (first["group"], first["priority"]) == ("g1", 2)
    assert 0 <= first["leaseSecondsLeft"] <= 60
    printed = leasehold("status", *sidecars.place).stdout
    assert printed.startswith("Lock default/job: held by one; 1 waiting.\n")


def test_status_shows_foreign_records(sidecars: Sidecars, root: str, etcdctl: Etcdctl) -> None:
    keys = Keys(LOCK, root)
    lease = etcdctl.grant(60)
    etcdctl.put(keys.entry(lease), "evil\x1b[2J\n{", lease=lease)
    etcdctl.put(keys.spec, json.dumps({"capacity": 2, "suspend": True, "frob": 1}))
    done = leasehold("status", *sidecars.place)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("Lock default/job: held by evil")
    assert "Declared: TTL each sidecar's own, else 15 s, capacity 2, suspended." in done.stdout


def test_status_with_a_broken_spec(sidecars: Sidecars, root: str, etcdctl: Etcdctl) -> None:
    etcdctl.put(Keys(LOCK, root).spec, "{broken")
    done = leasehold("status", *sidecars.place)
    assert done.returncode == 0
    assert "Declared, but the lock's spec key does not hold a JSON object." in done.stdout


def test_status_without_etcd() -> None:
    """Without etcd, `status` is one sentence."""
    done = leasehold("status", "--lock", "job", "--etcd", f"http://127.0.0.1:{reserve_port()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("leasehold: The queue cannot be read: ")


def test_status_asks_the_next_member(sidecars: Sidecars) -> None:
    etcd, url, *rest = sidecars.place
    done = leasehold("status", etcd, f"http://127.0.0.1:{reserve_port()},{url}", *rest)
    assert (done.returncode, done.stderr) == (0, "")


def test_status_with_a_login(etcd_factory: Callable[..., EtcdServer], tmp_path: Path) -> None:
    """Where etcd demands a login, `status` without one is a sentence."""
    server = etcd_factory()
    server.enable_auth({"me": "secret"})
    done = leasehold("status", "--lock", "job", "--etcd", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "give --etcd-user and --etcd-password-file" in done.stderr
    password = tmp_path / "password"
    password.write_text("secret\n")
    login = ("--etcd-user", "me", "--etcd-password-file", str(password))
    assert leasehold("status", "--lock", "job", "--etcd", server.url, *login).returncode == 0


# --- wait ---


def waiter(spawn: Callable[..., Process], port: int, *settings: str) -> Process:
    command = [sys.executable, "-m", "leasehold", "wait", "--url", f"http://127.0.0.1:{port}", *settings]
    return spawn(command, name="wait", lines=True)


def test_wait_prints_the_token(sidecars: Sidecars, spawn: Callable[..., Process]) -> None:
    """It may start before the sidecar, and wait while another leads."""
    port = reserve_port()
    waiting = waiter(spawn, port)
    first, _ = sidecars.start("one")
    sidecars.wait_for_queue("one")
    sidecars.start("two", port=port)
    sidecars.wait_for_queue("one", "two")
    assert waiting.running
    first.terminate()
    token = int(waiting.read_line())
    assert waiting.wait() == 0
    assert sidecars.status()["candidates"][0]["token"] == token


def test_wait_outlasts_a_restart(sidecars: Sidecars, spawn: Callable[..., Process]) -> None:
    """A sidecar that is restarted meanwhile does not end the wait."""
    leader, _ = sidecars.start("one")
    sidecars.wait_for_queue("one")
    standby, port = sidecars.start("two")
    sidecars.wait_for_queue("one", "two")
    waiting = waiter(spawn, port)
    standby.terminate()
    standby.start()
    sidecars.wait_for_queue("one", "two")
    assert waiting.running
    leader.kill()
    sidecars.stored.end_lease("one")  # it would run out
    assert int(waiting.read_line()) > 0
    assert waiting.wait() == 0


def test_wait_gives_up(sidecars: Sidecars) -> None:
    sidecars.start("one")
    sidecars.wait_for_queue("one")
    _, port = sidecars.start("two")
    sidecars.wait_for_queue("one", "two")
    done = leasehold("wait", "--url", f"http://127.0.0.1:{port}", "--timeout", "3")
    assert (done.returncode, done.stdout) == (1, "")
    begun, ended = done.stderr.splitlines()
    assert begun.startswith("leasehold: Waiting until this pod leads: ")
    assert ended == "leasehold: This pod does not lead after 3 seconds: 'one' leads."


def test_status_of_all_locks(sidecars: Sidecars, etcd: EtcdServer, root: str) -> None:
    """If no lock is named, one line each; with `--watch`, again once etcd's watch tells of a change."""
    place, watchers = ("--etcd", etcd.url, "--root", root), "etcd_debugging_mvcc_watcher_total"
    before = etcd.metric(watchers)
    assert leasehold("status", *place).stdout == "No lock has a key here.\n"
    command = [sys.executable, "-m", "leasehold", "status", *place, "--watch"]
    with Process(command, name="status", lines=True) as watching:
        assert watching.read_line() == "No lock has a key here."
        wait_for(lambda: etcd.metric(watchers) > before, "a watch")
        sidecars.start("a")
        assert watching.read_line() == ""
        assert watching.read_line().split() == ["LOCK", "HELD", "BY", "TOKEN", "WAITING", "DECLARED"]
        assert watching.read_line().split()[:2] == ["default/job", "a"]
    (lock,) = json.loads(leasehold("status", *place, "--output", "json").stdout)["locks"]
    assert (lock["lock"], [one["identity"] for one in lock["holders"]]) == ("default/job", ["a"])
