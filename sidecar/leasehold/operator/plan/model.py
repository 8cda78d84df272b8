"""The values that the plan reads and returns: what is stored in etcd, the situation of one Lock, and its plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from leasehold.lock.names import LockName
from leasehold.lock.record import Entry
from leasehold.lock.stored import StoredLock
from leasehold.operator.plan.resource import Lock

# --- what etcd holds ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndedCandidate:
    """A candidate whose key is gone.

    `released` is True if its lease was still alive afterwards, so the key was deleted: the candidate resigned, was
    skipped, was evicted, or somebody deleted the key by hand. It is False if the lease had expired and took the key
    with it, and None if neither is known. It only words a message; nothing is decided by it.
    """

    entry: Entry
    released: bool | None


@dataclass(frozen=True, slots=True)
class AbsentPod:
    """A pod of the lock's namespace that names the lock and is not in its queue.

    `code` and `message` say why. `until` is when that passes by itself, as Kubernetes writes a time, or empty.
    """

    name: str
    uid: str
    code: str
    message: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class EtcdState:
    """The state of etcd as a whole.

    `revision` is the mirror's; it falls if etcd was wiped or restored from a backup. `since` is when `reachable` last
    changed, in seconds of the monotonic clock. `error` is one sentence.
    """

    reachable: bool
    revision: int
    since: float
    error: str


# --- etcd operations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutSpec:
    """Write the spec key if its mod revision is still this one. 0: if the key does not exist."""

    value: bytes
    mod_revision: int


@dataclass(frozen=True, slots=True)
class DeleteSpec:
    """Delete the spec key if its mod revision is still this one."""

    mod_revision: int


@dataclass(frozen=True, slots=True)
class Evict:
    """Delete a candidate's key if it still belongs to that candidate. `cause` is one clause for the log."""

    entry: Entry
    cause: str


EtcdOperation = PutSpec | DeleteSpec | Evict

# --- what a plan is made from ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """The two token limits: holders up to `handover` hand over, candidates up to `revoke` are evicted; 0 for none."""

    handover: int = 0
    revoke: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What the operator remembers of a lock between two reconciles. A restart loses it; waiting makes up for that.

    About the resource and the declared spec:
    - `uid`: the resource's. If another resource takes the name, only what concerns etcd still counts.
    - `capacity`: the one declared in etcd at the last reconcile; None if the lock was not declared.
    - `raise_from`: from this instant on, a higher capacity may be written.
    - `longest_lease`: the longest lease, in seconds, that a candidate in the queue may have.
    - `rolled_back`: tokens from before etcd lost data may still be named by the resource.
    - `suspended`: the resource's `suspend` at the last reconcile; None if that is unknown.
    - `limits`: the token limits in force at the last reconcile, see `token_limits`; None if they are unknown.

    About holders:
    - `tokens`: the holders' at the last reconcile; None unless this replica was the active one then.
    - `first_seen`: when each of them was first seen to hold. `token_on_record`: the last first holder's token.
    - `transitions`: how often the first holder has changed.
    - `terms`: the last ones that ended, as the status lists them.
    - `ended`: candidates that are gone and that no event has reported yet.
    - `leaving`: tokens of holders that must stop because the capacity was lowered, while their keys exist.
    - `evicted`: tokens that this replica revoked.
    - `releasing`: tokens of the holders that the release waits for; it began at `releasing_since`.

    About reports:
    - `reported_outage`: the outage of etcd that the status reports: when it began, and the message.
    - `reported`: the reasons that an event has reported, for as long as they last.
    - `nobody_since`: since when nobody has been in the queue, though pods name the lock.
    """

    uid: str = ""
    capacity: int | None = None
    raise_from: float = 0.0
    longest_lease: int = 0
    rolled_back: bool = False
    suspended: bool | None = None
    limits: Limits | None = None
    tokens: tuple[int, ...] | None = None
    first_seen: Mapping[int, str] = field(default_factory=dict)
    token_on_record: int = 0
    transitions: int = 0
    terms: tuple[Mapping[str, Any], ...] = ()
    ended: tuple[EndedCandidate, ...] = ()
    leaving: frozenset[int] = frozenset()
    evicted: frozenset[int] = frozenset()
    releasing: frozenset[int] | None = None
    releasing_since: float = 0.0
    reported_outage: tuple[float, str] | None = None
    reported: frozenset[str] = frozenset()
    nobody_since: float | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known of one lock. `lock` None: it is proven that the resource does not exist any more.

    `ended` are the candidates that are gone since the last reconcile. `ended_pods` are the UIDs of candidates' pods
    that have certainly ended. `labelled` are the pods (namespace, name, UID) that carry the leader's label for this
    lock. `absent` are the pods that name it and are not in its queue. `cluster` is the UID of the namespace
    kube-system, and `own_lock` the one that the operator's replicas elect with. `now` is in seconds of a monotonic
    clock, `wall` the time of day in UTC.
    """

    lock: Lock | None
    stored: StoredLock
    ended: tuple[EndedCandidate, ...]
    etcd: EtcdState
    preferred_group: str
    ended_pods: frozenset[str]
    labelled: frozenset[tuple[str, str, str]]
    active: bool
    cluster: str
    own_lock: LockName
    root: str
    memory: Memory
    now: float
    wall: datetime
    absent: tuple[AbsentPod, ...] = ()


# --- the plan -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Put the leader's label on a pod, or take it off."""

    namespace: str
    name: str
    uid: str
    on: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An event to emit on the Lock, once.

    `key` is the same whoever emits it, and sorts as the changes happened; "" for an event that may come again.
    """

    reason: str
    message: str
    warning: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class ReconcilePlan:
    """What to do: etcd's `writes` in order, each only after all before it succeeded; then the rest.

    `finalizers` and `status` are the complete desired values, None if they stay as they are. `again_in` is in seconds:
    reconcile again then even if nothing has happened.
    """

    writes: tuple[EtcdOperation, ...] = ()
    finalizers: tuple[str, ...] | None = None
    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    labels: tuple[LabelPod, ...] = ()
    again_in: float | None = None
    memory: Memory = Memory()
