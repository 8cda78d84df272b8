"""How holders ended, as far as etcd and the resource tell: for the events and for the history. Pure."""

from __future__ import annotations

from typing import NamedTuple

from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import EndedCandidate


class Ending(NamedTuple):
    """The event that reports it, a sentence, and the field of the spec that asked for it; "" if none did."""

    event: str
    text: str
    field: str = ""


class _Handover(NamedTuple):
    """To whom, or why, as the end of a sentence; and the field of the spec that asked for it."""

    how: str
    field: str = ""


def ended_holders(facts: Facts) -> tuple[EndedCandidate, ...]:
    """The holders that are gone since the last reconcile, in the order of their tokens: that in which they held."""
    memory = facts.situation.memory
    ended = {one.entry.create_revision: one for one in (*memory.ended, *facts.situation.ended)}
    held = {*facts.previous_tokens, *memory.leaving}
    return tuple(one for token, one in sorted(ended.items()) if token in held)


def ending_of(ended: EndedCandidate, facts: Facts) -> Ending:
    """How this holder ended."""
    token = ended.entry.create_revision
    who = f"{ended.entry.record.identity} (fencing token {token})"
    if token in facts.situation.memory.evicted:
        field = "revokeUpToToken" if token <= facts.limits.revoke else ""
        return Ending("HolderRevoked", f"{who} was revoked", field)
    if ended.released is False:
        return Ending("LockExpired", f"the lease of {who} has expired")
    if handover := _handover(ended.entry, facts):
        return Ending("HandedOver", f"{who} handed the lock over{handover.how}", handover.field)
    unless = "" if ended.released else ", unless its lease has expired"  # etcd was asked too late to know
    is_suspended = facts.declared is not None and facts.declared.suspend and not facts.declared.deleting
    if is_suspended:
        return Ending("LockReleased", f"{who} released the lock, as spec.suspend asks{unless}", "suspend")
    field = "capacity" if token in facts.situation.memory.leaving else ""
    return Ending("LockReleased", f"{who} released the lock{unless}", field)


def _handover(entry: Entry, facts: Facts) -> _Handover | None:
    """To whom, or why, a holder handed over; None if it resigned without a handover.

    A holder that hands over to the next candidate skips nobody and so writes no `yieldTo`. Then the present holder
    tells.
    """
    record, spec = entry.record, facts.declared or Spec()
    if record.yield_to:
        field = "preferredHolder" if record.yield_to == spec.preferred_holder else ""
        return _Handover(f" to {record.yield_to}", field)
    if entry.create_revision <= spec.handover_up_to_token:
        return _Handover(", as spec.handoverUpToToken asks", "handoverUpToToken")
    later = (one.record for one in facts.holding.holders if one.create_revision > entry.create_revision)
    successor = next(later, None)
    if successor is None:
        return None
    if spec.preferred_holder:
        is_preferred = successor.identity == spec.preferred_holder != record.identity
        how = f" to {successor.identity}, as spec.preferredHolder asks"
        return _Handover(how, "preferredHolder") if is_preferred else None
    if spec.preferred_group and successor.group == spec.preferred_group != record.group:
        return _Handover(f" to {successor.identity}, of the current revision")
    return None
