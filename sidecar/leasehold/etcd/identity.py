"""Who we are to etcd by our certificate: its common name, and whether its files have changed.

etcd takes the common name for the user, once, when a connection is made. So a connection keeps the name that its
certificate had, whatever the files hold by now.
"""

from __future__ import annotations

import binascii
import ssl
from collections.abc import Iterator
from typing import Final

from leasehold.base.records import dataclass
from leasehold.etcd.errors import BadSetting
from leasehold.etcd.tls import TLSFiles, client_context

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_COMMON_NAME: Final = bytes([0x55, 0x04, 0x03])
_VERSION_TAG: Final = 0xA0
_UTF16_TAG: Final = 0x1E
_SUBJECT: Final = 4
"""Which field of a certificate is its subject: after the serial number, algorithm, issuer and validity."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the files of a certificate and its key held. All of it is empty without a certificate."""

    digest: bytes = b""
    common_name: str = ""


def read_identity(files: TLSFiles) -> Identity:
    """Read the files. Raises BadSetting if one of them cannot be read. What is in them is not checked."""
    if files.cert is None:
        return Identity()
    contents, content = [], b""
    for path in (files.key, files.cert):
        if path is None:
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadSetting(f"the certificate's file {path} cannot be read: {error.strerror}") from error
        contents.append(content)
    # Python's own hash of 64 bits, with a secret of this process in it; hashlib would take 0.6 MiB.
    return Identity(hash(tuple(contents)).to_bytes(8, "big", signed=True), common_name(content))


def load(files: TLSFiles) -> tuple[ssl.SSLContext, Identity]:
    """Read all the files for a new connection, and who we are on it. Raises BadSetting, and OSError.

    Files that are replaced meanwhile count as those before: then they differ from this identity, and are read again.
    """
    identity = read_identity(files)
    return client_context(files), identity


def common_name(pem: bytes) -> str:
    """The common name of the first certificate in a PEM file, as etcd reads it; empty if there is none."""
    try:
        body = pem[pem.index(_BEGIN) + len(_BEGIN) :]
        certificate = _only(_only(binascii.a2b_base64(body[: body.index(_END)])))
        subject = [content for tag, content in _parts(certificate) if tag != _VERSION_TAG][_SUBJECT]
        return _last_common_name(subject)
    except (IndexError, ValueError):  # OpenSSL tells what is wrong with the file when it is used
        return ""


def _last_common_name(subject: bytes) -> str:
    """A subject may have several; Go's library, and so etcd, takes the last."""
    found = ""
    for _, names in _parts(subject):
        for _, attribute in _parts(names):
            (_, kind), (tag, value) = _parts(attribute)
            if kind == _COMMON_NAME:
                found = value.decode("utf-16-be" if tag == _UTF16_TAG else "utf-8", errors="replace")
    return found


def _only(der: bytes) -> bytes:
    """The content of the first part, which holds all others that matter."""
    for _, content in _parts(der):
        return content
    raise IndexError


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and content of each DER value in a row (ITU-T X.690). Raises IndexError where the data is cut off."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(der[at : at + count], "big"), at + count
        if at + length > len(der):
            raise IndexError
        yield tag, der[at : at + length]
        at += length
