"""What enrolment will not fight over or vouch for: another operator's Secrets, and an etcd that isolates nobody."""

from collections.abc import Callable
from pathlib import Path

from tests.operator.enrolled import SECRET, Enrolled
from tests.servers import PATIENCE, CertificateAuthority, EtcdServer, wait_for

MARK = "leasehold.dev/enrolled-by"
Make = Callable[[EtcdServer, CertificateAuthority], Enrolled]


def test_two_operators_of_one_name(
    enrol: Make, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, namespace: str, tmp_path: Path
) -> None:
    """Each with an etcd and an authority of its own: one gives in and says so, and no leader notices."""
    one = enrol(etcd_factory(authority=certs, mutual=True), certs)
    first = one.start("--enrol-days=365", name="one")
    one.declare(namespace)
    leader = one.sidecar("leader", namespace, one.files(namespace))
    token = leader.wait_leading().token
    strangers = CertificateAuthority(tmp_path / "strangers")
    other = enrol(etcd_factory(authority=strangers, mutual=True), strangers)
    second = other.start("--enrol-days=365", name="other")
    sentence = f"{namespace}: another operator writes its Secret, too, by another authority: uninstall one of the two"
    wait_for(lambda: any(sentence in each.log_since_start for each in (first, second)), "one to say so", PATIENCE)
    version = one.api.get("secrets", SECRET, namespace)["metadata"]["resourceVersion"]  # type: ignore[index]  # it is there, or the test fails
    for each in (first, second):
        one.wait_looked(each)
    assert one.api.get("secrets", SECRET, namespace)["metadata"]["resourceVersion"] == version  # type: ignore[index]  # it is there, or the test fails
    assert leader.ask().token == token


def test_the_secret_of_another_operator(
    enrol: Make, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, namespace: str
) -> None:
    """One that bears another's mark is left alone, however bad it is, until that mark is gone."""
    enrolled = enrol(etcd_factory(authority=certs, mutual=True), certs)
    operator = enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    enrolled.secret(namespace)
    marked = {"metadata": {"annotations": {MARK: "elsewhere/leasehold"}}, "data": {"ca.crt": ""}}
    enrolled.api.patch("secrets", SECRET, marked, namespace)
    sentence = f"{namespace}: the operator of elsewhere/leasehold writes its Secret, and this one is "
    wait_for(lambda: sentence in str(enrolled.isolated().get("message")), "the mark to be seen", PATIENCE)
    enrolled.wait_looked(operator)
    assert enrolled.api.get("secrets", SECRET, namespace)["data"]["ca.crt"] == ""  # type: ignore[index]  # it is there, or the test fails
    enrolled.api.patch("secrets", SECRET, {"metadata": {"annotations": {MARK: None}}}, namespace)
    wait_for(lambda: enrolled.is_whole(namespace), "the Secret to be mended", PATIENCE)


def test_an_etcd_that_isolates_nobody(
    enrol: Make, etcd_factory: Callable[..., EtcdServer], certs: CertificateAuthority, namespace: str
) -> None:
    """By its own advisories: enrolment goes on, and never calls it isolated."""
    enrolled = enrol(etcd_factory("3.5", authority=certs, mutual=True), certs)
    enrolled.start("--enrol-days=365")
    enrolled.declare(namespace)
    enrolled.sidecar("one", namespace, enrolled.files(namespace)).wait_leading()
    message = enrolled.wait_reason("ActionRequired")
    assert "does not keep its users to their roles" in message
    assert enrolled.isolated()["status"] == "False"
