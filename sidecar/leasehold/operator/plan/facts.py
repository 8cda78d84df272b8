"""What follows from a situation, computed once and read by every rule of the plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from leasehold.lock.record import Entry
from leasehold.lock.spec import DEFAULT_TTL, Spec
from leasehold.lock.stored import StoredLock
from leasehold.operator.plan.model import Limits, Memory, Situation
from leasehold.operator.plan.resource import Lock
from leasehold.operator.plan.status import RecordedStatus, timestamp
from leasehold.operator.plan.token_limits import highest_limit, is_rolled_back, limits_in_force, token_on_record


@dataclass(frozen=True, slots=True)
class Holding:
    """The holders in order of token, and the waiters."""

    holders: tuple[Entry, ...]
    waiters: tuple[Entry, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        """The holders' fencing tokens."""
        return tuple(entry.create_revision for entry in self.holders)


@dataclass(frozen=True, slots=True)
class Facts:
    """One situation and what follows from it.

    - `situation`: its memory is the one of this resource, see `_memory_of`.
    - `recorded`: the status on the resource. `timestamp`: the time of day for a new one.
    - `declared`: the spec in etcd; None if there is none or it cannot be decoded.
    - `longest_lease`: the longest lease, in seconds, that a candidate may have. It keeps the one it joined with.
    - `previous_tokens`: the holders' at the last reconcile, or after a restart those in the status.
    - `token_on_record`: the last known token of a first holder.
    - `rolled_back`, `limits_ahead`: why the token limits are ignored, see `token_limits`.
    - `limits`: the token limits to obey.
    """

    situation: Situation
    recorded: RecordedStatus
    timestamp: str
    declared: Spec | None
    longest_lease: int
    previous_tokens: tuple[int, ...]
    holding: Holding
    token_on_record: int
    rolled_back: bool
    limits_ahead: bool
    limits: Limits


def gather(situation: Situation) -> Facts:
    """Compute the facts."""
    lock = situation.lock
    if lock is not None:
        situation = replace(situation, memory=_memory_of(lock, situation.memory))
    recorded = RecordedStatus.read(lock.status if lock else {})
    stored, memory = situation.stored, situation.memory
    declared = stored.spec.spec if stored.spec else None
    previous = memory.tokens if memory.tokens is not None else tuple(sorted(recorded.holder_times))
    rolled_back = lock is not None and is_rolled_back(lock, situation, recorded)
    return Facts(
        situation=situation,
        recorded=recorded,
        timestamp=timestamp(situation.wall),
        declared=declared,
        longest_lease=_longest_lease(situation, declared),
        previous_tokens=previous,
        holding=_holding(stored, declared or Spec(), previous),
        token_on_record=token_on_record(memory, recorded),
        rolled_back=rolled_back,
        limits_ahead=lock is not None and highest_limit(lock) > situation.etcd.revision,
        limits=limits_in_force(lock, situation, declared) if lock and not rolled_back else Limits(),
    )


def _memory_of(lock: Lock, memory: Memory) -> Memory:
    """The memory of this resource. Of another resource that had its name, only what concerns etcd is kept."""
    if memory.uid == lock.uid:
        return memory
    if not memory.uid:
        return replace(memory, uid=lock.uid)
    return Memory(
        uid=lock.uid, capacity=memory.capacity, raise_from=memory.raise_from, longest_lease=memory.longest_lease
    )


def _longest_lease(situation: Situation, declared: Spec | None) -> int:
    asked = situation.lock.spec.lease_duration if situation.lock else DEFAULT_TTL
    remembered = situation.memory.longest_lease if situation.stored.queue else 0
    return max(asked, (declared.ttl if declared else None) or 0, remembered)


def _holding(stored: StoredLock, spec: Spec, previous: Iterable[int]) -> Holding:
    """The first `capacity` candidates of the queue hold.

    While a lock is suspended, nobody *becomes* a holder. Those who held before still hold until their keys are gone,
    and a foreign candidate knows nothing of suspension.
    """
    first = stored.queue[: spec.capacity]
    if spec.suspend:
        kept = set(previous)
        first = tuple(one for one in first if one.record.foreign or one.create_revision in kept)
    keys = {one.key for one in first}  # not by token: foreign keys written in one transaction share theirs
    return Holding(tuple(first), tuple(one for one in stored.queue if one.key not in keys))
