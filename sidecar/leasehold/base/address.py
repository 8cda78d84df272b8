"""Addresses: where a server listens, and how a host stands before a port, which are loopback."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from leasehold.base.records import dataclass


def bracketed(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is loopback."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: an IP address without brackets or a host name, "" for all addresses; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket's absolute path."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"
