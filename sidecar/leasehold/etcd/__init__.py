"""A thin asynchronous client of etcd's v3 API; the only part of Leasehold that knows gRPC.

Its parts, each using only those before it: `errors`, `tls`, `addresses`, `endpoints`; `channel` and `connection`, one
connection to one member; `dialer`, which member; `auth`; `session`, what every call needs; `model` and `codec`, what is
asked and answered; `lease` and `watch`, the streams; `client`, the whole.
"""

from leasehold.etcd.client import EtcdClient
from leasehold.etcd.errors import BadSetting, Code, EtcdError, NotSent, OutcomeUnknown, Refused, WatchLost
from leasehold.etcd.model import (
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
from leasehold.etcd.tls import TLSFiles
from leasehold.etcd.watch import Watcher

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
