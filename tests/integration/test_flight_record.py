"""The flight record of real sidecars: whatever happened to them, it is replayed to the letter, and tells no secrets."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.servers import EtcdServer, wait_for
from tests.support.sidecars import PATIENCE, Sidecar, request, wait_leader
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
TTL = 6
"""Seconds of a lease that is to end, once; a busy machine does not run it out before."""


def record(sidecar: Sidecar) -> str:
    """What it tells at this moment."""
    status, body = request("GET", f"{sidecar.control}/debug/record")
    assert status == 200
    return body


def events(text: str) -> list[str]:
    """The kinds of the events in a record."""
    return [line["event"] for line in map(json.loads, text.splitlines()[1:]) if "event" in line]


def replayed(text: str, *flags: str) -> str:
    """What `leasehold replay` prints of it, which must be no complaint."""
    command = [sys.executable, "-m", "leasehold", "replay", *flags, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-3000:] + done.stderr
    return done.stdout


def right(sidecars: Sequence[Sidecar]) -> None:
    """Each one's record is replayed as it was, and no rule was broken."""
    for sidecar in sidecars:
        assert replayed(record(sidecar), "--check").endswith("no rule was broken.\n")


def leader_before_another(both: Sequence[Sidecar]) -> Sidecar:
    """Whoever of the two leads, once the other waits: so that a handover goes to that one."""
    leader = wait_leader(both)
    next(one for one in both if one is not leader).wait_queued(1)
    return leader


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory."""
    made = tmp_path / "state"
    made.mkdir()
    return made


def test_an_eventful_life_is_replayed(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory) -> None:
    """Handovers, a key deleted by hand, an etcd that stands still, and a pause."""
    server = etcd_factory()
    both = [sidecar_factory(name, server.url, ttl=TTL) for name in "ab"]
    leader = leader_before_another(both)
    for _ in range(2):
        assert leader.post("/handover") == 202
        wait_leader(both, but=leader)
        leader = leader_before_another(both)
    server.ctl.delete(leader.ask().fields["key"])
    leader = wait_leader(both)
    server.pause()
    leader.wait_not_leading()
    server.resume()
    leader = leader_before_another(both)
    assert leader.post("/pause") == 202
    other = wait_leader(both, but=leader)
    assert leader.post("/resume") == 202
    leader.wait_queued()
    right(both)
    seen = set(events(record(leader))) | set(events(record(other)))
    assert {"Start", "HandOver", "EntryGone", "Failed", "WatchLost", "Pause", "Resume"} <= seen
    shown = replayed(record(leader))
    assert shown.startswith(f"{leader.name} in the election for tests/lock; recorded because: asked")
    assert "> Resign op=" in shown


def test_a_lost_lock_leaves_a_record(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """In the state directory: of the deletion, and of all before it."""
    a = sidecar_factory("a", ttl=60, flags=["--state-dir", str(home)])
    a.wait_leading()
    stored.ctl.delete(stored.entries()[0].key)
    wait_for((home / "flight-record.jsonl").exists, "the record", PATIENCE)
    a.wait_leading()
    kept = (home / "flight-record.jsonl").read_text()
    assert json.loads(kept.splitlines()[0])["reason"] == "lost"
    assert events(kept)[-1] == "EntryGone"
    replayed(kept, "--check")


def test_an_unwritable_record_costs_nothing(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """The record is dropped with one line; the lock is won again, and what happened can still be asked for."""
    (home / ".flight-record.jsonl.tmp" / "in the way").mkdir(parents=True)
    a = sidecar_factory("a", ttl=60, flags=["--state-dir", str(home)])
    token = a.wait_leading().token
    stored.ctl.delete(stored.entries()[0].key)
    wait_for(lambda: a.is_leading() and a.ask().token > token, "another term", PATIENCE)
    wait_for(lambda: "the flight record was dropped" in a.log_since_start, "the line", PATIENCE)
    assert a.log_since_start.count("the flight record was dropped") == 1
    assert not (home / "flight-record.jsonl").exists()
    assert "EntryGone" in events(record(a))


def test_no_secret_is_in_it(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory, tmp_path: Path) -> None:
    """Neither the password, right or wrong, which a refusal tells of, nor what hooks are run."""
    server = etcd_factory(flags=["--bcrypt-cost=4"])
    server.enable_auth({"the-user": "right-password"})
    password = tmp_path / "password-file"
    password.write_text("wrong-password\n")
    flags = ["--etcd-user", "the-user", "--etcd-password-file", str(password), "--on-lost", "true hook-argument"]
    a = sidecar_factory("a", server.url, root="/leasehold/secrets", ttl=TTL, flags=flags)
    wait_for(lambda: "Failed" in events(record(a)), "a refusal", PATIENCE)
    password.write_text("right-password\n")
    a.wait_leading()
    text = record(a)
    for secret in ("wrong-password", "right-password", "hook-argument"):
        assert secret not in text
    right([a])
