"""The certificates of the chart's etcd: what its Secrets are to hold next."""

import datetime as dt
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from leasehold.base.config_error import ConfigError
from leasehold.base.pki import common_name
from leasehold.operator.certificates.config import certificates_config
from leasehold.operator.certificates.issue import AUTHORITY_LIFETIME, Pair, issue, signed_by
from leasehold.operator.certificates.plan import Data, Step, step, step_of_given
from leasehold.operator.certificates.subject import Leaf, Subject

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LIFETIME = timedelta(days=300)
MEMBERS = Leaf("system", "etcd-server", Subject("leasehold-etcd", ("localhost", "etcd-0.etcd.system.svc")))
CLIENT = Leaf("apps", "etcd-client", Subject("leasehold"))
FLAGS = [
    f"--kubeconfig={__file__}",
    "--authority=ca",
    "--server=etcd-server",
    "--server-name=leasehold-etcd",
    "--server-hosts=localhost",
]


class Secrets:
    """The Secrets, as the API server keeps them."""

    def __init__(self) -> None:
        self.authority: dict[str, bytes] = {}
        self.leaves: dict[Leaf, Data] = {MEMBERS: {}, CLIENT: {}}

    def next(self, now: datetime = NOW) -> Step:
        """The next step, and what it writes written."""
        made = step("ca", self.authority, self.leaves, now, LIFETIME)
        if made.authority:
            self.authority = {"tls.crt": made.authority.certificate, "tls.key": made.authority.key}
        self.leaves |= made.writes
        return made

    def certificate(self, leaf: Leaf) -> x509.Certificate:
        pair = Pair.read(self.leaves[leaf])
        assert pair
        return pair.loaded


@pytest.fixture
def secrets() -> Secrets:
    made = Secrets()
    made.next()
    return made


def test_empty_secrets_are_filled(secrets: Secrets) -> None:
    """By one authority, each certificate for its own names and usages; and nothing is left to do then."""
    ca = Pair.read(secrets.authority)
    assert ca
    assert {data["ca.crt"] for data in secrets.leaves.values()} == {ca.certificate}
    for leaf in secrets.leaves:
        made = secrets.certificate(leaf)
        assert signed_by(made, ca.loaded)
        assert common_name(made) == leaf.subject.name
    names = secrets.certificate(MEMBERS).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == MEMBERS.subject.hosts
    usages = secrets.certificate(CLIENT).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert secrets.next() == Step()


def test_renewed_at_two_thirds(secrets: Secrets) -> None:
    before = secrets.leaves[CLIENT]
    assert secrets.next(NOW + LIFETIME * 0.66) == Step()
    renewed = secrets.next(NOW + LIFETIME * 0.67)
    assert renewed.authority is None
    assert set(renewed.writes) == {MEMBERS, CLIENT}
    assert secrets.leaves[CLIENT]["ca.crt"] == before["ca.crt"]


def test_authority_is_renewed_with_its_key(secrets: Secrets) -> None:
    """What it signed before goes with what it is then."""
    old = secrets.certificate(CLIENT)
    late = NOW + AUTHORITY_LIFETIME * 0.7
    assert secrets.next(late).authority
    ca = Pair.read(secrets.authority)
    assert ca
    assert signed_by(old, ca.loaded)
    assert ca.loaded.not_valid_after_utc > late + AUTHORITY_LIFETIME * 0.9
    assert secrets.next(late) == Step()


@pytest.mark.parametrize(
    "damage",
    [{"tls.key": b"x"}, {"tls.crt": b""}, {"ca.crt": b"mine"}, "keys swapped", "other names"],
    ids=str,
)
def test_damage_is_repaired(secrets: Secrets, damage: dict[str, bytes] | str) -> None:
    if damage == "keys swapped":
        damage = {"tls.key": secrets.leaves[MEMBERS]["tls.key"]}
    elif damage == "other names":
        ca = Pair.read(secrets.authority)
        assert ca
        other = issue(ca, Subject("root"), NOW, LIFETIME)
        damage = {"tls.crt": other.certificate, "tls.key": other.key}
    assert isinstance(damage, dict)
    secrets.leaves[CLIENT] = {**secrets.leaves[CLIENT], **damage}
    repaired = secrets.next()
    assert repaired.authority is None
    assert set(repaired.writes) == {CLIENT}
    assert secrets.next() == Step()


def test_lost_authority_is_told(secrets: Secrets) -> None:
    """Certificates in use go on; with none in use, all starts over."""
    kept, secrets.authority = secrets.authority, {}
    told = secrets.next()
    assert not told.writes
    assert told.authority is None
    assert (
        "certificates that one signed are in use, in system/etcd-server, apps/etcd-client: put it back" in told.problem
    )
    secrets.authority = kept
    assert secrets.next() == Step()
    secrets.authority, secrets.leaves = {}, {MEMBERS: {}, CLIENT: {}}
    assert secrets.next().authority


def test_authority_of_somebody_else(secrets: Secrets) -> None:
    """It is used as it is, never made or renewed; another one is told, as etcd would not know it."""
    leaves: dict[Leaf, Data] = {leaf: {} for leaf in secrets.leaves}
    late = NOW + AUTHORITY_LIFETIME * 0.9
    made = step_of_given("mine", secrets.authority, leaves, late, LIFETIME)
    assert (made.authority, made.writes.keys()) == (None, leaves.keys())
    assert not step_of_given("mine", secrets.authority, made.writes, late, LIFETIME).writes
    other = Secrets()
    other.next()
    told = step_of_given("mine", other.authority, made.writes, late, LIFETIME)
    assert not told.writes
    assert told.problem.startswith("the Secret mine has another authority than the one that signed system/etcd-server")
    assert "the Secret mine has no authority" in step_of_given("mine", {}, leaves, NOW, LIFETIME).problem


def test_authority_that_helm_made() -> None:
    """An earlier release's, with an RSA key in PKCS 1: what it signed stays, and it signs on."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leasehold-etcd-ca")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + dt.timedelta(days=3650))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    private = key.private_bytes(*formats, serialization.NoEncryption())
    secrets = Secrets()
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secrets.authority = {"tls.crt": certificate, "tls.key": private}
    assert secrets.next().authority is None
    assert secrets.next() == Step()
    assert signed_by(secrets.certificate(CLIENT), x509.load_pem_x509_certificate(certificate))


def test_settings_are_checked() -> None:
    """Each mistake gives a sentence."""
    good = certificates_config([*FLAGS, "--clients=apps/client=leasehold:ns/apps"], {"POD_NAMESPACE": "system"})
    assert [leaf.place for leaf in good.leaves] == ["system/etcd-server", "apps/client"]
    with pytest.raises(ConfigError) as failed:
        certificates_config(["--clients=apps=x", "--server=Etcd", "--days=0"], {})
    text = str(failed.value)
    for sentence in (
        "--authority is missing",
        "use NAMESPACE/SECRET=NAME",
        "use the name of a Secret",
        "--days is '0'",
    ):
        assert sentence in text
