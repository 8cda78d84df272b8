"""A container that restarts: its sidecar takes its own term up again, or, where that is not certain to be sound, never.

The state directory of each test outlives the process, as an `emptyDir` does.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.servers import Disk, EtcdServer, Process, wait_for
from tests.support.exclusion_checker import Witness
from tests.support.sidecars import PATIENCE, Answer, Sidecar
from tests.support.stored_lock import StoredLock

Factory = Callable[..., Sidecar]
RESTART = 60
"""A TTL in seconds that a restart certainly takes less than."""
SHORT = 3
"""A TTL in seconds that a test waits out."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory."""
    made = tmp_path / "state"
    made.mkdir()
    return made


def keeping(factory: Factory, home: Path, name: str = "a", ttl: int = RESTART, **options: object) -> Sidecar:
    """A sidecar with this state directory."""
    return factory(name, ttl=ttl, flags=["--state-dir", str(home)], **options)


def restart(sidecar: Sidecar) -> None:
    """Kill -9, and start it again as the kubelet would."""
    sidecar.kill()
    sidecar.start()


def resumable(home: Path) -> bool:
    """Whether the resume file is there, and not marked."""
    try:
        return json.loads((home / "resume.json").read_bytes())["marked"] is False
    except FileNotFoundError:
        return False


def leads_and_is_kept(sidecar: Sidecar, home: Path) -> Answer:
    """Its first 200, once the next process would know of it."""
    answer = sidecar.wait_leading()
    wait_for(lambda: resumable(home), "the resume file", PATIENCE)
    return answer


# --- the same term ---


def test_restarts_cost_no_failover(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """Killed again and again: same key, same lease, same token; the next in line leads at no instant."""
    a = keeping(sidecar_factory, home)
    token = leads_and_is_kept(a, home).token
    b = sidecar_factory("b", ttl=RESTART)
    b.wait_queued(1)
    before, *_ = stored.entries()
    with Witness([a, b]) as witness:
        for _ in range(3):
            restart(a)
            answer = a.wait_leading()
            assert answer.token == token
            wait_for(partial(witness.heard, "a", answer.sent), "the witness to hear it", PATIENCE)
    after, *_ = stored.entries()
    assert (after.key, after.create_revision, after.lease) == (before.key, token, before.lease)
    assert json.loads(after.value)["incarnation"] != json.loads(before.value)["incarnation"]
    assert witness.contradictions() == []
    assert {said.name for said in witness.said} == {"a"}
    b.wait_queued(1)


def test_restarted_waiter_keeps_its_place(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """Its key, its lease and its position stay."""
    a = sidecar_factory("a", ttl=RESTART)
    a.wait_leading()
    b = keeping(sidecar_factory, home, "b")
    b.wait_queued(1)
    wait_for(lambda: resumable(home), "the resume file", PATIENCE)
    sidecar_factory("c", ttl=RESTART).wait_queued(2)
    restart(b)
    b.wait_queued(1)
    assert stored.identities() == ["a", "b", "c"]
    assert a.terminate() == 0
    b.wait_leading()


def test_frozen_process_keeps_its_files(sidecar_factory: Factory, home: Path) -> None:
    """One that is frozen may wake up: nobody else may take its term up meanwhile."""
    a = keeping(sidecar_factory, home)
    token = leads_and_is_kept(a, home).token
    a.pause()
    second = [sys.executable, "-m", "leasehold", "run", "--lock", "job", "--state-dir", str(home)]
    done = subprocess.run(second, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"--state-dir is '{home}': another process is using it" in done.stderr
    a.resume()
    assert a.wait_leading().token == token


# --- a fresh one ---


def test_late_restart_is_another_term(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """After the TTL, a restart is another term."""
    a = keeping(sidecar_factory, home, ttl=SHORT)
    token = leads_and_is_kept(a, home).token
    a.kill()
    wait_for(lambda: stored.entries() == [], "the lease to run out", PATIENCE)
    a.start()
    assert a.wait_leading().token > token
    a.wait_for_log("not-resumed")


def test_given_up_is_never_taken_up(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """TERM, on request, by pause: each ends the term for good."""
    a = keeping(sidecar_factory, home)
    tokens = [leads_and_is_kept(a, home).token]
    assert a.terminate() == 0
    assert not resumable(home)
    a.start()
    tokens.append(leads_and_is_kept(a, home).token)
    a.post("/pause")
    wait_for(lambda: stored.entries() == [], "the key to be gone", PATIENCE)
    assert not resumable(home)
    restart(a)
    tokens.append(leads_and_is_kept(a, home).token)
    assert tokens == sorted(set(tokens))


def test_killed_while_it_deletes(etcd_factory: Callable[..., EtcdServer], sidecar_factory: Factory, home: Path) -> None:
    """Etcd hangs at TERM, and then the process is killed: the deletion may still come, so it is another term."""
    server = etcd_factory()
    a = keeping(sidecar_factory, home, ttl=SHORT, server=server.url)
    token = leads_and_is_kept(a, home).token
    server.pause()
    a.signal(signal.SIGTERM)
    wait_for(lambda: not resumable(home), "the resume file to be marked", PATIENCE)
    a.kill()
    server.resume()
    a.start()
    assert a.wait_leading().token > token


def test_a_resume_file_that_was_damaged(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """The old key stands until its lease has run out; then it leads anew. The damage is said once."""
    a = keeping(sidecar_factory, home, ttl=SHORT)
    token = leads_and_is_kept(a, home).token
    a.kill()
    (home / "resume.json").write_bytes(b'{"lease": 1}')
    a.start()
    assert a.wait_leading().token > token
    assert a.log_since_start.count("cannot be used, joining as a new candidate") == 1
    assert len(stored.entries()) == 1


def test_another_pod_does_not_inherit(sidecar_factory: Factory, home: Path) -> None:
    """A directory that outlives its pod, on a host path: the next pod's lease is its own."""
    a = keeping(sidecar_factory, home, ttl=SHORT, env={"POD_UID": "first"})
    token = leads_and_is_kept(a, home).token
    a.kill()
    other = keeping(sidecar_factory, home, ttl=SHORT, env={"POD_UID": "second"})
    assert other.wait_leading().token > token


def test_a_copy_of_the_directory(sidecar_factory: Factory, stored: StoredLock, home: Path) -> None:
    """Whoever starts on a copy takes the term up; the first sees that in its own record, and stops at once."""
    a = keeping(sidecar_factory, home)
    token = leads_and_is_kept(a, home).token
    copy = home.with_name("copy")
    a.pause()  # else files come and go under the copying
    shutil.copytree(home, copy)
    a.resume()
    usurper = keeping(sidecar_factory, copy)
    assert usurper.wait_leading().token == token
    a.wait_not_leading()
    a.wait_queued(1)
    a.wait_for_log("another process has taken over our key")
    assert usurper.ask().token == token
    assert len(stored.entries()) == 2


# --- a disk that takes nothing ---


@pytest.fixture
def tiny(tmp_path: Path, spawn: Callable[..., Process]) -> Iterator[Path]:
    """A state directory on a file system of its own with hardly any room."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    where = tmp_path / "tiny"
    where.mkdir()
    mounted = spawn(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", where], name="mount")
    if mounted.wait() != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.log_tail()}")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True, timeout=PATIENCE)


def fill(directory: Path) -> Path:
    """Use up what room there is; returns the file that does."""
    ballast = directory / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 1024)
        except OSError:
            return ballast


def test_a_full_disk_at_the_start(sidecar_factory: Factory, stored: StoredLock, tiny: Path) -> None:
    """It leads all the same, having said what that will cost; after a restart it leads anew."""
    (tiny / "lock").touch()
    fill(tiny)
    a = keeping(sidecar_factory, tiny, ttl=SHORT)
    token = a.wait_leading().token
    a.wait_for_log("a restart of this container will cost a failover")
    restart(a)
    assert a.wait_leading().token > token
    assert len(stored.entries()) == 1


def test_a_disk_that_fills_up(sidecar_factory: Factory, tiny: Path) -> None:
    """A handover needs no room that it does not have already: the next leads long before the lease could run out."""
    a = keeping(sidecar_factory, tiny)
    token = leads_and_is_kept(a, tiny).token
    b = sidecar_factory("b", ttl=RESTART)
    b.wait_queued(1)
    fill(tiny)
    assert a.post("/handover") == 202
    assert b.wait_leading(RESTART / 3).token > token
    a.wait_queued(1)


@pytest.mark.parametrize("ending", ["handover", "TERM"])
def test_a_directory_that_takes_no_mark(ending: str, sidecar_factory: Factory, home: Path) -> None:
    """A lease that might be taken up again is not given up, but it is not kept either: it runs out."""
    a = keeping(sidecar_factory, home, ttl=SHORT)
    token = leads_and_is_kept(a, home).token
    b = sidecar_factory("b", ttl=SHORT)
    b.wait_queued(1)
    home.rename(home.with_name("gone"))  # at once: a file that it writes meanwhile would stop a removal
    if ending == "TERM":
        assert a.terminate() == 0
    else:
        a.post("/handover")
    assert b.wait_leading().token > token
    wait_for(lambda: "left-to-expire" in a.log, "a to say what it did", PATIENCE)


def test_a_disk_that_hangs(sidecar_factory: Factory, disk_factory: Callable[[], Disk]) -> None:
    """As above, and `/leader` goes on to answer: nothing that matters waits for the disk."""
    disk = disk_factory()
    home = disk.path / "state"
    home.mkdir()
    a = keeping(sidecar_factory, home, ttl=SHORT)
    token = leads_and_is_kept(a, home).token
    b = sidecar_factory("b", ttl=SHORT)
    b.wait_queued(1)
    with Witness([a, b]) as witness:
        disk.freeze()
        a.post("/handover")
        assert not a.is_leading()
        assert b.wait_leading().token > token
        disk.thaw()
        a.wait_queued(1)
    assert witness.contradictions() == []
