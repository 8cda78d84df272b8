"""The injector's own certificates: what the Secret holds, and the next step of a rotation. Pure; time is an argument.

Each serving certificate has its own CA, whose key is thrown away after one signature: nobody can sign another
certificate with it. The Secret, which all replicas share, holds

    tls.crt, tls.key      the certificate in use
    next.crt, next.key    the next one
    ca.crt                the CAs of both, and of earlier certificates that have not expired

and the webhook's configuration holds the same CAs. A renewal fails no request: the next certificate is served only once
its CA has been in the configuration for SETTLE_SECONDS, in which every API server learns of it; and the previous CA
stays there, because the replicas switch to a new certificate one after the other.

The time is the API server's, because the API server verifies the certificates: a replica's clock may be days off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from leasehold.base.pki import CLOCK_SKEW, RENEW_AT, key_usage, named, split_pem

SETTLE_SECONDS: Final = 15.0
"""From the time a CA is in the webhook's configuration until its certificate is served."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A serving certificate with its CA's certificate, and its key, in PEM."""

    chain: bytes
    key: bytes

    @property
    def authority(self) -> bytes:
        """The certificate of its CA."""
        return split_pem(self.chain)[-1]

    @property
    def made(self) -> datetime:
        """When it was made."""
        return _load(self.chain).not_valid_before_utc + CLOCK_SKEW

    @property
    def expires(self) -> datetime:
        """The end of its validity."""
        return _load(self.chain).not_valid_after_utc

    def valid(self, now: datetime) -> bool:
        """Whether it is valid at this time."""
        return self.made - CLOCK_SKEW <= now < self.expires

    @property
    def renewal(self) -> datetime:
        """When the next one is due."""
        return self.made + (self.expires - self.made) * RENEW_AT

    def due(self, now: datetime) -> bool:
        """Whether the next one is due, or overdue."""
        return not self.valid(now) or now >= self.renewal


@dataclass(frozen=True, slots=True)
class Kept:
    """The Secret's contents; empty at first."""

    serving: Pair | None = None
    following: Pair | None = None
    authorities: bytes = b""

    @classmethod
    def read(cls, data: Mapping[str, bytes], host: str) -> Kept:
        """From the Secret's data. A pair that is unusable, or for another host, counts as missing."""
        serving, following = _pair(data, "tls", host), _pair(data, "next", host)
        return cls(serving, following, data.get("ca.crt", b"") if serving else b"")

    def data(self) -> dict[str, bytes]:
        """The Secret's data, with empty values for fields to remove."""
        found = {"ca.crt": self.authorities}
        for name, pair in (("tls", self.serving), ("next", self.following)):
            found |= {f"{name}.crt": pair.chain if pair else b"", f"{name}.key": pair.key if pair else b""}
        return found


def make(host: str, now: datetime, lifetime: timedelta) -> Pair:
    """A certificate for the DNS name `host`, with its own CA, valid until `lifetime` after `now`."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A unique name for each CA: verifiers that know several tell them apart by name.
    name = named(f"leasehold-injector {now:%Y-%m-%dT%H:%M:%S.%f}")
    common = x509.CertificateBuilder().not_valid_before(now - CLOCK_SKEW).not_valid_after(now + lifetime)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        common.subject_name(name)
        .issuer_name(name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    serving = (
        common.subject_name(named("leasehold-injector"))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = serving.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    return Pair(chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def step(kept: Kept, trusted: bytes, host: str, now: datetime, lifetime: timedelta) -> Kept:
    """What the Secret is to hold next, `kept` if nothing is due. `trusted`: the CAs in the webhook's configuration."""
    if kept.following is not None and not kept.following.valid(now):
        kept = replace(kept, following=None)  # expired, or made by a wrong clock
    if kept.serving is None:
        first = make(host, now, lifetime)
        return Kept(first, None, _unexpired(trusted, [first], now))  # other replicas may still serve the previous one
    if kept.following is None and kept.serving.due(now):
        following = make(host, now, lifetime)
        return replace(kept, following=following, authorities=_joined(kept.authorities, following.authority))
    if kept.following is not None and _may_be_served(kept, trusted, now):
        return replace(kept, serving=kept.following, following=None)
    pairs = [pair for pair in (kept.serving, kept.following) if pair]
    return replace(kept, authorities=_unexpired(kept.authorities, pairs, now))


def _may_be_served(kept: Kept, trusted: bytes, now: datetime) -> bool:
    assert kept.serving is not None
    assert kept.following is not None
    if kept.following.authority not in trusted:
        return False
    settled = now >= kept.following.made + timedelta(seconds=SETTLE_SECONDS)
    return settled or not kept.serving.valid(now)  # the certificate in use is invalid: switching cannot make it worse


def _unexpired(authorities: bytes, pairs: Sequence[Pair], now: datetime) -> bytes:
    """The CAs of these pairs, and all others that have not expired."""
    needed = [pair.authority for pair in pairs]
    living = [each for each in split_pem(authorities) if each in needed or _is_unexpired(each, now)]
    return _joined(b"".join(living), *needed)


def _is_unexpired(authority: bytes, now: datetime) -> bool:
    try:
        return _load(authority).not_valid_after_utc > now
    except ValueError:  # somebody wrote something else there
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
    fits = host in names.get_values_for_type(x509.DNSName) and len(split_pem(pair.chain)) == 2
    return pair if fits and certificate.public_key() == key.public_key() else None


def _load(pem: bytes) -> x509.Certificate:
    """The first certificate in it. Raises ValueError."""
    return x509.load_pem_x509_certificate(pem)
