"""Requests to etcd and its answers, as plain values.

Keys go in as text or bytes and come out as bytes; revisions and lease ids are integers, durations seconds. A range
without `end` is one key. Every answer has an `origin`: the header that etcd puts on each.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypedDict

from leasehold.base.records import KW_ONLY, dataclass

Key = str | bytes


class SortBy(Enum):
    """What a range is sorted by."""

    KEY = "key"
    CREATE = "create revision"


# --- requests --------------------------------------------------------------------------------------------------------


class RangeOptions(TypedDict, total=False):
    """The options of `Get`, for `EtcdClient.range`."""

    end: Key | None
    limit: int
    revision: int
    sort: SortBy | None
    keys_only: bool


@dataclass(frozen=True, slots=True)
class Get:
    """A linearizable read of a key, or of the keys from it up to `end`, in ascending order of `sort`."""

    key: Key
    _: KW_ONLY
    end: Key | None = None
    limit: int = 0
    revision: int = 0
    sort: SortBy | None = None
    keys_only: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key, attached to a lease unless that is 0."""

    key: Key
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key, or the keys from it up to `end`."""

    key: Key
    end: Key | None = None


Op = Get | Put | Delete
Relation = Literal["=", "!=", "<", ">"]
Subject = Literal["create", "mod"]


@dataclass(frozen=True, slots=True)
class Compare:
    """One condition of a transaction, best made by one of the class methods.

    With `end` it must hold for every key of the range. A key that does not exist has both revisions 0.
    """

    subject: Subject
    key: Key
    op: Relation
    revision: int
    end: Key | None = None

    @classmethod
    def create_revision(cls, key: Key, op: Relation, revision: int, *, end: Key | None = None) -> Compare:
        """Compare the revision that created the key: `=` 0 says that there must be none."""
        return cls("create", key, op, revision, end)

    @classmethod
    def mod_revision(cls, key: Key, op: Relation, revision: int, *, end: Key | None = None) -> Compare:
        """Compare the revision of the key's last write."""
        return cls("mod", key, op, revision, end)


# --- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """The header of an answer: the cluster and the member that gave it, that member's raft term, and the revision."""

    cluster: int
    member: int
    term: int
    revision: int


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as etcd has it; `version` counts its writes since it was created."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What every answer has."""

    origin: ResponseHeader


@dataclass(frozen=True, slots=True)
class RangeAnswer(Answered):
    """The keys found; `count` is how many the range has in all, `more` whether the limit cut some off."""

    kvs: tuple[KeyValue, ...]
    count: int
    more: bool

    @property
    def first(self) -> KeyValue | None:
        """The first key found, if any."""
        return self.kvs[0] if self.kvs else None


@dataclass(frozen=True, slots=True)
class PutAnswer(Answered):
    """A key was written."""


@dataclass(frozen=True, slots=True)
class DeleteAnswer(Answered):
    """How many keys were deleted."""

    deleted: int


@dataclass(frozen=True, slots=True)
class TxnAnswer(Answered):
    """Whether the comparisons held, and the answers to the operations of the branch that ran, in their order."""

    succeeded: bool
    answers: tuple[RangeAnswer | PutAnswer | DeleteAnswer, ...]


@dataclass(frozen=True, slots=True)
class GrantAnswer(Answered):
    """A fresh lease. etcd may give it more seconds than asked; `sent` is the instant before the request was sent."""

    lease: int
    ttl: int
    sent: float


@dataclass(frozen=True, slots=True)
class RevokeAnswer(Answered):
    """A lease and its keys are gone."""


@dataclass(frozen=True, slots=True)
class KeepAliveAnswer(Answered):
    """A renewed lease, or, with a `ttl` of 0 or less, one that is gone; `sent` as in GrantAnswer."""

    lease: int
    ttl: int
    sent: float


@dataclass(frozen=True, slots=True)
class TimeToLiveAnswer(Answered):
    """What is left of a lease, and what it was granted; a `ttl` of -1 says that there is no such lease."""

    lease: int
    ttl: int
    granted: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StatusAnswer(Answered):
    """A member's own state; `leader` is 0 when it knows none, `errors` its alarms.

    `size` is its store's in bytes, `quota` the most that it may have, 0 if it does not tell: before etcd 3.6.
    """

    version: str
    leader: int
    is_learner: bool
    errors: tuple[str, ...]
    size: int = 0
    quota: int = 0


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member as the cluster lists it; `urls` are those that it wants clients to use."""

    id: int
    name: str
    urls: tuple[str, ...]
    is_learner: bool


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A key was written, or `deleted`: then `kv` has only its name, and the deletion's revision as `mod_revision`."""

    deleted: bool
    kv: KeyValue


@dataclass(frozen=True, slots=True)
class WatchBatch(Answered):
    """What one watch saw, in the order of revisions; events of one revision are never split."""

    watch_id: int
    events: tuple[WatchEvent, ...]
