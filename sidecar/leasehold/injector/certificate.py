"""The injector's own certificates: what the Secret holds, and what is to be done about it. Pure; time is an argument.

Each serving certificate has an authority of its own, whose key is thrown away as soon as it has signed: nobody can sign
another. The Secret, which all replicas share, holds

    tls.crt, tls.key      what they serve with
    next.crt, next.key    what they will serve with
    ca.crt                the authorities of both, and of what was served with before until that has expired

and the webhook's configuration holds the same authorities. No request fails over a renewal: what is next is served only
once its authority has been in the configuration for SETTLE seconds, in which every API server learns of it; and the
authority before it stays there, since replicas take a new certificate up one after the other.

The time is that of the API server, who has to believe the certificates: a replica's own clock may be days off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SETTLE: Final = 15.0
"""Seconds from when an authority is in the webhook's configuration to when a certificate of it is served."""
SKEW: Final = timedelta(minutes=5)
"""By how much the clocks of API servers may be behind: certificates are valid from so long before they are made."""
_RENEW_AT: Final = 2 / 3
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pair:
    """A serving certificate with its authority's, and its key, in PEM."""

    chain: bytes
    key: bytes

    @property
    def authority(self) -> bytes:
        """The certificate of its authority."""
        return _certificates(self.chain)[-1]

    @property
    def made(self) -> datetime:
        """When it was made."""
        return _load(self.chain).not_valid_before_utc + SKEW

    @property
    def expires(self) -> datetime:
        """From when on nobody believes it."""
        return _load(self.chain).not_valid_after_utc

    def valid(self, now: datetime) -> bool:
        """Whether anybody believes it now."""
        return self.made - SKEW <= now < self.expires

    @property
    def renewal(self) -> datetime:
        """When it is time for the next one."""
        return self.made + (self.expires - self.made) * _RENEW_AT

    def due(self, now: datetime) -> bool:
        """Whether it is time for the next one, or past that."""
        return not self.valid(now) or now >= self.renewal


@dataclass(frozen=True, slots=True)
class Kept:
    """What the Secret holds. Nothing at first."""

    serving: Pair | None = None
    following: Pair | None = None
    authorities: bytes = b""

    @classmethod
    def read(cls, data: Mapping[str, bytes], host: str) -> Kept:
        """From the Secret's data; whatever in it is unusable, or for another host, counts as missing."""
        serving, following = _pair(data, "tls", host), _pair(data, "next", host)
        return cls(serving, following, data.get("ca.crt", b"") if serving else b"")

    def data(self) -> dict[str, bytes]:
        """As the Secret's data; empty values for what it no longer holds."""
        found = {"ca.crt": self.authorities}
        for name, pair in (("tls", self.serving), ("next", self.following)):
            found |= {f"{name}.crt": pair.chain if pair else b"", f"{name}.key": pair.key if pair else b""}
        return found


def make(host: str, now: datetime, lifetime: timedelta) -> Pair:
    """A certificate for `host`, a DNS name, and an authority of its own, valid until `lifetime` after `now`."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # One name each, never twice the same: a verifier that knows several tells them by it.
    name = _name(f"leasehold-injector {now:%Y-%m-%dT%H:%M:%S.%f}")
    common = x509.CertificateBuilder().not_valid_before(now - SKEW).not_valid_after(now + lifetime)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        common.subject_name(name)
        .issuer_name(name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    serving = (
        common.subject_name(_name("leasehold-injector"))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = serving.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    return Pair(chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def step(kept: Kept, believed: bytes, host: str, now: datetime, lifetime: timedelta) -> Kept:
    """What the Secret is to hold; the same when nothing is to be done. `believed`: the configuration's authorities."""
    if kept.following is not None and not kept.following.valid(now):
        kept = replace(kept, following=None)  # too late, or made by a clock that was wrong
    if kept.serving is None:
        first = make(host, now, lifetime)
        return Kept(first, None, _living(believed, [first], now))  # other replicas may serve what was there before
    if kept.following is None and kept.serving.due(now):
        following = make(host, now, lifetime)
        return replace(kept, following=following, authorities=_joined(kept.authorities, following.authority))
    if kept.following is not None and _may_be_served(kept, believed, now):
        return replace(kept, serving=kept.following, following=None)
    pairs = [pair for pair in (kept.serving, kept.following) if pair]
    return replace(kept, authorities=_living(kept.authorities, pairs, now))


def _may_be_served(kept: Kept, believed: bytes, now: datetime) -> bool:
    assert kept.serving is not None
    assert kept.following is not None
    if kept.following.authority not in believed:
        return False
    settled = now >= kept.following.made + timedelta(seconds=SETTLE)
    return settled or not kept.serving.valid(now)  # nobody believes what is served: nothing can get worse


def _living(authorities: bytes, pairs: Sequence[Pair], now: datetime) -> bytes:
    """The authorities of these pairs, and of the others those that have not expired."""
    needed = [pair.authority for pair in pairs]
    living = [each for each in _certificates(authorities) if each in needed or _lives(each, now)]
    return _joined(b"".join(living), *needed)


def _lives(authority: bytes, now: datetime) -> bool:
    try:
        return _load(authority).not_valid_after_utc > now
    except ValueError:  # somebody wrote it there, and nobody can believe it
        return False


def _joined(authorities: bytes, *more: bytes) -> bytes:
    missing = [each for each in more if each not in authorities]
    return authorities + b"".join(missing)


def _pair(data: Mapping[str, bytes], name: str, host: str) -> Pair | None:
    pair = Pair(data.get(f"{name}.crt", b""), data.get(f"{name}.key", b""))
    try:
        certificate, key = _load(pair.chain), load_pem_private_key(pair.key, None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        _load(pair.authority)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound):  # TypeError: the key is encrypted
        return None
    fits = host in names.get_values_for_type(x509.DNSName) and len(_certificates(pair.chain)) == 2
    return pair if fits and certificate.public_key() == key.public_key() else None


def _certificates(pem: bytes) -> list[bytes]:
    return [each.strip() + b"\n" for each in _PEM.findall(pem)]


def _load(pem: bytes) -> x509.Certificate:
    """The first certificate in it. Raises ValueError."""
    return x509.load_pem_x509_certificate(pem)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What the key is for: strict verifiers, such as Python's from 3.13 on, want it said."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
