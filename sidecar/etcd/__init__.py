"""A thin asynchronous client of etcd's v3 API; the only part of Leasehold that knows gRPC.

Its parts, each using only those before it: `errors`, `tls`, `addresses`, `endpoints`; `channel` and `connection`, one
connection to one member; `dialer`, which member; `auth`; `session`, what every call needs; `model` and `codec`, what is
asked and answered; `lease` and `watch`, the streams; `client`, the whole.
"""

from sidecar.etcd.client import EtcdClient
from sidecar.etcd.errors import BadSetting, Code, EtcdError, NotSent, OutcomeUnknown, Refused, WatchLost
from sidecar.etcd.model import (
    Compare,
    Delete,
    DeleteAnswer,
    Get,
    GrantAnswer,
    KeepAliveAnswer,
    Key,
    KeyValue,
    Op,
    Put,
    PutAnswer,
    RangeAnswer,
    RevokeAnswer,
    SortBy,
    StatusAnswer,
    TimeToLiveAnswer,
    TxnAnswer,
    WatchBatch,
    WatchEvent,
)
from sidecar.etcd.tls import TLSFiles
from sidecar.etcd.watch import Watcher

__all__ = [
    "BadSetting",
    "Code",
    "Compare",
    "Delete",
    "DeleteAnswer",
    "EtcdClient",
    "EtcdError",
    "Get",
    "GrantAnswer",
    "KeepAliveAnswer",
    "Key",
    "KeyValue",
    "NotSent",
    "Op",
    "OutcomeUnknown",
    "Put",
    "PutAnswer",
    "RangeAnswer",
    "Refused",
    "RevokeAnswer",
    "SortBy",
    "StatusAnswer",
    "TLSFiles",
    "TimeToLiveAnswer",
    "TxnAnswer",
    "WatchBatch",
    "WatchEvent",
    "WatchLost",
    "Watcher",
]
