"""When a certificate ends. Pure.

The standard library tells it only of certificates that it trusts, and one that has ended is trusted no longer. Of a
certificate (RFC 5280, section 4.1) no more is read than the way to that one field.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_END: Final = "-----END CERTIFICATE-----"
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


def end_of_pem(text: str) -> datetime:
    """The end of the first certificate in PEM text. Raises ValueError if there is none."""
    start = text.find(_BEGIN)
    stop = text.find(_END, start)
    if start < 0 or stop < 0:
        raise ValueError("it holds no PEM certificate")
    return end_of_der(ssl.PEM_cert_to_DER_cert(text[start : stop + len(_END)]))


def end_of_der(certificate: bytes) -> datetime:
    """The end of a certificate's validity. Raises ValueError if this is no certificate."""
    try:
        inner = _enter(_enter(certificate))  # Certificate, TBSCertificate
        if inner[0] == _VERSION:
            inner = _skip(inner)
        for _ in ("serialNumber", "signature", "issuer"):
            inner = _skip(inner)
        return _time(_skip(_enter(inner)))  # Validity: notBefore, notAfter
    except (IndexError, UnicodeDecodeError):
        raise ValueError("it is not an X.509 certificate") from None


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def _enter(data: bytes) -> bytes:
    if data[0] != _SEQUENCE:
        raise ValueError("it is not an X.509 certificate")
    return _split(data)[0]


def _skip(data: bytes) -> bytes:
    return _split(data)[1]


def _time(data: bytes) -> datetime:
    text = _split(data)[0].decode("ascii")
    if data[0] == _UTC_TIME:  # two digits of a year from 1950 to 2049
        text = f"{'19' if text >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
