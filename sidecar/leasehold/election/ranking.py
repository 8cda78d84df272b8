"""Who should hold, and how a holder hands over past those that should not.

The order is: `preferredHolder` > preferred group > higher `priority` > first come. It decides only whom a holder
hands over to; who *is* a holder is decided by create revision alone, in `queued.py`. A candidate that Leasehold did not
write takes part as one without group or priority; it never hands over, and its key is never deleted: where one stands
between a holder and the candidate preferred to it, nobody is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from leasehold.base.records import dataclass
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec

MAX_COMPARED: Final = 60
"""etcd takes at most 128 comparisons in a transaction by default: twice this and a few more fit."""


def rank(entry: Entry, spec: Spec) -> tuple[bool, bool, int]:
    """How much this candidate should hold, before first come; greater is better."""
    record = entry.record
    named = bool(spec.preferred_holder) and record.identity == spec.preferred_holder
    # it says nothing of itself, but a person may have named it
    if record.foreign:
        return (named, False, 0)
    return (named, bool(spec.preferred_group) and record.group == spec.preferred_group, record.priority)


def best_first(queue: Sequence[Entry], spec: Spec) -> list[Entry]:
    """The queue by rank; among equals, the first come is first. `queue` is in order of create revision."""
    return sorted(queue, key=lambda entry: rank(entry, spec), reverse=True)


@dataclass(frozen=True, slots=True)
class HandoverPlan:
    """How one holder gives up its place.

    `skipped` are deleted with the holder's own key, so that `target` is the next holder. `guards` must still stand for
    that to come out right: the other holders and the target. Both are empty where the next in line is the right one.
    """

    target: Entry | None = None
    skipped: tuple[Entry, ...] = ()
    guards: tuple[Entry, ...] = ()
    blocked: bool = False
    """The best one cannot be reached: a candidate that is not ours stands before it, or too many hold with us.

    Every other holder has to be compared: if one were gone, a skipped candidate would be a holder by now.
    """
    in_parts: bool = False
    """More are to be skipped than one transaction can compare: delete these first, and keep our own key meanwhile."""


def plan(queue: Sequence[Entry], spec: Spec, token: int) -> HandoverPlan:
    """How the candidate with this token gives up its place, given the whole queue."""
    place = [entry.create_revision for entry in queue].index(token)
    waiters = queue[spec.capacity :]
    if place >= spec.capacity or not waiters:
        return HandoverPlan()
    # only waiters: a holder that is still among the first needs no handover
    target = best_first(waiters, spec)[0]
    between = tuple(waiters[: waiters.index(target)])
    if not between:
        return HandoverPlan(target=target)
    others = tuple(entry for entry in queue[: spec.capacity] if entry.create_revision != token)
    # the next in line holds then, whoever is preferred: that is better than an unguarded deletion
    if len(others) > MAX_COMPARED or any(entry.record.foreign for entry in between):
        return HandoverPlan(target=waiters[0], blocked=True)
    # from the far end, so that those that remain are still between us and the target
    return HandoverPlan(target, between[-MAX_COMPARED:], (target, *others), in_parts=len(between) > MAX_COMPARED)


def should_yield(queue: Sequence[Entry], spec: Spec, token: int) -> bool:
    """Whether the holder with this token is to hand over to a waiter preferred to it.

    As many holders yield as better waiters exist, those of lowest rank first and of these the youngest: exactly the
    holders that are not among the best `capacity` of all.
    """
    # the common case, at the moment that counts: all of the queue hold
    if len(queue) <= spec.capacity:
        return False
    best = best_first(queue, spec)[: spec.capacity]
    if any(entry.create_revision == token for entry in best):
        return False
    # to yield to the wrong one would help nobody, and be undone at once
    return not plan(queue, spec, token).blocked
