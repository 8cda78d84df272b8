"""The harness itself: each fault that other tests rely on is one that a client really meets."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.servers import (
    CertificateAuthority,
    Disk,
    EtcdCluster,
    Etcdctl,
    EtcdctlFailed,
    EtcdServer,
    Peer,
    Postgres,
    Process,
    ProcessFailed,
    Toxiproxy,
    reserve_port,
    skewed_clock,
    wait_for,
)


@pytest.mark.parametrize("version", ["3.7", "3.5", "3.4"])
def test_kill_keeps_data_and_wipe_does_not(etcd_factory: Callable[..., EtcdServer], version: str) -> None:
    """Each version of etcd keeps its data over a kill, and loses it by a wipe."""
    server = etcd_factory(version)
    assert server.ctl.json("endpoint", "status")[0]["Status"]["version"].startswith(version)
    server.ctl.put("/kept", "yes")
    server.kill()
    saved = server.save_data()
    server.start()
    server.ctl.put("/later", "yes")
    server.stop()
    server.restore_data(saved)
    server.start()
    assert [kv.key for kv in server.ctl.prefix("/")] == ["/kept"]
    server.stop()
    server.wipe()
    server.start()
    assert server.ctl.prefix("/") == []


def test_frozen_server_is_silent(etcd_factory: Callable[..., EtcdServer]) -> None:
    """A frozen server accepts connections, and answers nothing."""
    server = etcd_factory()
    server.pause()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60):
        assert not server.healthy()
    server.resume()
    server.wait_healthy()


def test_leases_and_keys_as_stored(etcdctl: Etcdctl, root: str) -> None:
    """`ctl` shows leases and keys as etcd stores them."""
    lease = etcdctl.grant(60)
    etcdctl.put(f"{root}/b", "-dashes and spaces ", lease=lease)
    etcdctl.put(f"{root}/a", "")
    first, second = etcdctl.prefix(root)
    assert (first.key, first.value, first.lease) == (f"{root}/b", "-dashes and spaces ", lease)
    assert second.create_revision == first.create_revision + 1
    assert lease in etcdctl.leases()
    assert 0 < etcdctl.time_to_live(lease) <= 60
    etcdctl.revoke(lease)
    assert etcdctl.get(f"{root}/b") is None
    assert etcdctl.time_to_live(lease) == -1


def test_cluster_elects_another_leader(
    cluster_factory: Callable[..., EtcdCluster],
) -> None:
    """A cluster elects another leader when its own is frozen or killed."""
    cluster = cluster_factory(3)
    first = cluster.leader()
    first.pause()
    second = cluster.leader()
    assert second is not first
    first.resume()
    second.kill()
    third = cluster.leader()
    assert third is not second
    cluster.start()
    assert cluster.move_leader(second) is second


def test_mutual_tls_demands_a_certificate(etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority) -> None:
    """Clients without a certificate are refused."""
    server = etcd_factory(authority=certs, mutual=True)
    server.ctl.put("/a", "1")
    stranger = Etcdctl([server.url], CertificateAuthority(certs.directory / "other").client())
    with pytest.raises(EtcdctlFailed):
        stranger.run("get", "/a", "--command-timeout=1s")


def test_users_are_confined_to_a_prefix(etcd_factory: Callable[..., EtcdServer]) -> None:
    """A user of etcd reads and writes under its own prefix only."""
    server = etcd_factory()
    server.enable_auth({"candidate": "secret"}, prefix="/leasehold/")
    user = Etcdctl([server.url], user="candidate:secret")
    user.put("/leasehold/a", "1")
    with pytest.raises(EtcdctlFailed, match="permission denied"):
        user.put("/elsewhere", "1")
    with pytest.raises(EtcdctlFailed, match="user name is empty"):
        Etcdctl([server.url]).put("/leasehold/a", "1")


def test_gos_election_hands_over(etcd: EtcdServer, root: str, peer_factory: Callable[..., Peer]) -> None:
    first, second = (peer_factory(etcd.ctl, root, ttl=60) for _ in range(2))
    elected = first.campaign("first")
    second.campaign("second", wait=False)
    wait_for(lambda: len(etcd.ctl.prefix(f"{root}/")) == 2, "both to queue")
    assert second.leader() == "first"
    assert first.process.terminate() == 0
    assert second.expect("elected")["revision"] > elected["revision"]


def test_etcdctl_is_patient(etcd_factory: Callable[..., EtcdServer]) -> None:
    """An etcd that gets no CPU time for longer than etcdctl's own time limits has not failed."""
    server = etcd_factory()
    server.enable_auth({})  # each command logs in
    server.pause()
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(server.ctl.put, "/a", "1")
        time.sleep(6)
        assert not put.done()
        server.resume()
        put.result()


def test_proxy_cuts_and_heals(etcd: EtcdServer, root: str, toxiproxy: Toxiproxy) -> None:
    """The proxy swallows what is sent, cuts connections, and heals."""
    proxy = toxiproxy.proxy(etcd.port)
    through = Etcdctl([proxy.url])
    through.put(f"{root}/a", "1")
    for fault in (proxy.silence, proxy.cut):
        fault()
        with pytest.raises(EtcdctlFailed):
            through.run("get", f"{root}/a", "--command-timeout=1s")
        proxy.heal()
        assert through.get(f"{root}/a")


def test_frozen_disk_hangs_its_member(
    etcd_factory: Callable[..., EtcdServer], disk_factory: Callable[..., Disk]
) -> None:
    """A frozen disk hangs the member on it, and no other."""
    disk = disk_factory()
    server = etcd_factory(directory=disk.path / "etcd")
    disk.freeze()
    with pytest.raises(EtcdctlFailed):
        server.ctl.run("put", "/a", "1", "--command-timeout=1s")
    disk.thaw()
    server.wait_healthy()
    server.ctl.put("/a", "1")


def test_postgres_answers(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_skewed_clocks_run_faster() -> None:
    """Held against the kernel's own uptime, which is not faked, so that a busy machine makes no difference."""
    script = """if True:
        import asyncio, json, time
        def uptime():
            return float(open("/proc/uptime").read().split()[0])
        def clocks():
            faked = time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME
            return uptime(), [time.clock_gettime(clock) for clock in faked], uptime()
        first = clocks()
        asyncio.run(asyncio.sleep(8))
        last = clocks()
        faked = [now - then for now, then in zip(last[1], first[1])]
        print(json.dumps([last[0] - first[2], last[2] - first[0], *faked]))
    """
    argv = [sys.executable, "-c", script]
    output = subprocess.run(argv, env={**os.environ, **skewed_clock(4)}, capture_output=True, check=True, timeout=120)
    least, most, *faked = json.loads(output.stdout)  # what really passed, however long the questions took
    for clock in faked:
        assert 4 * 0.95 * least < clock < 4 * 1.05 * most


def test_ports_are_given_once() -> None:
    """A port is given once, and lies outside of the range that the kernel gives from."""
    ports = [reserve_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert max(ports) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def test_a_process_dies_with_its_parent(tmp_path: Path) -> None:
    """Even a test run that is killed with -9 leaves nothing behind that had got as far as its own program."""
    script = (
        "import pathlib, time; from tests.servers import Process, wait_for;"
        "p = Process(['sleep', '600']); p.start(); comm = pathlib.Path(f'/proc/{p.pid}/comm');"
        "wait_for(lambda: comm.read_text() == 'sleep\\n', 'sleep to run');"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    with Process([sys.executable, "-c", script], lines=True, env={"TMPDIR": str(tmp_path)}) as parent:
        child = int(parent.read_line())
        parent.kill()
    # Dead, if not yet collected: in a container, process 1 may never do that.
    wait_for(lambda: state_of(child) in ("Z", "gone"), "the child to end")


def test_what_a_process_has_started_ends_with_it() -> None:
    """A test is over, or interrupted: nothing that its processes have started runs on."""
    with Process(["sh", "-c", "sleep 600 & echo $!; wait"], lines=True) as process:
        child = int(process.read_line())
    wait_for(lambda: state_of(child) in ("Z", "gone"), "the child to end")


def test_early_end_is_shown_with_its_log() -> None:
    """A process that ends before it should is reported with the end of its log."""
    with Process(["sh", "-c", "echo what went wrong >&2; exit 3"]) as process:
        with pytest.raises(ProcessFailed, match="what went wrong"):
            process.wait_for_log("ready")
        assert process.returncode == 3
