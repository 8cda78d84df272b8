"""A lock's queue as a table for people or as JSON for programs."""

from __future__ import annotations

import json
from typing import Any, Final

from leasehold.base.terminal import aligned, printable
from leasehold.candidate.queue_status import Candidate, Queue
from leasehold.lock.spec import DEFAULT_TTL


def as_json(queue: Queue) -> str:
    """The queue for programs, in the words of the Lock resource; a field that is not known is absent."""
    spec = queue.spec
    named = {
        "lock": str(queue.keys.lock),
        "key": queue.keys.prefix,
        "revision": queue.revision,
        "declared": queue.declared.revision > 0,
        "specError": queue.declared.broken or None,
        "leaseDurationSeconds": spec.ttl,
        "capacity": spec.capacity,
        "suspend": spec.suspend,
        "deleting": spec.deleting,
        "preferredHolder": spec.preferred_holder or None,
        "preferredGroup": spec.preferred_group or None,
        "candidates": [_fields(queue, candidate) for candidate in queue.candidates],
    }
    return json.dumps({name: value for name, value in named.items() if value is not None}, indent=2) + "\n"


def _fields(queue: Queue, candidate: Candidate) -> dict[str, Any]:
    entry, record, reason = candidate.entry, candidate.entry.record, queue.why_not(candidate)
    named = {
        "position": candidate.position,
        "holds": candidate.holds,
        "identity": record.identity,
        "token": entry.create_revision,
        "leaseID": f"{entry.lease:x}",
        "leaseSecondsLeft": candidate.seconds_left,
        "priority": record.priority,
        "group": record.group or None,
        "pod": record.pod or None,
        "podNamespace": record.pod_namespace or None,
        "podUID": record.pod_uid or None,
        "node": record.node or None,
        "yieldTo": record.yield_to or None,
        "foreign": record.foreign,
        "reason": reason.sentence(0.0) if reason else None,
        "reasonCode": reason.code.value if reason else None,
    }
    return {name: value for name, value in named.items() if value is not None}


_COLUMNS: Final = (
    "POSITION",
    "HOLDS",
    "IDENTITY",
    "TOKEN",
    "GROUP",
    "PRIORITY",
    "POD",
    "NODE",
    "LEASE LEFT",
    "WHY NOT",
)


def as_table(queue: Queue) -> str:
    """The queue for people."""
    lines = [_headline(queue), _declaration(queue)]
    if queue.candidates:
        rows = [_COLUMNS, *(_row(queue, candidate) for candidate in queue.candidates)]
        lines += ["", aligned(rows, gap=2).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _headline(queue: Queue) -> str:
    holders = [c.entry.record.identity for c in queue.candidates if c.holds]
    waiting = len(queue.candidates) - len(holders)
    if holders:
        state = "held by " + ", ".join(printable(holder) for holder in holders)
    elif queue.spec.suspend:
        state = "suspended: nobody may hold it"
    else:
        state = "vacant"
    return f"Lock {queue.keys.lock}: {state}; {waiting or 'nobody'} waiting."


def _declaration(queue: Queue) -> str:
    spec, declared = queue.spec, queue.declared
    if declared.broken:
        return f"Declared, but {printable(declared.broken)}. Sidecars keep to the last one they could read."
    if not declared.revision:
        return f"Not declared: no Lock resource stands behind it. TTL: each sidecar's own, else {DEFAULT_TTL} s."
    words = [f"TTL {spec.ttl} s" if spec.ttl else f"TTL each sidecar's own, else {DEFAULT_TTL} s"]
    words.append(f"capacity {spec.capacity}")
    if spec.suspend:
        words.append("being deleted" if spec.deleting else "suspended")
    if spec.preferred_holder:
        words.append(f"preferred holder {printable(spec.preferred_holder)}")
    if spec.preferred_group:
        words.append(f"preferred group {printable(spec.preferred_group)}")
    return f"Declared: {', '.join(words)}."


def _row(queue: Queue, candidate: Candidate) -> tuple[str, ...]:
    entry, record = candidate.entry, candidate.entry.record
    holds = "yes" if candidate.holds else "no"
    if record.yield_to:
        holds = f"yields to {printable(record.yield_to)}"
    priority = "(foreign)" if record.foreign else str(record.priority)
    group, pod, node = (printable(text) or "-" for text in (record.group, record.pod, record.node))
    identity = printable(record.identity) or "-"
    token = str(entry.create_revision)
    reason = queue.why_not(candidate)
    why = printable(reason.sentence(0.0)) if reason else "-"
    return str(candidate.position), holds, identity, token, group, priority, pod, node, _left(candidate), why


def _left(candidate: Candidate) -> str:
    if not candidate.entry.lease:
        return "no lease"
    if candidate.seconds_left is None:
        return "unknown"
    return f"{candidate.seconds_left} s" if candidate.seconds_left >= 0 else "expired"
