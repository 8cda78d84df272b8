"""Each namespace its own user and password, in an etcd of somebody else's without TLS; and the password's rotation."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from leasehold.operator.enrolment.names import account_of
from tests.charts.rendered import LEASEHOLD, render
from tests.cluster import ControlPlane
from tests.operator.conftest import operator_user
from tests.operator.enrolled import HASTY, ROOT, SECRET, install_rights
from tests.operator.lock_objects import condition, is_ready, lock
from tests.operator.operator_manifest import OPERATOR_NAMESPACE
from tests.operator.operator_process import Operator
from tests.servers import PATIENCE, EtcdServer, wait_for
from tests.support.sidecars import Sidecar
from tests.support.stored_lock import stored_lock

BOSS, OPERATOR, PASSWORD = "boss", "leasehold-operator", "a-password"
FLAGS = ("--set=etcd.endpoints={http://etcd:2379}", "--set=etcd.enrolment.passwords=true")
VALUES = (*FLAGS, "--set=etcd.enrolment.adminSecretName=a", "--set=etcd.enrolment.adminUser=b")


class Place:
    """An etcd with users, an operator that administers it, and sidecars of namespaces with what their Secrets hold."""

    def __init__(self, api: ControlPlane, etcd: EtcdServer, start_sidecar: Callable[..., Sidecar], home: Path) -> None:
        self.api = api
        self.etcd = etcd
        self.home = home
        self._start_sidecar = start_sidecar

    def declare(self, namespace: str) -> None:
        self.api.create("locks", lock("db", leaseDurationSeconds=3600), namespace)
        self.api.wait("locks", "db", namespace, until=is_ready, what="ready")

    def data(self, namespace: str) -> dict[str, str]:
        """What the Secret holds, as text."""
        found = self.api.get("secrets", SECRET, namespace) or {}
        return {name: base64.b64decode(value).decode() for name, value in (found.get("data") or {}).items()}

    def mount(self, namespace: str) -> Path:
        """The Secret's files, as a kubelet brings them: again after each change."""
        wait_for(lambda: self.data(namespace).get("password"), "a password", PATIENCE)
        place = self.home / namespace
        place.mkdir(exist_ok=True)
        for name, text in self.data(namespace).items():
            (place / f".{name}").write_text(text)
            (place / f".{name}").rename(place / name)
        return place

    def sidecar(self, name: str, of: str, files: Path) -> Sidecar:
        """A sidecar in the namespace `of`, by injection's own settings for it."""
        flags = [f"--etcd-user=@{files}/username", f"--etcd-password-file={files}/password"]
        return self._start_sidecar(name, self.etcd.endpoints, lock=f"{of}/db", root=ROOT, ttl=None, flags=flags)

    def isolation(self) -> Any:
        return condition(
            self.api.get("locks", "leasehold-operator-canary", OPERATOR_NAMESPACE) or {}, "NamespacesIsolated"
        )


@pytest.fixture
def place(
    api: ControlPlane,
    etcd_factory: Callable[..., EtcdServer],
    operator_factory: Callable[..., Operator],
    sidecar_factory: Callable[..., Sidecar],
    tmp_path: Path,
) -> Place:
    operator_user(api)  # makes the operator's namespace
    user = install_rights(api, "by-password", *VALUES)
    etcd = etcd_factory(flags=["--bcrypt-cost=4"])
    etcd.enable_auth({BOSS: PASSWORD, OPERATOR: PASSWORD}, f"{ROOT}/")
    etcd.ctl.run("user", "grant-role", BOSS, "root")
    (password := tmp_path / "password").write_text(PASSWORD)
    flags = [f"--etcd-user={OPERATOR}", f"--etcd-password-file={password}", "--enrol-passwords", "--compare-every=10"]
    flags += [f"--enrol-user={BOSS}", f"--enrol-password-file={password}", "--enrol-days=30"]
    settings = {"root": ROOT, "flags": flags, "command": HASTY, "kubeconfig": api.kubeconfig(user)}
    operator_factory("operator", etcd.endpoints, **settings).wait_active()
    return Place(api, etcd, sidecar_factory, tmp_path)


def test_a_namespace_has_its_own_password(place: Place, namespace: str) -> None:
    """Its sidecar leads by it, is refused elsewhere, and leads on while the password is replaced."""
    place.declare(namespace)
    files = place.mount(namespace)
    one = place.sidecar("one", namespace, files)
    token = one.wait_leading().token
    assert place.data(namespace)["username"] == account_of(namespace)
    stranger = place.sidecar("stranger", "kube-system", files)
    wait_for(lambda: "permission denied" in stranger.log_since_start, "the stranger to be refused", PATIENCE)
    assert stored_lock(place.etcd.ctl, ROOT, "kube-system", "db").entries() == []
    wait_for(lambda: place.isolation()["status"] == "True", "each to have its own user", PATIENCE)
    (first,) = place.data(namespace)["password"].split("\n")
    wait_for(lambda: "\n" in place.data(namespace)["password"], "the next password to be announced", PATIENCE)
    place.mount(namespace)
    wait_for(lambda: not place.data(namespace)["password"].startswith(first), "the next one to be in force", PATIENCE)
    later = place.sidecar("later", namespace, place.mount(namespace))
    later.wait_queued()
    assert one.ask().token == token, "no term is lost"


def test_damage_to_passwords_is_mended(place: Place, namespace: str) -> None:
    """A Secret that was edited or deleted gets the password that etcd has; a user that was deleted, a new one."""
    place.declare(namespace)
    one = place.sidecar("one", namespace, place.mount(namespace))
    token = one.wait_leading().token
    junk = {"data": {"password": base64.b64encode(b"junk").decode(), "username": ""}}
    place.api.patch("secrets", SECRET, junk, namespace)
    wait_for(lambda: place.data(namespace).get("username") == account_of(namespace), "the Secret as it was", PATIENCE)
    place.api.delete("secrets", SECRET, namespace)
    place.sidecar("two", namespace, place.mount(namespace)).wait_queued()
    assert one.ask().token == token
    before = place.data(namespace)["password"]
    place.etcd.ctl.run("user", "delete", account_of(namespace))
    wait_for(lambda: place.data(namespace)["password"] not in before, "another password", PATIENCE)
    place.mount(namespace)
    place.sidecar("three", namespace, place.mount(namespace)).wait_queued()


def test_what_the_chart_makes_of_passwords() -> None:
    """The operator's flags, no authority, the Secrets' type, and what pods log in by."""
    text = render(LEASEHOLD, *VALUES)
    assert "--enrol-passwords" in text
    assert "enrol-ca" not in text
    assert "object.type == 'kubernetes.io/basic-auth'" in text
    assert "--sidecar-etcd-user=@/etcd-auth/username" in text
    assert "--sidecar-etcd-password-secret=leasehold-etcd-client" in text
    assert "--sidecar-etcd-secret" not in text, "this etcd has no TLS"


def test_certificates_need_no_password_secret_in_pods() -> None:
    """The operator's own password is in a Secret that no other namespace has."""
    chosen = [
        "etcd.endpoints={https://etcd:2379}",
        "etcd.tls.secretName=a",
        "etcd.auth.user=me",
        "etcd.auth.secretName=pw",
    ]
    chosen += ["etcd.enrolment.caSecretName=ca", "etcd.enrolment.adminSecretName=b", "injector.mode=policy"]
    api = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    text = render(LEASEHOLD, *(f"--set={each}" for each in chosen), api, "--show-only=templates/injection-policy.yaml")
    variables = next(yaml.safe_load_all(text))["spec"]["variables"]
    assert {"name": "passwordSecret", "expression": '""'} in variables
