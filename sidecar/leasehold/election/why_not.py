"""Why this sidecar does not lead, read off the election: the one place where the precedence of reasons is decided.

What the pod wants comes first: while it does not want a place, nothing else matters. Outside the queue, the last error
is the reason, if there was one. In the queue, what the lock asks for precedes the place: a suspended lock is the whole
truth for every waiter, wherever it stands.
"""

from __future__ import annotations

import math
from typing import Final

from leasehold.base.records import replace
from leasehold.election import queued
from leasehold.election.machine import Machine
from leasehold.election.snapshot import Cause, State
from leasehold.lock.reason import Code, Reason

WHY_LEAVING: Final[dict[Cause, str]] = {
    Cause.SHUTDOWN: "the sidecar is stopping",
    Cause.REQUEST: "a handover was requested",
    Cause.PAUSE: "it was paused",
    Cause.PREFERRED: "the lock prefers another candidate",
    Cause.UNHEALTHY: "the app is unhealthy",
    Cause.SUSPENDED: "the lock is suspended",
    Cause.CAPACITY: "others stand ahead of it",
    Cause.TOKEN: "the lock asks for a handover",
    Cause.DETACHED: "somebody has taken its key off its lease",
}


def why_not(machine: Machine, now: float) -> Reason | None:
    """Why the candidate does not lead at this instant; None while it does. `since` carries on while the code stays."""
    found = _found(machine, now)
    if found is None:
        return None
    known = machine.reason
    # another detail, such as a place further ahead, is no other reason
    since = known.since if known is not None and known.code is found.code else now
    return replace(found, since=since)


def _found(machine: Machine, now: float) -> Reason | None:
    match machine.state:
        case State.HOLDING:
            return None
        case State.IDLE:
            return _unwanted(machine)
        case State.JOINING:
            return _joining(machine)
        case State.WAITING:
            return _waiting(machine, now)
        case State.UNSURE:
            return _error(machine) or Reason(Code.UNCONFIRMED)
        case State.YIELDING:
            return _leaving(machine)


def _unwanted(machine: Machine) -> Reason:
    """Outside the queue, because the pod does not want a place in it."""
    intent = machine.intent
    if not intent.started:
        return Reason(Code.STARTING)
    if intent.stopping:
        return Reason(Code.STOPPING)
    if intent.paused:
        return Reason(Code.PAUSED)
    code = Code.APP_UNHEALTHY if intent.was_healthy else Code.APP_STARTING
    return Reason(code, intent.problem, until=intent.unhealthy_until)


def _joining(machine: Machine) -> Reason:
    if machine.is_undeclared() and machine.error_code is Code.UNDECLARED:
        retry = machine.pending.retry
        return Reason(Code.UNDECLARED, machine.error or "", until=retry.at if retry else None)
    return _error(machine) or Reason(Code.RESUMING if machine.resumable else Code.JOINING)


def _error(machine: Machine) -> Reason | None:
    if machine.error is None or machine.error_code is None:
        return None
    # an error is a sentence, and a reason is a clause of one
    return Reason(machine.error_code, machine.error.rstrip("."))


def _waiting(machine: Machine, now: float) -> Reason:
    spec, declared = machine.etcd.spec, machine.etcd.declared
    # only a person can mend that, and until then nothing that the spec says ends the suspension
    if spec.suspend and declared.broken:
        return Reason(Code.SPEC_UNREADABLE, declared.broken)
    if spec.suspend:
        return Reason(Code.DELETING if spec.deleting else Code.SUSPENDED)
    match queued.reason_not_to_hold(machine, now):
        case Cause.CAPACITY:
            return Reason(Code.BEHIND, _place(machine))
        case Cause.TOKEN:
            return Reason(Code.TOKEN_LIMIT)
        case Cause.PREFERRED:
            return Reason(Code.PREFERRED)
        case _:
            return Reason(Code.NEXT)


def _place(machine: Machine) -> str:
    view = machine.candidate.view
    ahead = view.ahead(machine.candidate.token)
    # of a long queue a waiter does not see the end of those between the first and the one just ahead
    count = f"{len(ahead)} ahead" if view.complete or len(ahead) < 2 else f"at most {len(ahead)} ahead"
    return f"{count}; {ahead[0].record.identity} is the first" if ahead else count


def _leaving(machine: Machine) -> Reason:
    handover = machine.candidate.handover
    why = WHY_LEAVING[handover.cause] if handover.cause else ""
    if not machine.candidate.is_draining:
        return Reason(Code.LEAVING, why)
    # the work may have no time limit: it ends when it ends
    until = handover.drain_until if handover.drain_until != math.inf else None
    return Reason(Code.DRAINING, why, until=until)
