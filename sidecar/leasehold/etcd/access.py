"""How etcd is reached, for whoever asks each member for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from leasehold.etcd.client import EtcdClient


class Access(NamedTuple):
    """`cert` and `key` are the files of our own certificate, if etcd demands one."""

    endpoints: Sequence[str]
    connect: Callable[[Sequence[str]], EtcdClient]
    """Makes a client for these endpoints, which its caller closes."""
    cert: Path | None = None
    key: Path | None = None
