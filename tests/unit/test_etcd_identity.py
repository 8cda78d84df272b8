"""The common name of a certificate, as etcd reads it: the name of the user who connects."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from leasehold.etcd.identity import common_name

KEY = ec.generate_private_key(ec.SECP256R1())
DAY = timedelta(days=1)


def certificate(*names: x509.NameAttribute[str]) -> bytes:
    """A certificate in PEM whose subject has these attributes, in this order."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority")])
    made = x509.CertificateBuilder(issuer, x509.Name(names), KEY.public_key(), 7, start, start + DAY)
    return made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def cn(text: str, kind: _ASN1Type = _ASN1Type.UTF8String) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text, _type=kind)


UNIT = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a unit " * 9)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((cn("leasehold:ns/shop"),), "leasehold:ns/shop"),
        ((UNIT, cn("größer"), UNIT), "größer"),
        ((cn("plain", _ASN1Type.PrintableString),), "plain"),
        ((cn("first"), cn("last")), "last"),
        ((UNIT,), ""),
        ((), ""),
    ],
)
def test_the_name_as_etcd_reads_it(names: tuple[x509.NameAttribute[str], ...], expected: str) -> None:
    other = certificate(cn("the issuer's own"))
    assert common_name(b"text before it\n" + certificate(*names) + other) == expected


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_no_file_breaks_it(noise: bytes, cut: int) -> None:
    """What is wrong with a file is told when it is used; here it has no name."""
    whole = certificate(cn("x" * 60))
    for content in (noise, whole[:cut], whole[:cut] + noise + whole[cut:]):
        assert isinstance(common_name(content), str)
