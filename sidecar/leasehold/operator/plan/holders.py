"""What the operator remembers of holders, and the events about new and ended holders. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from leasehold.lock.record import Entry
from leasehold.operator.plan.endings import ended_holders, ending_of
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import EndedCandidate, Event, Memory

MAX_ENDED_KEPT: Final = 32
"""Ended candidates that a replica remembers while it cannot report them."""

# --- the memory -----------------------------------------------------------------------------------------------------


def remember_holders(memory: Memory, facts: Facts) -> Memory:
    """The memory with today's holders, since when they hold, and how often the first of them has changed."""
    tokens, queue = facts.holding.tokens, facts.situation.stored.queue
    times = {**facts.recorded.holder_times, **memory.first_seen}
    first = tokens[0] if tokens else 0
    return replace(
        memory,
        tokens=tokens,
        ended=(),
        leaving=_leaving(facts),
        first_seen={token: times.get(token, facts.timestamp) for token in tokens},
        transitions=_transitions(facts, first),
        token_on_record=first or facts.token_on_record,
        evicted=memory.evicted & {one.create_revision for one in queue},
    )


def _transitions(facts: Facts, first: int) -> int:
    """How often the first holder has changed. If the memory may be outdated, the status counts as well."""
    memory, recorded = facts.situation.memory, facts.recorded
    count = memory.transitions + (1 if first and first != memory.token_on_record else 0)
    if memory.tokens is not None:
        return count
    return max(count, recorded.transition_count + (1 if first and first != recorded.fencing_token else 0))


def _leaving(facts: Facts) -> frozenset[int]:
    """Former holders that must stop because the capacity was lowered, until their keys are gone."""
    held = {*facts.previous_tokens, *facts.situation.memory.leaving}
    return frozenset(one.create_revision for one in facts.holding.waiters if one.create_revision in held)


def standby_memory(facts: Facts, memory: Memory) -> Memory:
    """The memory of a replica that is not active. It keeps the ended candidates, in case it has to report them."""
    kept = keep_ended(facts, memory)
    return replace(kept, tokens=None, reported=memory.reported - {"EtcdUnreachable"})


def keep_ended(facts: Facts, memory: Memory) -> Memory:
    """The memory with the ended candidates, to report them later."""
    return replace(memory, ended=(*memory.ended, *facts.situation.ended)[-MAX_ENDED_KEPT:])


# --- the events -----------------------------------------------------------------------------------------------------


def holder_events(facts: Facts) -> tuple[Event, ...]:
    """An event for each previous holder that is gone, and for each new holder."""
    memory = facts.situation.memory
    held = {*facts.previous_tokens, *memory.leaving}
    events = [_ended_event(one, facts) for one in ended_holders(facts)]
    for entry in facts.holding.holders if _knows_all_previous(facts) else ():
        if entry.create_revision not in held and entry.create_revision not in memory.first_seen:
            text = f"{entry.record.identity} holds the lock with fencing token {entry.create_revision}"
            events.append(Event("LockAcquired", text, key=_key(entry, 1)))
    return tuple(events)


def _ended_event(ended: EndedCandidate, facts: Facts) -> Event:
    ending = ending_of(ended, facts)
    is_warning = ending.event in ("HolderRevoked", "LockExpired")
    return Event(ending.event, ending.text, warning=is_warning, key=_key(ended.entry, 2))


def _key(entry: Entry, step: int) -> str:
    """The same for the same change, whoever reports it, and in the order in which the changes happen."""
    return f"{entry.create_revision:016x}.{step}.{entry.lease:x}"


def _knows_all_previous(facts: Facts) -> bool:
    """Whether a holder that is not among the previous ones is new: the status lists only the first 32."""
    return facts.situation.memory.tokens is not None or facts.recorded.holder_count <= len(facts.previous_tokens)
