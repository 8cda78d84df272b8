"""A Kubernetes control plane on loopback: etcd, an API server, and a controller manager unless it isn't wanted."""

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.cluster.apiserver import ADMIN, ADMINISTRATOR, LOOPBACK, ApiServer, Argv, Place, User
from tests.cluster.objects import Object, Objects
from tests.cluster.rest import ApiError, Rest, path_of
from tests.servers import (
    PATIENCE,
    CertificateAuthority,
    EtcdServer,
    Process,
    program,
    release_port,
    reserve_port,
    wait_for,
)

CRD = Path(__file__).parents[2] / "manifests" / "crd.yaml"
_GROUP = "leasehold.dev"
_TOKEN_SECONDS = 4 * 3600  # longer than any run of the tests


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is what it wrote."""


class ControlPlane(Objects):
    """etcd, kube-apiserver and kube-controller-manager, with nodes of none: tests set their pods' states themselves.

    Its own methods act as the administrator. `apiserver_flags` are added to those of the API server. With `crd` the
    CRD of Locks is installed. With `audit` every request is noted, for `audited`. Not started by the constructor.

    Faults: those of `api.etcd` and `api.apiserver` (`kill`, `start`, `pause`, `resume`, `restart`), and a Toxiproxy
    on `api.port`, whose URL `kubeconfig` takes. `place` says where it runs, and `users` are more than the
    administrator, by their tokens. `to_kubelets`: there are nodes. `release` is the API server's program.
    """

    CONTROLLERS: ClassVar[Sequence[str]] = (
        "deployment-controller",
        "garbage-collector-controller",
        "namespace-controller",
        "replicaset-controller",
        "root-ca-certificate-publisher-controller",
        "serviceaccount-controller",
        "statefulset-controller",
    )

    def __init__(
        self,
        *,
        name: str = "cluster",
        controllers: bool = True,
        crd: bool = True,
        audit: bool = False,
        apiserver_flags: Sequence[str] = (),
        place: Place = LOOPBACK,
        users: Mapping[str, User] | None = None,
        to_kubelets: bool = False,
        release: str = "kube-apiserver",
    ) -> None:
        self.name = name
        self._crd = crd
        self.directory = Path(tempfile.mkdtemp(prefix=f"leasehold-{name}-"))
        self.authority = CertificateAuthority(self.directory / "certs")
        self._tokens = {ADMIN: secrets.token_hex(16)}
        # Nobody pulls this machine's plug: what etcd has written survives every fault that the tests know.
        self.etcd = EtcdServer(name=f"etcd-{name}", flags=["--unsafe-no-fsync"])
        self.port = reserve_port()
        flags = [*apiserver_flags, *(self._audit_flags() if audit else ())]
        flags += self._kubelet_flags() if to_kubelets else ()
        everyone = {self._tokens[ADMIN]: ADMINISTRATOR, **(users or {})}
        self._tokens |= {user.name: token for token, user in everyone.items()}
        self.apiserver = ApiServer(
            self.etcd.url, self.port, self.directory, self.authority, everyone, *flags, place=place, release=release
        )
        self.url = self.apiserver.url
        super().__init__(self.apiserver.rest)
        self.controllers = self._controllers(place) if controllers else None

    def _controllers(self, place: Place) -> Process:
        argv: Argv = [program("kube-controller-manager"), *self._controller_flags()]
        return Process(place.inside(argv), name="kube-controller-manager")

    def _controller_flags(self) -> Iterator[str]:
        yield f"--kubeconfig={self.kubeconfig()}"
        yield f"--controllers={','.join(self.CONTROLLERS)}"
        yield f"--service-account-private-key-file={self.apiserver.signing_key}"
        yield f"--root-ca-file={self.authority.path}"
        yield "--leader-elect=false"
        yield "--secure-port=0"  # it serves nothing

    def _kubelet_flags(self) -> Iterator[str]:
        """With what the API server shows kubelets who it is, for logs and exec."""
        certificate = self.authority.client("kube-apiserver-to-kubelets")
        yield f"--kubelet-client-certificate={certificate.cert}"
        yield f"--kubelet-client-key={certificate.key}"

    def _audit_flags(self) -> Iterator[str]:
        """Who asked for what, without what was said and answered, once the answer is there or has begun."""
        policy = self.directory / "audit-policy.json"
        stages = ["RequestReceived", "Panic"]
        rules = {"rules": [{"level": "Metadata"}], "omitStages": stages}
        policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **rules}))
        yield f"--audit-policy-file={policy}"
        yield f"--audit-log-path={self._audit_log}"
        yield "--audit-log-mode=blocking"  # what was answered stands in the log

    @property
    def _audit_log(self) -> Path:
        return self.directory / "audit.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all of it, and wait until it is ready and serves Locks."""
        self.etcd.start()
        self.apiserver.start()
        if self.controllers is not None:
            self.controllers.start()
        self.wait("namespaces", "kube-system")  # made soon after the API server is ready
        if self._crd:
            self.install_crd()
        if self.controllers is not None:
            self.wait("serviceaccounts", "default", "default", timeout=120)

    def close(self) -> None:
        """End all of it at once, and remove its data, its ports and its logs."""
        if self.controllers is not None:
            self.controllers.close()
        self.apiserver.close()
        self.etcd.close()
        release_port(self.port)
        shutil.rmtree(self.directory, ignore_errors=True)

    def install_crd(self, path: Path = CRD) -> None:
        """Install the CRD of Locks, and wait until they are served and all clients can discover that."""
        self.apply(path.read_text())
        wait_for(self._serves_locks, "Locks to be served")

    def _serves_locks(self) -> bool:
        groups = self.rest.call("GET", "/apis")["groups"]
        if _GROUP not in [group["name"] for group in groups]:
            return False
        try:
            self.list("locks")
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def compact(self) -> int:
        """Make etcd forget all revisions before its present one, which is returned.

        The API server's own cache still knows them: watches that resume from one fail with 410 after its next start.
        """
        revision = int(self.etcd.ctl.json("endpoint", "status")[0]["Status"]["header"]["revision"])
        self.etcd.ctl.compact(revision)
        return revision

    def audited(self, user: str) -> list[Object]:
        """All that this user has asked for, as `audit.k8s.io/v1` events; only with `audit`."""
        return [event for event in self.audit_events() if event["user"]["username"] == user]

    def audit_events(self) -> list[Object]:
        """All that anybody has asked for; only with `audit`."""
        return [json.loads(line) for line in self._audit_log.read_text().splitlines()]

    # --- users ----------------------------------------------------------------------------------------------

    def service_account(self, name: str, namespace: str) -> str:
        """The user name of a service account, which is made if it isn't there, with a token (TokenRequest)."""
        if self.get("serviceaccounts", name, namespace) is None:
            self.create("serviceaccounts", {"metadata": {"name": name}}, namespace)
        path = path_of("serviceaccounts", name, namespace, subresource="token")
        user = f"system:serviceaccount:{namespace}:{name}"
        request = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        self._tokens[user] = self.rest.call("POST", path, request)["status"]["token"]
        return user

    def token(self, user: str = ADMIN) -> str:
        """The bearer token of the administrator, or of what `service_account` returned."""
        return self._tokens[user]

    def as_user(self, user: str) -> Objects:
        """Objects as that user may read and write them."""
        return Objects(Rest(self.url, self._tokens[user], self.authority.path))

    def kubeconfig(self, user: str = ADMIN, *, server: str | None = None, namespace: str = "default") -> Path:
        """A new kubeconfig file for that user; `server` is where it finds the API server, such as a proxy's URL."""
        cluster = {"server": server or self.url, "certificate-authority": str(self.authority.path)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": user, "namespace": namespace}}],
            "current-context": self.name,
        }
        descriptor, path = tempfile.mkstemp(prefix="kubeconfig-", suffix=".yaml", dir=self.directory)
        with open(descriptor, "w") as file:
            json.dump(config, file, indent=2)  # JSON is YAML
        return Path(path)

    # --- kubectl --------------------------------------------------------------------------------------------

    def kubectl(self, *words: str, stdin: str = "", user: str = ADMIN, timeout: float = PATIENCE) -> str:
        """What the real kubectl prints; KubectlFailed when it fails, or isn't done after `timeout` seconds."""
        argv = [str(program("kubectl")), f"--kubeconfig={self._config_of(user)}", *words]
        env = {"HOME": str(self.directory), "PATH": "/usr/bin:/bin"}  # not the user's own settings and cache
        try:
            result = subprocess.run(
                argv, input=stdin, env=env, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise KubectlFailed(f"kubectl {' '.join(words)}: not done after {timeout} s") from None
        if result.returncode:
            raise KubectlFailed(f"kubectl {' '.join(words)}: {result.stderr or result.stdout}")
        return result.stdout

    def apply(self, manifests: str | Mapping[str, Any], *, namespace: str = "default") -> str:
        """`kubectl apply` of YAML, or of one object's dict."""
        text = manifests if isinstance(manifests, str) else json.dumps(manifests)
        return self.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=text)

    def _config_of(self, user: str) -> Path:
        """The kubeconfig of kubectl for that user, with the newest token."""
        path = self.directory / f"kubectl-{user.replace(':', '-')}.yaml"
        self.kubeconfig(user).rename(path)
        return path
