"""Who is missing from a lock's queue, and since when nobody is in it. Pure.

A pod that names the lock and is not in its queue is named in the status with its reason. If nobody is in the queue,
nobody can take the lock: after a while, in which pods may just be starting, `Degraded` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from leasehold.operator.plan.facts import Facts
from leasehold.operator.plan.model import AbsentPod
from leasehold.operator.plan.status import MAX_LISTED_HOLDERS, RecordedStatus

NO_CANDIDATE_AFTER_SECONDS: Final = 10.0
"""How long a queue may be empty, though pods name its lock, before `Degraded` says so."""
SAME_INSTANT_SECONDS: Final = 3.0
"""A sidecar's end of a wait is counted back from its own clock: it is the same one if it differs by less."""
_MAX_NAMED: Final = 3


def nobody_since(facts: Facts) -> float | None:
    """Since when the queue has been empty, though there are pods that name the lock; None if that is not so."""
    situation = facts.situation
    if situation.stored.queue or not situation.absent:
        return None
    known = situation.memory.nobody_since
    return situation.now if known is None else known


def is_abandoned(facts: Facts) -> bool:
    """Whether nobody has come for so long that somebody should look."""
    since = nobody_since(facts)
    return since is not None and facts.situation.now - since >= NO_CANDIDATE_AFTER_SECONDS


def look_again_in(facts: Facts) -> float | None:
    """Seconds until an empty queue is to be reported; None if there is nothing to wait for."""
    since = nobody_since(facts)
    left = None if since is None else since + NO_CANDIDATE_AFTER_SECONDS - facts.situation.now
    return left if left is not None and left > 0 else None


def nobody_can_come(absent: Sequence[AbsentPod]) -> str:
    """The message of `NoCandidate`: who names the lock, and why none of them can hold it."""
    named = "; ".join(f"{one.name} ({one.message})" for one in absent[:_MAX_NAMED])
    more = f"; and {len(absent) - _MAX_NAMED} more" if len(absent) > _MAX_NAMED else ""
    pods = "1 pod names the lock" if len(absent) == 1 else f"{len(absent)} pods name the lock"
    return f"nobody is in the queue: {pods}, and none of them can hold it: {named}{more}"


def render_absent(absent: Sequence[AbsentPod], recorded: RecordedStatus, now: str) -> list[dict[str, Any]]:
    """The list for the status: the first 32."""
    known = {str(one.get("podUID")): one for one in recorded.absent}
    return [_absent(one, known.get(one.uid, {}), now) for one in absent[:MAX_LISTED_HOLDERS]]


def _absent(pod: AbsentPod, known: Mapping[str, Any], now: str) -> dict[str, Any]:
    is_same = known.get("reason") == pod.code
    since = known.get("since") if is_same else None
    fields = {
        "podUID": pod.uid,
        "podName": pod.name,
        "reason": pod.code,
        "message": pod.message,
        "since": since if isinstance(since, str) and _parse(since) else now,
    }
    if pod.until:
        fields["until"] = _steady(pod.until, known.get("until") if is_same else None)
    return fields


def _steady(until: str, known: object) -> str:
    """The recorded instant, if this one is the same within the clocks' accuracy: then the status stays as it is."""
    before, now = _parse(known), _parse(until)
    if before and now and abs((now - before).total_seconds()) < SAME_INSTANT_SECONDS:
        return str(known)
    return until


def _parse(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
