"""Each namespace its own etcd user: enrolled, healed, renewed, left; and the way from a certificate that all shared."""

import base64
import contextlib
from pathlib import Path

import pytest

from leasehold.operator.enrolment.names import account_of
from tests.cluster import ApiError, ControlPlane
from tests.operator.conftest import operator_user
from tests.operator.enrolled import SECRET, Enrolled, install_rights
from tests.servers import PATIENCE, CertificateAuthority, wait_for


def test_a_namespace_is_enrolled(enrolled: Enrolled, namespace: str, api: ControlPlane) -> None:
    """Its first sidecar leads with what the operator put into its Secret, and can do nothing elsewhere."""
    enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    files = enrolled.files(namespace)
    one = enrolled.sidecar("one", namespace, files)
    one.wait_leading()
    assert "true" in enrolled.etcd.ctl.run("auth", "status").lower()
    stranger = enrolled.sidecar("stranger", "kube-system", files)
    wait_for(lambda: "permission denied" in stranger.log_since_start, "the stranger to be refused", PATIENCE)
    assert enrolled.stored("kube-system").entries() == []
    assert api.get("secrets", SECRET, "kube-system") is None
    (record,) = enrolled.stored(namespace).records()
    assert record["certificate"] == account_of(namespace)
    wait_for(lambda: enrolled.isolated()["status"] == "True", "the shared user to be gone", PATIENCE)
    assert one.ask().token == int(enrolled.stored(namespace).entries()[0].create_revision)


def test_damage_is_mended(enrolled: Enrolled, namespace: str, api: ControlPlane) -> None:
    """A user deleted, a role widened or emptied, a Secret edited, emptied of its label or deleted, each by hand."""
    enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    user = account_of(namespace)
    one = enrolled.sidecar("one", namespace, enrolled.files(namespace))
    token = one.wait_leading().token
    ctl = enrolled.etcd.ctl
    ctl.run("role", "grant-permission", user, "--prefix=true", "readwrite", "/")
    wait_for(lambda: enrolled.access_of(user) == [f"/leasehold/locks/{namespace}/"], "the role as it was", PATIENCE)
    ctl.run("user", "grant-role", user, "root")
    wait_for(lambda: "root" not in ctl.run("user", "get", user), "the user without the role", PATIENCE)
    assert one.ask().token == token
    ctl.run("user", "delete", user)
    enrolled.wait_user(namespace)
    one.wait_leading()
    good = enrolled.secret(namespace)
    for damage in (
        {"tls.crt": base64.b64encode(b"junk").decode()},
        {"ca.crt": ""},
        {"tls.key": good["data"]["tls.crt"]},
    ):
        api.patch("secrets", SECRET, {"data": damage}, namespace)
        wait_for(lambda: enrolled.is_whole(namespace), "the Secret to be mended", PATIENCE)
    api.delete("secrets", SECRET, namespace)
    assert enrolled.secret(namespace)["metadata"]["uid"] != good["metadata"]["uid"]


def test_a_namespace_leaves(enrolled: Enrolled, namespace: str, api: ControlPlane) -> None:
    """Its user, its role and its Secret go with its last Lock, unless it asks to stay, or a sidecar is still there."""
    operator = enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    one = enrolled.sidecar("one", namespace, enrolled.files(namespace))
    one.wait_leading()
    api.patch("locks", "db", {"spec": {"deletionPolicy": "Orphan"}}, namespace)
    api.delete("locks", "db", namespace)
    api.wait_gone("locks", "db", namespace)
    seen = operator.metric("enrolment_certificates_total")
    enrolled.wait_looked(operator)
    assert one.is_leading()
    api.patch("namespaces", namespace, {"metadata": {"labels": {"leasehold.dev/injection": "enabled"}}})
    one.terminate()
    enrolled.wait_looked(operator)
    assert operator.metric("enrolment_certificates_total") == seen
    assert enrolled.secret(namespace)
    api.patch("namespaces", namespace, {"metadata": {"labels": {"leasehold.dev/injection": None}}})
    api.wait_gone("secrets", SECRET, namespace)
    user = account_of(namespace)
    assert user not in enrolled.users()
    assert user not in enrolled.etcd.ctl.run("role", "list").split()
    wait_for(
        lambda: enrolled.etcd.ctl.prefix("/leasehold/enrolled/") == [], "its note to be gone, last of all", PATIENCE
    )


def test_from_a_shared_certificate(enrolled: Enrolled, namespace: str) -> None:
    """Leaders of a release whose sidecars share one certificate stay in office until they have their own, and then.

    The renewal of a certificate changes nothing for them, either.
    """
    shared = enrolled.certs.client("leasehold")
    others = enrolled.api.make_namespace()
    sidecars = {each: enrolled.sidecar(each, each, enrolled.copy(shared, each)) for each in (namespace, others)}
    tokens = {each: one.wait_leading().token for each, one in sidecars.items()}
    enrolled.start("--enrol-days=12")
    for each in sidecars:
        enrolled.declare(each)
    assert "restart their pods" in enrolled.wait_reason("SharedCertificateInUse")
    assert {each: one.ask().token for each, one in sidecars.items()} == tokens
    first = {each: enrolled.serial(each) for each in sidecars}
    enrolled.wait_uses(namespace, account_of(namespace))
    assert "leasehold" in enrolled.users(), "the other namespace still uses it"
    enrolled.wait_uses(others, account_of(others))
    wait_for(lambda: enrolled.isolated()["status"] == "True", "the shared user to be gone", PATIENCE)
    assert "leasehold" not in enrolled.users()
    for each in sidecars:
        wait_for(lambda: enrolled.serial(each) != first[each], "a new certificate", PATIENCE)  # noqa: B023  # waited for
        enrolled.files(each)
    enrolled.wait_looked(enrolled.operators[-1])
    assert {each: one.ask().token for each, one in sidecars.items()} == tokens
    enrolled.api.remove_namespace(others)


def test_another_authority_is_told(enrolled: Enrolled, namespace: str, tmp_path: Path) -> None:
    """An authority that etcd does not know issues nothing, whatever was lost or made anew; the old Secrets stay."""
    key, cert = tmp_path / "ca.key", tmp_path / "ca.crt"
    key.write_bytes(enrolled.certs.key.read_bytes())
    cert.write_bytes(enrolled.certs.path.read_bytes())
    enrolled.start("--enrol-days=365", ca=(cert, key))
    enrolled.declare(namespace)
    before = enrolled.secret(namespace)["data"]
    stranger = CertificateAuthority(tmp_path / "stranger")
    for contents, reason in (
        ((b"", key.read_bytes()), "do not hold a PEM certificate"),
        ((stranger.path.read_bytes(), key.read_bytes()), "belongs to another certificate"),
        ((stranger.path.read_bytes(), stranger.key.read_bytes()), "did not accept our client certificate"),
    ):
        cert.write_bytes(contents[0])
        key.write_bytes(contents[1])
        wait_for(lambda: reason in str(enrolled.isolated().get("message")), reason, PATIENCE)  # noqa: B023  # waited for
        assert enrolled.secret(namespace)["data"] == before
    key.write_bytes(enrolled.certs.key.read_bytes())
    cert.write_bytes(enrolled.certs.path.read_bytes())
    wait_for(lambda: enrolled.isolated()["reason"] != "ActionRequired", "the authority to be as it was", PATIENCE)
    assert enrolled.secret(namespace)["data"] == before


def test_secrets_it_may_write(api: ControlPlane, namespace: str) -> None:
    """One name and one type: a token of a service account would be a way to its rights."""
    operator_user(api)  # makes the operator's namespace
    operator = api.as_user(install_rights(api))
    empty, default = {"tls.crt": "", "tls.key": ""}, {"kubernetes.io/service-account.name": "default"}
    for name, kind, refused in (
        ("another", "kubernetes.io/tls", "no Secret but leasehold-etcd-client"),
        (SECRET, "kubernetes.io/service-account-token", "not of the type kubernetes.io/tls"),
        (SECRET, "Opaque", "not of the type kubernetes.io/tls"),
        (SECRET, "kubernetes.io/tls", ""),
    ):
        body = {"metadata": {"name": name, "annotations": default}, "type": kind, "data": empty}
        with pytest.raises(ApiError, match=refused) if refused else contextlib.nullcontext():
            operator.create("secrets", body, namespace)


def test_secrets_it_may_read(api: ControlPlane, namespace: str) -> None:
    """The one name, in all namespaces, and no other in any."""
    operator_user(api)  # makes the operator's namespace
    rest = api.as_user(install_rights(api)).rest
    assert rest.call("GET", f"/api/v1/secrets?fieldSelector=metadata.name={SECRET}")["items"] is not None
    api.create("secrets", {"metadata": {"name": "theirs"}}, namespace)
    for path in (
        "/api/v1/secrets",
        "/api/v1/secrets?fieldSelector=metadata.name=theirs",
        f"/api/v1/secrets?fieldSelector=metadata.name!={SECRET}",
        f"/api/v1/namespaces/{namespace}/secrets",
        f"/api/v1/namespaces/{namespace}/secrets/theirs",
    ):
        with pytest.raises(ApiError, match="forbidden"):
            rest.call("GET", path)
    for verb in ("PATCH", "DELETE"):
        with pytest.raises(ApiError, match="forbidden"):
            rest.call(verb, f"/api/v1/namespaces/{namespace}/secrets/theirs", {})
