"""The authority of the namespaces' certificates: what it issues, what it refuses, what it says of a Secret."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from leasehold.base.pki import named
from leasehold.operator.enrolment.authority import Authority, AuthorityError, Issued, examine, user_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAYS = timedelta(days=14)
USER = "leasehold:ns/apps"
KEYS: dict[str, Callable[[], Any]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def make(place: Path, kind: str = "ec", *, ca: bool = True, until: datetime = NOW + 99 * DAYS) -> tuple[Path, Path]:
    """The files of an authority of its own."""
    key = KEYS[kind]()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named("authority"))
        .issuer_name(named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAYS)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, None if kind == "ed25519" else hashes.SHA256())
    )
    place.mkdir(exist_ok=True)
    files = place / "tls.crt", place / "tls.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def secret(issued: Issued, ca: bytes = b"ca") -> dict[str, bytes]:
    return {"ca.crt": ca, "tls.crt": issued.chain, "tls.key": issued.key}


@pytest.mark.parametrize("kind", KEYS)
def test_issues_what_it_examines(tmp_path: Path, kind: str) -> None:
    authority = Authority.read(*make(tmp_path, kind), NOW)
    issued = authority.issue(USER, NOW, DAYS)
    found = examine(secret(issued), USER, authority, b"ca")
    assert (found.common_name, found.signed_by_us, found.flaw) == (USER, True, "")
    assert found.due is not None
    assert abs(found.due - (NOW + DAYS * 2 / 3)) < timedelta(minutes=1)


def test_never_outlives_its_authority(tmp_path: Path) -> None:
    authority = Authority.read(*make(tmp_path, until=NOW + DAYS / 2), NOW)
    certificate = x509.load_pem_x509_certificate(authority.issue(USER, NOW, DAYS).chain)
    assert certificate.not_valid_after_utc == NOW + DAYS / 2


def test_what_is_wrong_with_a_secret(tmp_path: Path) -> None:
    authority = Authority.read(*make(tmp_path / "one"), NOW)
    stranger = Authority.read(*make(tmp_path / "two"), NOW)
    good, other = (secret(authority.issue(USER, NOW, DAYS)) for _ in range(2))
    for data, flaw in (
        ({}, "are not a certificate and its key"),
        ({**good, "tls.crt": b"junk"}, "are not a certificate and its key"),
        ({**good, "tls.key": other["tls.key"]}, "belongs to another certificate"),
        (secret(stranger.issue(USER, NOW, DAYS)), "another authority has signed"),
        (secret(authority.issue("leasehold", NOW, DAYS)), "is that of 'leasehold'"),
        ({**good, "ca.crt": b"another"}, "its ca.crt is not"),
    ):
        assert flaw in examine(data, USER, authority, b"ca").flaw
    assert examine(secret(stranger.issue(USER, NOW, DAYS)), USER, None, b"ca").flaw == ""


def test_what_is_no_authority(tmp_path: Path) -> None:
    cert, key = make(tmp_path / "good")
    _, other_key = make(tmp_path / "other")
    leaf = make(tmp_path / "leaf", ca=False)
    old = make(tmp_path / "old", until=NOW - timedelta(days=1))
    for files, sentence in (
        ((tmp_path / "none", key), "cannot be read: No such file"),
        ((key, cert), "do not hold a PEM certificate"),
        ((cert, other_key), "belongs to another certificate"),
        (leaf, "may not sign others"),
        (old, "it is valid from"),
    ):
        with pytest.raises(AuthorityError, match=sentence):
            Authority.read(*files, NOW)


def test_who_a_certificate_is(tmp_path: Path) -> None:
    """Nobody comes as root: it could not be revoked."""
    authority = Authority.read(*make(tmp_path), NOW)
    file = tmp_path / "shown"
    file.write_bytes(authority.issue("leasehold-operator", NOW, DAYS).chain)
    assert user_of(file) == "leasehold-operator"
    file.write_bytes(authority.issue("root", NOW, DAYS).chain)
    with pytest.raises(AuthorityError, match="the common name 'root': use another one"):
        user_of(file)
    file.write_text("junk")
    with pytest.raises(AuthorityError, match="no readable certificate"):
        user_of(file)
