"""Authorities and certificates in PEM: made, and checked for what is wrong with them. Time is an argument."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from leasehold.base.pki import CLOCK_SKEW, RENEW_AT, common_name, key_usage, named
from leasehold.operator.certificates.subject import Subject

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
_UNUSABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound)
"""What the library raises for damaged PEM; TypeError: the key is encrypted."""


_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""Ours, and those that Helm made for earlier releases."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes

    @classmethod
    def read(cls, data: Mapping[str, bytes]) -> Pair | None:
        """From a Secret's `tls.crt` and `tls.key`; None if these are no pair."""
        pair = cls(data.get("tls.crt", b""), data.get("tls.key", b""))
        try:
            key = load_pem_private_key(pair.key, None)
            fits = isinstance(key, _Key) and pair.loaded.public_key() == key.public_key()
        except _UNUSABLE:
            return None
        return pair if fits else None

    @property
    def loaded(self) -> x509.Certificate:
        """The certificate. Raises ValueError."""
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def renewal(self) -> datetime:
        """When the next one is due."""
        begin, end = self.loaded.not_valid_before_utc + CLOCK_SKEW, self.loaded.not_valid_after_utc
        return begin + (end - begin) * RENEW_AT


def make_authority(name: str, now: datetime) -> Pair:
    """A new authority, valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _pem(_authority(named(name), key, now), key)


def renew_authority(authority: Pair, now: datetime) -> Pair:
    """The same authority for another ten years: with its key and name, it goes with every certificate it signed."""
    key = _private(authority)
    return _pem(_authority(authority.loaded.subject, key, now), key)


def _authority(name: x509.Name, key: _Key, now: datetime) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def issue(authority: Pair, subject: Subject, now: datetime, lifetime: timedelta) -> Pair:
    """A certificate by that authority, valid for `lifetime`, but not for longer than the authority is."""
    signer = authority.loaded
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if subject.hosts else [])]
    builder = (
        x509.CertificateBuilder(signer.subject, named(subject.name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(min(now + lifetime, signer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_identifier(signer), critical=False)
    )
    if subject.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(subject)), critical=False)
    return _pem(builder.sign(_private(authority), hashes.SHA256()), key)


def flaw(pair: Pair | None, authority: Pair, subject: Subject, now: datetime) -> str:
    """Why it must be replaced; "" if it is good."""
    if pair is None:
        return "it is missing or damaged"
    certificate = pair.loaded
    if not signed_by(certificate, authority.loaded):
        return "another authority signed it"
    if not _is_for(certificate, subject):
        return "it is for other names"
    return "its renewal is due" if now >= pair.renewal or now < certificate.not_valid_before_utc else ""


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether that authority signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _alternatives(subject: Subject) -> list[x509.GeneralName]:
    """What a member is reached as, loopback included, by which etcdctl does in its pod."""
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return [*(x509.DNSName(host) for host in subject.hosts), loopback]


def _is_for(certificate: x509.Certificate, subject: Subject) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = set(names.get_values_for_type(x509.DNSName))
    except _UNUSABLE:
        hosts = set()
    return common_name(certificate) == subject.name and hosts >= set(subject.hosts)


def _identifier(signer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the authority calls itself: earlier releases had their authority from Helm."""
    known = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _private(authority: Pair) -> _Key:
    key = load_pem_private_key(authority.key, None)
    assert isinstance(key, _Key), "a Pair that was read has no other"
    return key


def _pem(certificate: x509.Certificate, key: _Key) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), private)
