"""etcd is restored from a snapshot as its manual says, with its revision bumped, and `leasehold restore-check`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.servers import PATIENCE, Etcdctl, EtcdServer, Toxiproxy, wait_for
from tests.servers.toxiproxy import Proxy
from tests.support.sidecars import Sidecar

BUMPED = ("--bump-revision=1000000000", "--mark-compacted")
Factory = Callable[..., Sidecar]


def restore_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leasehold", "restore-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@dataclass
class Restored:
    """After a restore: `old` led when the snapshot was made and is cut off, `new` led after that and stands still."""

    server: EtcdServer
    proxy: Proxy
    old: Sidecar
    new: Sidecar
    root: str
    old_token: int
    new_token: int

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `leasehold restore-check` with these further arguments."""
        return restore_check("--etcd", self.server.url, "--root", self.root, *arguments)

    def wait_higher_token(self) -> None:
        """Let both sidecars in, and wait for a leader above all before. One of before may lead until it has asked."""
        self._let_in()
        wait_for(
            lambda: any(answer.leading and answer.token > self.new_token for answer in map(Sidecar.ask, self._both())),
            "a higher token",
            PATIENCE,
        )

    def _both(self) -> list[Sidecar]:
        return [self.old, self.new]

    def _let_in(self) -> None:
        self.proxy.heal()
        self.new.resume()


@pytest.fixture
def restored(
    etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory, toxiproxy: Toxiproxy, root: str
) -> Callable[..., Restored]:
    def restore(*options: str, ttl: int = 5) -> Restored:
        server = etcd_factory()
        proxy = toxiproxy.proxy(server.port)
        old = sidecar_factory("old", proxy.url, ttl=ttl)
        old_token = old.wait_leading().token
        proxy.cut()
        snapshot = server.save_snapshot()
        new = sidecar_factory("new", server.url, ttl=ttl)
        new_token = new.wait_leading().token
        # it has renewed its lease, and read the queue before that: so it knows that the old one's key is gone
        wait_for(lambda: new.ask().fields.get("validForSeconds", 0) > 0.8 * ttl, "the first renewal", PATIENCE)
        new.pause()
        server.stop()
        server.restore_snapshot(snapshot, *BUMPED, *options)
        server.start()
        return Restored(server, proxy, old, new, root, old_token, new_token)

    return restore


def test_a_bump_does_not_raise_old_tokens(restored: Callable[..., Restored]) -> None:
    """Why the queues must be deleted: a candidate of the snapshot leads again under its token of then.

    It cannot know. A sidecar that saw its key go says that it is back.
    """
    case = restored(ttl=15)  # the old candidate must be back before its lease has run out once more
    case.proxy.heal()
    assert case.old.wait_leading().token == case.old_token < case.new_token
    case.new.resume()
    case.new.wait_for_log("etcd was restored from a snapshot", PATIENCE)
    assert "etcd was restored" not in case.old.log


def test_tokens_grow_once_the_queues_are_deleted(restored: Callable[..., Restored]) -> None:
    """`restore-check` finds the key, deletes it, finds nothing more, and no token falls after that."""
    case = restored(ttl=20)  # the commands must be done before the old key's lease has run out once more
    found = case.check()
    assert (found.returncode, found.stderr) == (1, "")
    assert "run this again with --delete" in found.stdout
    (row,) = [line.split()[:4] for line in found.stdout.splitlines() if line.startswith("tests/lock")]
    assert row == ["tests/lock", "1", "1", str(case.old_token)]
    deleted = case.check("--delete")
    assert (deleted.returncode, deleted.stderr) == (0, "")
    assert deleted.stdout.startswith("Deleted 1 of 1 candidates' keys, of 1 lock; none is left")
    clean = case.check()
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout.startswith(f"No candidate has a key under {case.root}/locks/ at revision 1000")
    case.wait_higher_token()


def test_a_new_cluster_id_ends_old_candidates(restored: Callable[..., Restored]) -> None:
    """A restore with another cluster token: a sidecar that knew the old cluster gives its candidate up."""
    case = restored("--initial-cluster-token=restored")
    case.wait_higher_token()
    case.old.wait_for_log("etcd has lost data", PATIENCE)


# --- the command ---


def test_many_keys_of_many_locks_are_deleted(etcd: EtcdServer, etcdctl: Etcdctl, root: str) -> None:
    """More keys than a page or a transaction has, with and without lease; nothing but candidates' keys goes."""
    script = "".join(f"put {Keys(LockName('many', f'l{n % 7}'), root).queue}{n:x} x\n" for n in range(1050))
    lock = Keys(LockName("many", "leased"), root)
    lease = etcdctl.grant(60)
    etcdctl.put(lock.entry(lease), "x", lease=lease)
    kept = [lock.spec, f"{lock.prefix}-of-something", f"{root}/queue/1"]
    for key in kept:
        etcdctl.put(key, "{}")
    for start in range(0, 1050, 105):
        lines = script.splitlines()[start : start + 105]
        subprocess.run(etcdctl.argv("txn"), input="\n" + "\n".join(lines) + "\n\n\n", text=True, check=True)
    found = restore_check("--etcd", etcd.url, "--root", root)
    assert found.returncode == 1
    assert found.stdout.startswith("Candidates of 8 locks have keys at revision ")
    assert [row.split()[:3] for row in found.stdout.splitlines() if row.startswith("many/l0")] == [
        ["many/l0", "150", "0"]
    ]
    deleted = restore_check("--etcd", etcd.url, "--root", root, "--delete")
    assert deleted.stdout.startswith("Deleted 1051 of 1051 candidates' keys, of 8 locks; none is left")
    assert deleted.returncode == 0
    assert [kv.key for kv in etcdctl.prefix(root)] == kept


def test_unreachable_etcd_is_one_sentence(root: str) -> None:
    """No etcd: exit code 1 and one sentence; a wrong flag: exit code 2."""
    failed = restore_check("--etcd", "http://127.0.0.1:1", "--root", root)
    assert failed.returncode == 1
    assert failed.stderr.startswith("leasehold: The candidates' keys cannot be read: ")
    assert failed.stderr.count("\n") == 1
    wrong = restore_check("--etcd", "http://127.0.0.1:1", "--root", "no-slash")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1
