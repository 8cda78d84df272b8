"""The last terms of a lock: who held it, from when until when, why each ended, and who asked for that. Pure.

The list is in the status, so it outlives the operator. A term is added when its holder's key is gone, with what is
known then; times are those at which the operator saw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.lock.spec import Spec
from leasehold.operator.plan.endings import ended_holders, ending_of
from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import EndedCandidate, Memory

MAX_TERMS: Final = 10
_REASONS: Final = {
    "HolderRevoked": "Revoked",
    "LockExpired": "Expired",
    "HandedOver": "HandedOver",
    "LockReleased": "Released",
}
"""Why a term ended, by the event that tells of it."""
_SAYS_NOTHING: Final = ("unknown", "silent", "elsewhere", "other-lock")
"""Reasons of a missing pod that do not tell why it gave the lock up."""


def remember_terms(memory: Memory, facts: Facts) -> Memory:
    """The memory with the terms that have ended since, the oldest first; at most ten."""
    known = facts.situation.memory
    # a replica that was not active may remember less than the status says
    terms = list(known.terms if known.tokens is not None and known.terms else facts.recorded.terms)
    for one in ended_holders(facts):
        if not _has(terms, one.entry.create_revision):
            terms.append(_term(one, terms, facts))
    terms += [_unseen(holder, facts) for holder in facts.recorded.holders if _is_unseen(holder, terms, facts)]
    return replace(memory, terms=tuple(_explained(term, facts) for term in terms[-MAX_TERMS:]))


def _has(terms: Sequence[Mapping[str, Any]], token: object) -> bool:
    return any(term.get("fencingToken") == token for term in terms)


def _is_unseen(holder: Mapping[str, Any], terms: Sequence[Mapping[str, Any]], facts: Facts) -> bool:
    """Whether this holder of the status is gone, and ended while no operator looked on."""
    token = holder.get("fencingToken")
    queued = any(one.create_revision == token for one in facts.situation.stored.queue)
    return not queued and not _has(terms, token)


def _unseen(holder: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    return {
        "fencingToken": holder["fencingToken"],
        "identity": holder["identity"],
        "from": holder["acquireTime"],
        "until": facts.timestamp,
        "reason": "Unseen",
        "message": "it ended while no operator looked on, some time before that",
    }


def _term(ended: EndedCandidate, before: Sequence[Mapping[str, Any]], facts: Facts) -> dict[str, Any]:
    entry, ending = ended.entry, ending_of(ended, facts)
    token = entry.create_revision
    times = {**facts.recorded.holder_times, **facts.situation.memory.first_seen}
    began = times.get(token, facts.timestamp)
    fields: dict[str, Any] = {
        "fencingToken": token,
        "identity": entry.record.identity,
        "podUID": entry.record.pod_uid,
        "from": began,
        "until": facts.timestamp,
        "reason": _REASONS[ending.event],
        "message": ending.text,
        "requestedBy": _manager(ending.field, facts),
    }
    if before and (facts.declared or Spec()).capacity == 1:
        fields["gapSeconds"] = max(0, _seconds(before[-1].get("until"), began))
    return {name: value for name, value in fields.items() if value != "" or name == "identity"}


def _manager(field: str, facts: Facts) -> str:
    """The field manager that set this field of the spec last; "" if nobody asked."""
    lock = facts.situation.lock
    return lock.managers.get(field, "") if lock is not None and field else ""


def _explained(term: Mapping[str, Any], facts: Facts) -> Mapping[str, Any]:
    """A term that ended with no reason that etcd shows: what the pod's sidecar says for being away tells it."""
    if term.get("reason") != "Released" or "requestedBy" in term or "podReason" in term:
        return term
    pod = next((one for one in facts.situation.absent if one.uid == term.get("podUID")), None)
    if pod is None or pod.code in _SAYS_NOTHING or _seconds(term.get("until"), facts.timestamp) > 60:
        return term
    return {**term, "podReason": pod.message}


def _seconds(first: object, second: object) -> int:
    try:
        times = [datetime.strptime(str(one), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for one in (first, second)]
    except ValueError:
        return 0
    return int((times[1] - times[0]).total_seconds())
