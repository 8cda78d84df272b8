"""An operator that enrols namespaces, on an etcd with TLS of the test's own, with exactly the chart's rights."""

import base64
import json
import sys
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from leasehold.operator.enrolment.names import account_of
from leasehold.operator.reconcile.api import CANARY
from tests.charts.rendered import LEASEHOLD, render
from tests.cluster import ControlPlane
from tests.cluster.objects import Object
from tests.operator.lock_objects import condition, is_ready, lock
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, is_refused_by_policy, may
from tests.operator.operator_process import Operator
from tests.servers import PATIENCE, Certificate, CertificateAuthority, EtcdCluster, EtcdServer, wait_for
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import StoredLock, stored_lock

SECRET: Final = "leasehold-etcd-client"
ROOT: Final = "/leasehold"
HASTY: Final = (sys.executable, "-m", "tests.operator.hasty_operator", "operator")


_RELEASE: Final = "enrolling"
_users: weakref.WeakKeyDictionary[ControlPlane, dict[str, str]] = weakref.WeakKeyDictionary()


def install_rights(api: ControlPlane, release: str = _RELEASE, *values: str) -> str:
    """A service account with the chart's rights for an operator that enrols, all in force; its user name.

    It is not the manifest's: what that may do on the same API server is for other tests.
    """
    known = _users.setdefault(api, {})
    if release in known:
        return known[release]
    files = [f"--show-only=templates/{name}.yaml" for name in ("operator-rbac", "enrolment")]
    text = render(LEASEHOLD, f"--set=fullnameOverride={release}", *values, *files)
    own = [each for each in yaml.safe_load_all(text) if each and release in each["metadata"]["name"]]
    api.apply(yaml.safe_dump_all(own), namespace=OPERATOR_NAMESPACE)
    user = api.service_account(f"{release}-operator", OPERATOR_NAMESPACE)
    wait_for(lambda: may(api, user, "list", "namespaces"), "the operator's roles to be in force")
    wait_for(lambda: policy_is_in_force(api, user), "the policy on the operator's Secrets to be in force")
    known[release] = user
    return user


def policy_is_in_force(api: ControlPlane, user: str) -> bool:
    """Whether the operator is kept from creating another Secret. The API server learns of a policy some time later."""
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets?dryRun=All"
    body = {"metadata": {"name": "another"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}
    return is_refused_by_policy(lambda: api.as_user(user).rest.call("POST", path, body))


class Enrolled:
    """An etcd whose users an operator administers. Namespaces are the caller's; `files` plays a namespace's kubelet."""

    def __init__(
        self,
        api: ControlPlane,
        etcd: EtcdServer | EtcdCluster,
        authority: CertificateAuthority,
        start_operator: Callable[..., Operator],
        start_sidecar: Callable[..., Sidecar],
        directory: Path,
    ) -> None:
        self.api = api
        self.etcd = etcd
        self.certs = authority
        self.directory = directory
        self.operators: list[Operator] = []
        self.kubeconfig = api.kubeconfig(install_rights(api))
        self._start_operator = start_operator
        self._start_sidecar = start_sidecar

    def stored(self, namespace: str, name: str = "db") -> StoredLock:
        """A lock of that namespace, as etcd has it."""
        return partial(stored_lock, self.etcd.ctl, ROOT)(namespace, name)

    def start(self, *flags: str, name: str = "operator", ca: tuple[Path, Path] | None = None) -> Operator:
        """An operator that enrols, by the authority in these two files; active when it returns."""
        started = self.join(*flags, name=name, ca=ca)
        started.wait_active()
        return started

    def join(self, *flags: str, name: str, ca: tuple[Path, Path] | None = None, enrol: Sequence[str] = ()) -> Operator:
        """The same, not active yet: perhaps another one is. `enrol`: other flags than those for an etcd of its own."""
        certificate, key = ca or (self.certs.path, self.certs.key)
        own = tls_flags(self.certs.client("leasehold-operator"))
        words = [*own, *(enrol or enrol_flags(self.certs, certificate, key)), "--compare-every=10", *flags]
        started = self._start_operator(
            name, self.etcd.endpoints, root=ROOT, flags=words, command=HASTY, kubeconfig=self.kubeconfig
        )
        self.operators.append(started)
        return started

    def wait_looked(self, operator: Operator, times: int = 4) -> None:
        """Return when the operator has looked at everything so often again: it asks etcd for all users each time."""
        before = operator.metric("enrolment_rounds_total")
        wait_for(lambda: operator.metric("enrolment_rounds_total") >= before + times, "the operator to look", PATIENCE)

    def declare(self, namespace: str, name: str = "db") -> None:
        """A Lock, with a lease long enough that no expiry helps anybody."""
        self.api.create("locks", lock(name, leaseDurationSeconds=3600), namespace)
        self.api.wait("locks", name, namespace, until=is_ready, what="ready")

    def secret(self, namespace: str) -> Object:
        """The namespace's Secret, once it is there and holds a good certificate."""
        return self.api.wait("secrets", SECRET, namespace, until=lambda seen: holds(seen, namespace), what="issued")

    def serial(self, namespace: str) -> int:
        """The serial number of the namespace's certificate."""
        return certificate_of(self.secret(namespace)).serial_number

    def is_whole(self, namespace: str) -> bool:
        """Whether the Secret holds the namespace's certificate, its key, and etcd's authority."""
        found = self.api.get("secrets", SECRET, namespace) or {}
        if not holds(found, namespace):
            return False
        data = {name: base64.b64decode(value) for name, value in found["data"].items()}
        key = load_pem_private_key(data["tls.key"], None) if data["tls.key"].startswith(b"-----BEGIN P") else None
        fits = key is not None and key.public_key() == certificate_of(found).public_key()
        return fits and data["ca.crt"] == self.certs.path.read_bytes()

    def files(self, namespace: str) -> Certificate:
        """The Secret's files, as a kubelet mounts them: again after each change."""
        data = self.secret(namespace)["data"]
        return self._mount(namespace, {key: base64.b64decode(value) for key, value in data.items()})

    def copy(self, files: Certificate, namespace: str) -> Certificate:
        """The same, of a certificate that nobody has made a Secret of."""
        paths = {"ca.crt": files.ca, "tls.crt": files.cert, "tls.key": files.key}
        return self._mount(namespace, {key: path.read_bytes() for key, path in paths.items()})

    def _mount(self, namespace: str, contents: dict[str, bytes]) -> Certificate:
        place = self.directory / namespace
        place.mkdir(exist_ok=True)
        for key, content in contents.items():
            if (place / key).exists() and (place / key).read_bytes() == content:
                continue
            unfinished = place / f".{key}"
            unfinished.write_bytes(content)
            unfinished.rename(place / key)
        return Certificate(place / "ca.crt", place / "tls.crt", place / "tls.key")

    def sidecar(self, name: str, namespace: str, files: Certificate, lock_name: str = "db", **more: Any) -> Sidecar:
        """A sidecar with these files; more as Sidecar's."""
        options = {"lock": f"{namespace}/{lock_name}", "root": ROOT, "ttl": None, "flags": tls_flags(files), **more}
        return self._start_sidecar(name, self.etcd.endpoints, **options)

    def users(self) -> set[str]:
        """The names of etcd's users."""
        return set(self.etcd.ctl.run("user", "list").split())

    def access_of(self, role: str) -> list[str]:
        """The beginnings of the ranges that the role may read and write."""
        answer = json.loads(self.etcd.ctl.run("role", "get", role, "--write-out=json"))
        return [base64.b64decode(each["key"]).decode() for each in answer.get("perm", ())]

    def wait_uses(self, namespace: str, user: str) -> None:
        """Return when the namespace's one candidate says that it comes by this user's certificate.

        Meanwhile its files are mounted as ever: a certificate of some seconds' life may end before it is shown.
        """

        def used() -> bool:
            self.files(namespace)
            return [record.get("certificate") for record in self.stored(namespace).records()] == [user]

        wait_for(used, f"the candidate of {namespace} to use {user}", PATIENCE)

    def wait_user(self, namespace: str, *, there: bool = True) -> None:
        """Return when the namespace has a user, or has none any more."""
        wait_for(lambda: (account_of(namespace) in self.users()) is there, f"the user of {namespace}", PATIENCE)

    def isolated(self) -> Object:
        """The condition that the operator gives of it."""
        return condition(self.api.get("locks", CANARY, OPERATOR_NAMESPACE) or {}, "NamespacesIsolated")

    def space(self) -> Object:
        """The condition that the operator gives of etcd's space."""
        return condition(self.api.get("locks", CANARY, OPERATOR_NAMESPACE) or {}, "EtcdHasSpace")

    def wait_reason(self, reason: str) -> str:
        """Return the condition's message once it has this reason."""
        wait_for(lambda: self.isolated()["reason"] == reason, reason, PATIENCE)
        return str(self.isolated().get("message"))


def tls_flags(files: Certificate) -> list[str]:
    """The flags by which a program shows this certificate."""
    return [f"--etcd-ca={files.ca}", f"--etcd-cert={files.cert}", f"--etcd-key={files.key}"]


def enrol_flags(certs: CertificateAuthority, ca_cert: Path, ca_key: Path) -> list[str]:
    """The flags by which the operator enrols on an etcd of its own, as the chart gives them."""
    admin = certs.client("leasehold-admin")
    authority = [f"--enrol-ca-cert={ca_cert}", f"--enrol-ca-key={ca_key}", "--enrol-shared-user=leasehold"]
    return [*authority, f"--enrol-cert={admin.cert}", f"--enrol-key={admin.key}", "--enrol-own-etcd"]


def certificate_of(secret: Object) -> x509.Certificate:
    """The certificate in a Secret. Raises ValueError if it holds none."""
    return x509.load_pem_x509_certificate(base64.b64decode((secret.get("data") or {}).get("tls.crt", "")))


def holds(secret: Object, namespace: str) -> bool:
    """Whether it holds the namespace's certificate."""
    try:
        return certificate_of(secret).subject.rfc4514_string() == f"CN={account_of(namespace)}"
    except ValueError:
        return False
