"""What the plan is made from, and what it says. Plain values; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from leasehold.lock.names import LockName
from leasehold.operator.plan.observed import Departed, EtcdState, StoredLock
from leasehold.operator.plan.orders import DeleteSpec, Evict, PutSpec
from leasehold.operator.plan.resource import Lock


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a lock between two looks; lost with the process, and then made up for by waiting.

    `uid` is the resource's: of another one of the same name only what is in etcd counts. `capacity` is the one that
    etcd held at the last look (None: the lock was not declared), and `raise_from` the instant from which a higher one
    may be written. `longest` is the longest lease, in seconds, that a candidate may stand with.

    `tokens` are the holders' at the last look, None unless this replica was the active one then. `first_seen` says when
    each of them was first seen to hold, `highest` is the token on record. `departed` went, and nobody told of them yet.
    `leaving` are those who held until the capacity was lowered, and whose keys stand still. `evicted` are tokens that
    were revoked here. `releasing` are those that had to go when the lock was first seen to be released, at
    `releasing_since`.

    `rolled_back`: tokens of before may still be meant. `outage` is when the outage of etcd began of which the status
    has told, with what it said. `told` are the reasons of which an event has told, while they last.
    """

    uid: str = ""
    capacity: int | None = None
    raise_from: float = 0.0
    longest: int = 0
    tokens: tuple[int, ...] | None = None
    first_seen: Mapping[int, str] = field(default_factory=dict)
    transitions: int = 0
    highest: int = 0
    departed: tuple[Departed, ...] = ()
    leaving: frozenset[int] = frozenset()
    evicted: frozenset[int] = frozenset()
    releasing: frozenset[int] | None = None
    releasing_since: float = 0.0
    rolled_back: bool = False
    outage: tuple[float, str] | None = None
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known of one lock. `lock` None: there is no such resource any more, for sure.

    `ended_pods` are the UIDs of candidates' pods that have ended for sure, `labelled` the pods (namespace, name, UID)
    that carry the leader's label for this lock. `cluster` is the UID of the namespace kube-system, `own` the lock that
    the operator's own replicas elect with. `now` is in seconds of a monotonic clock, `wall` the time of day in UTC.
    """

    lock: Lock | None
    stored: StoredLock
    departed: tuple[Departed, ...]
    store: EtcdState
    preferred_group: str
    ended_pods: frozenset[str]
    labelled: frozenset[tuple[str, str, str]]
    active: bool
    cluster: str
    own: LockName
    root: str
    memory: Memory
    now: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class LabelPod:
    """Put the leader's label on a pod, or take it off."""

    namespace: str
    name: str
    uid: str
    on: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An event to emit on the Lock, once."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class ReconcilePlan:
    """What is to be done: etcd's `writes` in order, each only when all before it were done; then the rest.

    `finalizers` and `status` are the whole wanted values, None for "as they are". `again_in` are seconds until the lock
    wants a look without any event.
    """

    writes: tuple[PutSpec | DeleteSpec | Evict, ...] = ()
    finalizers: tuple[str, ...] | None = None
    status: Mapping[str, Any] | None = None
    events: tuple[Event, ...] = ()
    labels: tuple[LabelPod, ...] = ()
    again_in: float | None = None
    memory: Memory = Memory()
