"""TLS towards etcd: certificate files into an `ssl.SSLContext`, and failed handshakes into sentences.

The files are read again for every new connection, so rotated certificates take effect without a restart. An open
connection is not affected: TLS checks certificates only when a connection is made.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from leasehold.base.records import dataclass
from leasehold.etcd.errors import BadSetting


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """PEM files: the authorities that etcd's certificate must come from (the system's, when None), and our own
    certificate with its key, for an etcd that demands one. The certificate file may hold the key as well.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def client_context(files: TLSFiles) -> ssl.SSLContext:
    """Read the files. Raises BadSetting, with one sentence that names the file, when they cannot be used."""
    # Not ssl.create_default_context: since Python 3.13 it refuses authorities that etcd's own tools accept.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    # An intermediate authority may be all that the CA file holds: cert-manager writes it so, and Go accepts it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    load_authorities(context, files.ca)
    load_identity(context, files)
    return context


def load_authorities(context: ssl.SSLContext, ca: Path | None) -> None:
    """Trust the authorities in this file, or the system's. Raises BadSetting."""
    if ca is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise BadSetting(
            f"the CA file {ca} holds no PEM certificate ({_openssl(error)}); name the authority's certificate file"
        ) from error
    except OSError as error:
        raise BadSetting(f"the CA file {ca} cannot be read: {error.strerror}") from error


def load_identity(context: ssl.SSLContext, files: TLSFiles) -> None:
    """Present the certificate of these files, if there is one. Raises BadSetting."""
    if files.cert is None:
        if files.key is not None:
            raise BadSetting(f"the key file {files.key} was given without a certificate file: give both, or neither")
        return
    for name, path in (("certificate", files.cert), ("key", files.key)):
        if path is not None:
            _check_readable(name, path)
    key = files.key or files.cert
    try:
        # Without a callback OpenSSL asks for the passphrase on the terminal.
        context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    except _Encrypted as error:
        raise BadSetting(f"the private key in {key} is encrypted; use one without a passphrase") from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadSetting(
                f"the private key in {key} belongs to another certificate than {files.cert} holds; give a matching pair"
            ) from error
        raise BadSetting(
            f"{files.cert} and {key} do not hold a PEM certificate and its PEM private key ({_openssl(error)})"
        ) from error


class _Encrypted(Exception):
    """The private key asks for a passphrase."""


def _no_passphrase() -> str:
    raise _Encrypted


def _check_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise BadSetting(f"the {name} file {path} cannot be read: {error.strerror}") from error


def handshake_failure(error: Exception) -> str:
    """Why a TLS handshake failed, in words that say what to mend."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message.rstrip('.')}"
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
        return "it does not speak TLS: is it an http:// endpoint?"
    if "CERTIFICATE_REQUIRED" in reason:
        return "it demands a client certificate"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return f"it did not accept our client certificate ({_openssl(error)})"
    return f"the TLS handshake failed ({_openssl(error)})"


def _openssl(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error) or type(error).__name__
