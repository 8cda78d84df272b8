"""From settings to an etcd client, for every command that speaks to etcd."""

from __future__ import annotations

import random
from typing import TypeVar

from leasehold.base import clock
from leasehold.base.config_error import ConfigError
from leasehold.base.records import replace
from leasehold.etcd.access import Access
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import BadSetting
from leasehold.etcd.tls import TLSFiles
from leasehold.settings.etcd import EtcdConfig

C = TypeVar("C", bound=EtcdClient)


def client_for(etcd: EtcdConfig) -> EtcdClient:
    """A client that is not connected yet and tries a random endpoint first; the caller closes it.

    Raises ConfigError.
    """
    return open_client(EtcdClient, etcd)


def access(etcd: EtcdConfig) -> Access:
    """How it is reached; what connects makes such clients for other endpoints, with the rest of these settings."""
    return Access(
        etcd.endpoints,
        lambda endpoints: client_for(replace(etcd, endpoints=tuple(endpoints))),
        etcd.cert,
        etcd.key,
    )


def open_client(kind: type[C], etcd: EtcdConfig) -> C:
    """The same, of a class of its own."""
    first = random.randrange(len(etcd.endpoints))  # else all sidecars would be on the first member
    endpoints = etcd.endpoints[first:] + etcd.endpoints[:first]
    tls = TLSFiles(etcd.ca, etcd.cert, etcd.key) if etcd.tls else None
    try:
        return kind(endpoints, clock=clock.now, tls=tls, user=etcd.user, password_file=etcd.password_file)
    except BadSetting as error:
        raise ConfigError([str(error)]) from None
