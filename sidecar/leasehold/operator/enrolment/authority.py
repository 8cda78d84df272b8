"""The authority that signs the namespaces' certificates: read from its files, issues, and examines what is there.

Time is an argument: the API server's, as far as it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from leasehold.base.pki import CLOCK_SKEW, RENEW_AT, common_name, key_usage, named, split_pem

_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)
"""What the loaders raise; TypeError for a key with a passphrase."""


class AuthorityError(Exception):
    """The authority cannot be used. The text is one sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A client certificate, with its authority's if that is an intermediate one, and its key, in PEM."""

    chain: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Examined:
    """A certificate in a Secret: whose it is, when its successor is due, and what is wrong with it, "" if nothing."""

    common_name: str
    signed_by_us: bool
    due: datetime | None
    flaw: str


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that may sign others, and its key."""

    certificate: x509.Certificate
    key: Any

    @classmethod
    def read(cls, certificate_file: Path, key_file: Path, now: datetime) -> Authority:
        """From two PEM files. Raises AuthorityError."""
        try:
            pem, key_pem = certificate_file.read_bytes(), key_file.read_bytes()
        except OSError as error:
            raise AuthorityError(f"its file {error.filename} cannot be read: {error.strerror}") from None
        try:
            certificate, key = x509.load_pem_x509_certificate(pem), load_pem_private_key(key_pem, None)
        except _UNREADABLE:
            raise AuthorityError(
                f"{certificate_file} and {key_file} do not hold a PEM certificate and its PEM key without passphrase"
            ) from None
        authority = cls(certificate, key)
        authority._check(now)
        return authority

    def _check(self, now: datetime) -> None:
        """Raise AuthorityError if what it would sign is accepted by nobody."""
        certificate = self.certificate
        if certificate.public_key() != self.key.public_key():
            raise AuthorityError("its key belongs to another certificate: give a matching pair")
        try:
            signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            signs = False
        if not signs:
            raise AuthorityError("its certificate may not sign others (no CA): give an authority's")
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            raise AuthorityError(f"it is valid from {certificate.not_valid_before_utc} to {self.expires} only")

    @property
    def expires(self) -> datetime:
        """The end of its validity."""
        return self.certificate.not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits by which it is told from others."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()[:32]

    def issue(self, user: str, now: datetime, lifetime: timedelta) -> Issued:
        """A client certificate with this common name, valid for `lifetime` from `now`, or as long as its authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(
            x509.CertificateBuilder()
            .subject_name(named(user))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(now - CLOCK_SKEW, self.certificate.not_valid_before_utc))
            .not_valid_after(min(now + lifetime, self.expires))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Issued(certificate.public_bytes(Encoding.PEM) + self._intermediate(), pem)

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256())

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        try:
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def _intermediate(self) -> bytes:
        """What goes along, so that a verifier who knows only the root finds its way."""
        is_root = self.certificate.subject == self.certificate.issuer
        return b"" if is_root else self.certificate.public_bytes(Encoding.PEM)

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether the certificate is of this authority."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):  # another issuer's name, another kind of key, another key
            return False
        return True


def examine(data: Mapping[str, bytes], user: str, authority: Authority | None, server_ca: bytes) -> Examined:
    """The certificate in a Secret's data: is it this user's, of this authority, beside its key and etcd's authority?

    Without an authority, who signed it is not looked at.
    """
    try:
        certificate = x509.load_pem_x509_certificate(data.get("tls.crt", b""))
        key = load_pem_private_key(data.get("tls.key", b""), None)
    except _UNREADABLE:
        return Examined("", False, None, "tls.crt and tls.key are not a certificate and its key")
    name = common_name(certificate)
    signed = authority is None or authority.has_signed(certificate)
    made = certificate.not_valid_before_utc + CLOCK_SKEW
    due = made + (certificate.not_valid_after_utc - made) * RENEW_AT
    flaw = ""
    if certificate.public_key() != key.public_key():
        flaw = "tls.key belongs to another certificate"
    elif not signed:
        flaw = "another authority has signed its certificate"
    elif name != user:
        flaw = f"its certificate is that of {name!r}"
    elif data.get("ca.crt", b"") != server_ca:
        flaw = "its ca.crt is not the authority of etcd's certificates"
    return Examined(name, signed, due, flaw)


def user_of(certificate_file: Path) -> str:
    """The common name in a certificate file, by which etcd knows who comes. Raises AuthorityError."""
    try:
        pem = certificate_file.read_bytes()
        name = common_name(x509.load_pem_x509_certificate(split_pem(pem)[0]))
    except (OSError, IndexError, *_UNREADABLE):
        raise AuthorityError(f"{certificate_file} holds no readable certificate") from None
    if not name or name == "root":
        raise AuthorityError(f"the certificate in {certificate_file} has the common name {name!r}: use another one")
    return name
