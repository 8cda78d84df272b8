"""Who holds a lock by etcd's record, and what came of those who did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.operator.plan.observed import Departed, StoredLock
from leasehold.operator.plan.situation import Event, Memory, Situation
from leasehold.operator.plan.status import number, recorded_times, stamp

MOST_DEPARTED: Final = 32
"""Candidates that went, kept by a replica that is not the active one."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The holders in order of token, and who waits."""

    holders: tuple[Entry, ...]
    waiters: tuple[Entry, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        """The holders' fencing tokens."""
        return tuple(entry.create_revision for entry in self.holders)


def holding(stored: StoredLock, before: Iterable[int]) -> Holding:
    """The first `capacity` of the queue.

    Under a suspended lock nobody *becomes* a holder; but whoever held before does so until its key has gone, and a
    candidate that is not ours knows nothing of suspension.
    """
    spec = stored.spec.spec if stored.spec and stored.spec.spec else Spec()
    first = stored.queue[: spec.capacity]
    if spec.suspend:
        kept = set(before)
        first = tuple(one for one in first if one.record.foreign or one.create_revision in kept)
    keys = {one.key for one in first}  # not by token: keys of others that one transaction wrote share theirs
    return Holding(tuple(first), tuple(one for one in stored.queue if one.key not in keys))


def tokens_before(situation: Situation) -> tuple[int, ...]:
    """The holders' tokens at the last look, or, after a start, by the status on record."""
    if situation.memory.tokens is not None:
        return situation.memory.tokens
    status = situation.lock.status if situation.lock else {}
    return tuple(sorted(recorded_times(status)))


def learned(memory: Memory, situation: Situation, now: Holding) -> Memory:
    """The memory with who holds now, since when, and how often the first of them has changed."""
    status = situation.lock.status if situation.lock else {}
    times = {**recorded_times(status), **memory.first_seen}
    here = stamp(situation.wall)
    first = now.tokens[0] if now.tokens else 0
    return replace(
        memory,
        tokens=now.tokens,
        departed=(),
        leaving=_leaving(situation, now),
        first_seen={token: times.get(token, here) for token in now.tokens},
        transitions=_transitions(memory, status, first),
        highest=first or on_record(memory, status),
        evicted=memory.evicted & {e.create_revision for e in situation.stored.queue},
    )


def on_record(memory: Memory, status: Mapping[str, Any]) -> int:
    """The token on record: the status alone knows it where another replica may have been the active one since."""
    return memory.highest if memory.tokens is not None else number(status, "fencingToken")


def _transitions(memory: Memory, status: Mapping[str, Any], first: int) -> int:
    """How often the first holder has changed: by the memory, and where that may be out of date by the status too."""
    count = memory.transitions + (1 if first and first != memory.highest else 0)
    if memory.tokens is not None:
        return count
    token = number(status, "fencingToken")
    return max(count, number(status, "transitionCount") + (1 if first and first != token else 0))


def _leaving(situation: Situation, now: Holding) -> frozenset[int]:
    """Whoever held, and is to hold no longer since the capacity was lowered, until the key goes."""
    held = {*tokens_before(situation), *situation.memory.leaving}
    return frozenset(one.create_revision for one in now.waiters if one.create_revision in held)


def changes(situation: Situation, before: tuple[int, ...], now: Holding) -> tuple[Event, ...]:
    """The events of whoever held and is gone, and of whoever holds and did not."""
    departed = {one.entry.create_revision: one for one in (*situation.memory.departed, *situation.departed)}
    held = {*before, *situation.memory.leaving}
    events = [_farewell(one, situation, now) for token, one in departed.items() if token in held]
    for entry in now.holders if _knows_all(situation, before) else ():
        if entry.create_revision not in held and entry.create_revision not in situation.memory.first_seen:
            text = f"{entry.record.identity} holds the lock with fencing token {entry.create_revision}"
            events.append(Event("LockAcquired", text))
    return tuple(events)


def _knows_all(situation: Situation, before: tuple[int, ...]) -> bool:
    """Whether whoever is not among those before is new: a status that this process did not write may hold a part."""
    status = situation.lock.status if situation.lock else {}
    return situation.memory.tokens is not None or number(status, "holderCount") <= len(before)


def remembering(situation: Situation, memory: Memory) -> Memory:
    """The memory of a replica that is not the active one: who went meanwhile, should it have to tell."""
    return replace(keeping(situation, memory), tokens=None, told=memory.told - {"EtcdUnreachable"})


def keeping(situation: Situation, memory: Memory) -> Memory:
    """The memory with those who went, to tell of them later."""
    return replace(memory, departed=(*memory.departed, *situation.departed)[-MOST_DEPARTED:])


def _farewell(departed: Departed, situation: Situation, now: Holding) -> Event:
    entry = departed.entry
    token = entry.create_revision
    who = f"{entry.record.identity} (fencing token {token})"
    if token in situation.memory.evicted:
        return Event("HolderRevoked", f"the lock was taken from {who}", warning=True)
    if departed.released is False:
        return Event("LockExpired", f"the lease of {who} has ended", warning=True)
    how = _handed_over(entry, situation, now)
    if how:
        return Event("HandedOver", f"{who} handed the lock over{how}")
    unless = "" if departed.released else ", unless its lease has ended"  # etcd was asked too late to tell
    return Event("LockReleased", f"{who} gave the lock up{unless}")


def _handed_over(entry: Entry, situation: Situation, now: Holding) -> str:
    """To whom, or why, a holder that went of its own accord handed over; "" if it did not.

    One that hands over to the candidate right behind it has nobody to pass by, and writes no `yieldTo`: that it did
    is told by who holds now.
    """
    record = entry.record
    spec = situation.stored.spec.spec if situation.stored.spec and situation.stored.spec.spec else Spec()
    if record.yield_to:
        return f" to {record.yield_to}"
    if entry.create_revision <= spec.handover_up_to_token:
        return ", as spec.handoverUpToToken asks"
    successor = next((one.record for one in now.holders if one.create_revision > entry.create_revision), None)
    if successor is None:
        return ""
    if spec.preferred_holder:
        chosen = successor.identity == spec.preferred_holder != record.identity
        return f" to {successor.identity}, as spec.preferredHolder asks" if chosen else ""
    if spec.preferred_group and successor.group == spec.preferred_group != record.group:
        return f" to {successor.identity}, of the current revision"
    return ""
