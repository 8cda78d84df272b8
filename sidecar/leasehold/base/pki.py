"""Parts of X.509 that both makers of certificates need: the injector for its webhook, the operator for namespaces."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

CLOCK_SKEW: Final = timedelta(minutes=5)
"""Verifiers' clocks may be this much behind: certificates become valid so long before they are made."""
RENEW_AT: Final = 2 / 3
"""Of its validity: then a certificate's successor is due."""
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def split_pem(pem: bytes) -> list[bytes]:
    """The certificates in it, each as PEM with a line end."""
    return [each.strip() + b"\n" for each in _PEM.findall(pem)]


def named(common_name: str) -> x509.Name:
    """A subject or issuer with this common name and nothing else. Raises ValueError above 64 characters."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name; "" if it has none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """The key's usage: strict verifiers, such as Python's from 3.13 on, require it."""
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
