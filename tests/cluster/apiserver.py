"""A real kube-apiserver on loopback, with every fault that a process can suffer."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.rest import ApiError, Rest
from tests.servers import CertificateAuthority, Process, ProcessFailed, program, wait_for

ADMIN = "admin"
# It must not be loopback and is only written down, in the endpoints of the Service `kubernetes`: an address of
# TEST-NET-1, which nobody has.
_ADVERTISED = "192.0.2.1"
_START_TIMEOUT = 120.0  # seconds; a start takes about four on an idle machine
Argv = Sequence[str | Path]


@dataclass(frozen=True)
class Place:
    """Where the control plane runs: what it listens on, how others find it, and how a program is started there."""

    bind: str = "127.0.0.1"
    advertised: str = _ADVERTISED
    inside: Callable[[Argv], Argv] = lambda argv: argv


LOOPBACK = Place()


@dataclass(frozen=True)
class User:
    """Whom a bearer token stands for."""

    name: str
    groups: tuple[str, ...]


ADMINISTRATOR = User(ADMIN, ("system:masters",))


class ApiServer:
    """One kube-apiserver on the etcd at `etcd`; it serves on `port`, which is the caller's to reserve and release.

    Clients are who their bearer token says: `users` are those by token, the first a cluster's administrator. Not
    started by the constructor. `release` is the program, where it isn't the usual version's.
    """

    def __init__(
        self,
        etcd: str,
        port: int,
        directory: Path,
        authority: CertificateAuthority,
        users: Mapping[str, User],
        *flags: str,
        place: Place = LOOPBACK,
        release: str = "kube-apiserver",
    ) -> None:
        self.port = port
        self._place = place
        self.url = f"https://127.0.0.1:{port}"
        self.rest = Rest(self.url, next(iter(users)), authority.path)
        # Any private key will do to sign the service accounts' tokens, so it is that of a certificate.
        self.signing_key = authority.client("service-accounts").key
        self._tokens = directory / "tokens.csv"
        lines = (f'{token},{user.name},{user.name},"{",".join(user.groups)}"\n' for token, user in users.items())
        self._tokens.write_text("".join(lines))
        self._tokens.chmod(0o600)
        self._certificate = authority.server("kube-apiserver", "kubernetes.default.svc", "10.96.0.1", place.advertised)
        argv: Argv = [program(release), *self._flags(etcd), *flags]
        self.process = Process(place.inside(argv), name="kube-apiserver", cwd=directory)

    def _flags(self, etcd: str) -> Iterator[str]:
        yield f"--etcd-servers={etcd}"
        yield f"--bind-address={self._place.bind}"
        yield f"--secure-port={self.port}"
        yield f"--advertise-address={self._place.advertised}"
        yield f"--tls-cert-file={self._certificate.cert}"
        yield f"--tls-private-key-file={self._certificate.key}"
        yield f"--token-auth-file={self._tokens}"
        yield "--authorization-mode=Node,RBAC"
        yield "--service-account-issuer=https://kubernetes.default.svc"
        yield f"--service-account-key-file={self.signing_key}"
        yield f"--service-account-signing-key-file={self.signing_key}"
        yield "--service-cluster-ip-range=10.96.0.0/16"
        yield "--shutdown-watch-termination-grace-period=5s"  # without it, `stop` waits a minute for open watches
        yield "--profiling=false"

    # --- life -----------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start, on the same port and data as before if it ran before, and wait until it is ready."""
        self.process.start()
        if wait:
            self.wait_ready()

    def stop(self) -> None:
        """SIGTERM, and wait for the end: it answers what it was asked and closes the watches."""
        self.process.terminate(90)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()

    def restart(self) -> None:
        """Stop in order, start again, wait until ready. To crash it instead: `kill`, then `start`."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and silent."""
        self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.process.resume()

    def close(self) -> None:
        """End it at once and remove its log."""
        self.process.close()

    # --- state ----------------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """True when all its parts say that they are ready."""
        with contextlib.suppress(ApiError, OSError):
            return self.rest.text("/readyz", timeout=5) == "ok"
        return False

    def wait_ready(self, timeout: float = _START_TIMEOUT) -> None:
        """Wait until `ready`; ProcessFailed with the end of its log when it ended or `timeout` seconds passed."""
        wait_for(lambda: self.ready() or not self.process.running, "kube-apiserver to be ready", timeout)
        if not self.process.running:
            raise ProcessFailed(f"kube-apiserver ended at once:\n{self.process.log_tail()}")
