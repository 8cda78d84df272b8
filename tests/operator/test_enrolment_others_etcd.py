"""Enrolment in an etcd that is somebody else's: by an administrator's certificate, or by user and password."""

import pytest

from leasehold.operator.enrolment.names import account_of
from tests.operator.enrolled import ROOT, Enrolled
from tests.servers import PATIENCE, wait_for
from tests.support import tenants

BOSS, PASSWORD = "boss", "a-password"


@pytest.fixture
def theirs(enrolled: Enrolled) -> Enrolled:
    """An etcd that others keep: they made an administrator, and a user for the operator; nobody has to be one yet."""
    ctl = enrolled.etcd.ctl
    for user in ("root", f"{BOSS}:{PASSWORD}"):
        ctl.run("user", "add", *(["--no-password"] if user == "root" else []), user)
        ctl.run("user", "grant-role", user.partition(":")[0], "root")
    tenants.add_user(ctl, "leasehold-operator", f"{ROOT}/")
    return enrolled


def flags(enrolled: Enrolled, way: str) -> list[str]:
    """What the operator is given of the administrator."""
    authority = [f"--enrol-ca-cert={enrolled.certs.path}", f"--enrol-ca-key={enrolled.certs.key}", "--enrol-days=365"]
    if way == "certificate":
        files = enrolled.certs.client(BOSS)
        return [*authority, f"--enrol-cert={files.cert}", f"--enrol-key={files.key}"]
    password = enrolled.directory / "password"
    password.write_text(PASSWORD)
    return [*authority, f"--enrol-user={BOSS}", f"--enrol-password-file={password}"]


@pytest.mark.parametrize("way", ["certificate", "password"])
def test_an_etcd_of_somebody_elses(theirs: Enrolled, namespace: str, way: str) -> None:
    """Namespaces get users there, nobody else does; who turns authentication on is not the operator, and is asked."""
    before = theirs.users()
    theirs.join(name="operator", enrol=flags(theirs, way)).wait_active()
    theirs.declare(namespace)
    one = theirs.sidecar("one", namespace, theirs.files(namespace))
    token = one.wait_leading().token
    assert "etcdctl auth enable" in theirs.wait_reason("ActionRequired")
    assert "false" in theirs.etcd.ctl.run("auth", "status").lower()
    theirs.etcd.ctl.run("auth", "enable")
    theirs.wait_reason("Isolated")
    assert theirs.users() == before | {account_of(namespace)}
    stranger = theirs.sidecar("stranger", "kube-system", theirs.files(namespace))
    wait_for(lambda: "permission denied" in stranger.log_since_start, "the stranger to be refused", PATIENCE)
    later = theirs.sidecar("later", namespace, theirs.files(namespace))
    later.wait_queued()
    assert one.ask().token == token
    assert theirs.space()["reason"] == "", "its space is its owner's"
