"""Real servers for the tests, with every fault they can suffer; nothing is mocked.

Programs are found or built once (`python -m tests.servers` shows where) and run on loopback, on ports that
stay theirs until they are closed. All of it is synchronous: start and stop work in fixtures and in async
tests alike, where `await asyncio.to_thread(server.restart)` keeps the loop free.

Process(argv, name=, env=, cwd=, user=, lines=)
    start terminate kill pause resume signal wait close; running returncode pid; log log_tail wait_for_log;
    with lines=True: send(line) read_line(timeout)
EtcdServer(version, authority=, mutual=, flags=, directory=)
    start stop kill pause resume restart wipe save_data restore_data save_snapshot restore_snapshot
    enable_auth disable_auth close; url endpoints port peer_url data ctl process; healthy wait_healthy is_leader metric
EtcdCluster(size, version, authority=, mutual=, flags=, directories=)
    start close leader followers move_leader; members urls endpoints ctl
Etcdctl(endpoints, certificate, user)
    run json process argv; get prefix put delete revision compact grant revoke leases time_to_live
CertificateAuthority()
    server(name) client(common_name) -> Certificate(ca, cert, key); issuing a name again rotates its files
Peer(ctl, prefix, ttl=)
    etcd's own Go election: start campaign resign leader expect close; lease process
Toxiproxy().proxy(port)
    delay throttle silence reset_peer cut heal; url port
Postgres()
    start close; dsn
Disk(), where disks_available()
    freeze thaw close; path
skewed_clock(rate) wrong_date(days)
    the environment in which a process's clocks run faster or slower, or are ahead
reserve_port() release_port(port)
    a port of 127.0.0.1 that is free and stays so
wait_for(condition, what, timeout, longest_pause=)
    poll for a state, never for a time; it gives up after PATIENCE seconds, which only a fault takes. SHORTEST_PAUSE, as
    `longest_pause`, makes it look all the time

As fixtures (tests/conftest.py) they close themselves, and a failed test's report shows the end of their logs.
"""

from tests.servers.certs import Certificate, CertificateAuthority
from tests.servers.clock import skewed_clock, wrong_date
from tests.servers.disk import Disk, disks_available
from tests.servers.etcd import EtcdServer, Version
from tests.servers.etcd_cluster import EtcdCluster
from tests.servers.etcdctl import Etcdctl, EtcdctlFailed, KeyValue
from tests.servers.peer import Peer
from tests.servers.ports import release_port, reserve_port
from tests.servers.postgres import Postgres
from tests.servers.process import PATIENCE, SHORTEST_PAUSE, Process, ProcessFailed, running_processes, wait_for
from tests.servers.programs import MissingProgram, program
from tests.servers.toxiproxy import Proxy, Toxiproxy

__all__ = [
    "PATIENCE",
    "SHORTEST_PAUSE",
    "Certificate",
    "CertificateAuthority",
    "Disk",
    "EtcdCluster",
    "EtcdServer",
    "Etcdctl",
    "EtcdctlFailed",
    "KeyValue",
    "MissingProgram",
    "Peer",
    "Postgres",
    "Process",
    "ProcessFailed",
    "Proxy",
    "Toxiproxy",
    "Version",
    "disks_available",
    "program",
    "release_port",
    "reserve_port",
    "running_processes",
    "skewed_clock",
    "wait_for",
    "wrong_date",
]
