"""A real etcd server of one member, with every fault that a process can suffer."""

import http.client
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from tests.servers.certs import CertificateAuthority
from tests.servers.etcdctl import Etcdctl
from tests.servers.ports import release_port, reserve_port
from tests.servers.process import Process, ProcessFailed, wait_for
from tests.servers.programs import program, run

Version = Literal["3.7", "3.6", "3.5.35", "3.5", "3.4"]
_ROOT_PASSWORD = "root-secret"
_START_TIMEOUT = 120.0  # seconds; a start with fsync takes about one on an idle machine


class EtcdServer:
    """One etcd with its own data directory and loopback ports, which it keeps until `close`.

    `authority` makes it serve TLS; `mutual` makes it demand a client certificate of that authority, too.
    `flags` are etcd's own, such as `--quota-backend-bytes=2097152`. `directory` is where the data goes, else
    a temporary directory. Not started by the constructor.
    """

    def __init__(
        self,
        version: Version = "3.7",
        *,
        name: str = "etcd",
        authority: CertificateAuthority | None = None,
        mutual: bool = False,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.version = version
        self.name = name
        self.authority = authority
        self.mutual = mutual
        self.flags = list(flags)
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"leasehold-{name}-"))
        self.port, self._peer_port, self._metrics_port = (reserve_port() for _ in range(3))
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        self.peer_url = f"http://127.0.0.1:{self._peer_port}"
        self.initial_cluster = f"{name}={self.peer_url}"
        self._certificate = authority.server(f"{name}-server") if authority else None
        self.ctl = Etcdctl([self.url], authority.client("root") if authority else None)
        self.process = Process([program(f"etcd-{version}"), *self._flags()], name=name, env=env)

    def _flags(self) -> Iterator[str]:
        yield f"--name={self.name}"
        yield f"--data-dir={self.data}"
        yield f"--listen-client-urls={self.url}"
        yield f"--advertise-client-urls={self.url}"
        yield f"--listen-peer-urls={self.peer_url}"
        yield f"--initial-advertise-peer-urls={self.peer_url}"
        # Plain, also when clients need TLS: health and metrics are read without a certificate.
        yield f"--listen-metrics-urls=http://127.0.0.1:{self._metrics_port}"
        yield "--logger=zap"
        if self._certificate and self.authority:
            yield f"--cert-file={self._certificate.cert}"
            yield f"--key-file={self._certificate.key}"
        if self.mutual and self.authority:
            yield "--client-cert-auth"
            yield f"--trusted-ca-file={self.authority.path}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def endpoints(self) -> str:
        """What `--etcd` takes."""
        return self.url

    @property
    def data(self) -> Path:
        """etcd's data directory."""
        return self.directory / "data"

    # --- life -----------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start, on the same ports and data as before if it ran before, and wait until it serves reads."""
        self.process.argv[1:] = [*self._flags(), f"--initial-cluster={self.initial_cluster}", *self.flags]
        self.process.start()
        if wait:
            self.wait_healthy()

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()

    def restart(self) -> None:
        """Stop in order, start again, wait until healthy. To crash it instead: `kill`, then `start`."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and silent."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.process.resume()

    def wipe(self) -> None:
        """Delete all data of a stopped server: it starts with an empty store and another cluster id."""
        self._must_be_stopped()
        shutil.rmtree(self.data)

    def save_data(self) -> Path:
        """A copy of a stopped server's data, for `restore_data`; it goes with the server."""
        self._must_be_stopped()
        copy = Path(tempfile.mkdtemp(prefix="saved-", dir=self.directory))
        return Path(shutil.copytree(self.data, copy / "data"))

    def restore_data(self, saved: Path) -> None:
        """Roll a stopped server back to data saved earlier, as a restored backup does: its revisions fall."""
        self.wipe()
        shutil.copytree(saved, self.data)

    def save_snapshot(self) -> Path:
        """A snapshot of a running server, made by etcdctl; it goes with the server."""
        file = Path(tempfile.mkdtemp(prefix="snapshot-", dir=self.directory)) / "snapshot.db"
        self.ctl.run("snapshot", "save", str(file))
        return file

    def restore_snapshot(self, file: Path, *options: str) -> None:
        """Make a stopped server's data from a snapshot, by etcdutl with these options of its own."""
        self.wipe()
        argv: list[str | Path] = [
            program("etcdutl"),
            "snapshot",
            "restore",
            file,
            f"--data-dir={self.data}",
            f"--name={self.name}",
        ]
        cluster = [f"--initial-cluster={self.initial_cluster}", f"--initial-advertise-peer-urls={self.peer_url}"]
        run([*argv, *cluster, *options])

    def close(self) -> None:
        """End it and remove its data, its ports and its log."""
        self.process.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        for port in (self.port, self._peer_port, self._metrics_port):
            release_port(port)

    def _must_be_stopped(self) -> None:
        if self.process.running:
            raise ProcessFailed(f"{self.name} must be stopped first")

    # --- state ----------------------------------------------------------------------------------------------

    def healthy(self) -> bool:
        """True when it answers a linearizable read (an alarm for a full disk does not count)."""
        try:
            return bool(json.loads(self._plain("/health?exclude=NOSPACE")).get("health") == "true")
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def wait_healthy(self, timeout: float = _START_TIMEOUT) -> None:
        """Wait until `healthy`; ProcessFailed with the end of its log when it ended or `timeout` seconds
        passed.
        """
        self.process.wait_for_log("serving client traffic", timeout)  # before, it would log each question
        wait_for(lambda: self.healthy() or not self.process.running, f"{self.name} to be healthy", timeout)
        if not self.process.running:
            raise ProcessFailed(f"{self.name} ended at once:\n{self.process.log_tail()}")

    def metric(self, name: str) -> float:
        """The value of one of its own metrics without labels, such as `etcd_server_is_leader`."""
        match = re.search(rf"^{name} (\S+)$", self._plain("/metrics"), re.MULTILINE)
        if match is None:
            raise KeyError(name)
        return float(match[1])

    def is_leader(self) -> bool:
        """True when it says that it leads its cluster; False also when it is frozen or down."""
        try:
            return self.metric("etcd_server_is_leader") == 1
        except (OSError, http.client.HTTPException, KeyError):
            return False

    def _plain(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._metrics_port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    # --- users ----------------------------------------------------------------------------------------------

    def enable_auth(self, users: Mapping[str, str], prefix: str = "/leasehold/") -> None:
        """Turn authentication on: root, and `users` (name: password) who may read and write under `prefix`.

        The harness's own `ctl` is root from then on. For tokens that expire soon:
        `flags=["--auth-token-ttl=2"]`.
        """
        self.ctl.run("user", "add", f"root:{_ROOT_PASSWORD}")
        self.ctl.run("user", "grant-role", "root", "root")
        self.ctl.run("role", "add", "candidate")
        self.ctl.run("role", "grant-permission", "candidate", "--prefix=true", "readwrite", prefix)
        for name, password in users.items():
            self.ctl.run("user", "add", f"{name}:{password}")
            self.ctl.run("user", "grant-role", name, "candidate")
        self.ctl.run("auth", "enable")
        self.ctl.user = f"root:{_ROOT_PASSWORD}"

    def disable_auth(self) -> None:
        """Turn authentication off again."""
        self.ctl.run("auth", "disable")
        self.ctl.user = None
