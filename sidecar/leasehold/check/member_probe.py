"""A member's certificate and clock, seen by a plain HTTPS request to its client port. Blocking: for a thread."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from leasehold.check.certificates import end_of_der
from leasehold.check.etcd_facts import Probe

_TIMEOUT_SECONDS: Final = 3.0
"""For each step; what a member does not answer in that time is left out."""


def probe(url: str, cert: Path | None, key: Path | None) -> Probe:
    """What can be seen; empty where nothing can. Never raises for what a server or a network does.

    `cert` and `key` are the files of our own certificate, for a member that demands one.
    """
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        return Probe()
    try:
        with socket.create_connection((parts.hostname, parts.port), _TIMEOUT_SECONDS) as raw:
            return _plain(raw, parts.netloc) if parts.scheme == "http" else _secured(raw, parts.hostname, cert, key)
    except (OSError, http.client.HTTPException, ValueError):
        return Probe()


def _secured(raw: socket.socket, host: str, cert: Path | None, key: Path | None) -> Probe:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing of ours is sent, and a certificate that has ended, or that nobody trusts, must be seen as well.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(cert, key or cert)
    with context.wrap_socket(raw, server_hostname=host) as secured:
        der = secured.getpeercert(binary_form=True)
        end = end_of_der(der) if der else None
        seen = Probe()
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            seen = _plain(secured, host)
        return Probe(seen.clock, seen.asked_at, end)


def _plain(connected: socket.socket, host: str) -> Probe:
    """The time in the answer to a request that every etcd answers to everybody."""
    connected.sendall(f"GET /version HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = http.client.HTTPResponse(connected)
    answer.begin()
    date = answer.getheader("Date")
    answer.close()
    return Probe(parsedate_to_datetime(date), datetime.now(UTC)) if date else Probe()
