"""What must hold after each event, whatever happened. Checked unless Python runs with `-O`, as the image does.

A broken invariant is a bug of the election, never of its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from leasehold.election import commands as cmd
from leasehold.election.machine import Handover, Machine
from leasehold.election.snapshot import State

IN_QUEUE: Final = frozenset({State.WAITING, State.HOLDING, State.UNSURE, State.YIELDING})


class InvariantBroken(AssertionError):
    """The election did what it must never do; `invariant` is the key in `INVARIANTS`."""

    def __init__(self, invariant: str, machine: Machine) -> None:
        super().__init__(f"{invariant}, while {machine.state}: {machine.candidate} {machine.pending} {machine.intent}")
        self.invariant = invariant


def _holds_something(machine: Machine) -> bool:
    candidate = machine.candidate
    held = (candidate.own, candidate.lease_id, candidate.lease.deadline, candidate.term_since)
    return machine.state is not State.HOLDING or None not in held


def _key_is_of_the_lease(machine: Machine) -> bool:
    own, lease = machine.candidate.own, machine.candidate.lease_id
    return own is None or (lease is not None and (own.lease, own.key) == (lease, machine.keys.entry(lease)))


def _one_question_each(machine: Machine) -> bool:
    step, keep_alive, retry = machine.pending.step, machine.pending.keep_alive, machine.pending.retry
    asked = [request.command for request in (step, keep_alive) if request]
    # a step and its retry at once would be asked twice
    apart = not (step and retry) and len({command.op for command in asked}) == len(asked)
    return apart and not isinstance(machine.pending.question, cmd.KeepAlive)


def _idle_has_nothing(machine: Machine) -> bool:
    candidate, pending = machine.candidate, machine.pending
    left = (candidate.own, candidate.lease_id, pending.step, pending.keep_alive, pending.retry, machine.etcd.watching)
    return machine.state is not State.IDLE or left == (None,) * 6


INVARIANTS: Final[dict[str, Callable[[Machine], bool]]] = {
    "a holder has a key, a lease, a deadline and a term": _holds_something,
    "a candidate has a key exactly in the queue": lambda m: (m.candidate.own is not None) == (m.state in IN_QUEUE),
    "the key is of the lease": _key_is_of_the_lease,
    "a handover is under way exactly while yielding": lambda m: (
        (m.candidate.handover == Handover()) == (m.state is not State.YIELDING)
    ),
    "one step and one keep-alive at most": _one_question_each,
    "nothing is left in idle": _idle_has_nothing,
    "a candidate is there exactly if wanted": lambda m: (
        m.state is State.YIELDING or m.intent.wants_candidate == (m.state is not State.IDLE)
    ),
    "a reason is there exactly while it does not lead": lambda m: (m.reason is None) == (m.state is State.HOLDING),
    "something is under way or due": lambda m: (
        m.state is State.IDLE or bool(m.pending.step or m.pending.keep_alive) or m.next_due() is not None
    ),
}
"""What must hold of the state alone."""

LEADS_ELSEWHERE: Final = "the state is one that the table leads to"
HELD_AGAIN: Final = "what was given up is never held"
OTHER_TOKEN: Final = "a lease has one token for life"


class Checker:
    """Checks one election after each event, and remembers what it must never come back to."""

    def __init__(self) -> None:
        self._given_up: set[int] = set()
        self._tokens: dict[int, int] = {}

    def check(self, machine: Machine, before: State, leads_to: Collection[State]) -> None:
        """Raise InvariantBroken unless all is well after an event that came in the state `before`."""
        broken = [name for name, holds in INVARIANTS.items() if not holds(machine)]
        if machine.state is not before and machine.state not in leads_to:
            broken.append(LEADS_ELSEWHERE)
        self._remember(machine)
        candidate = machine.candidate
        if machine.state is State.HOLDING and candidate.lease_id in self._given_up:
            broken.append(HELD_AGAIN)
        if candidate.own is not None and self._tokens.get(candidate.own.lease) != candidate.token:
            broken.append(OTHER_TOKEN)
        if broken:
            raise InvariantBroken(broken[0], machine)

    def _remember(self, machine: Machine) -> None:
        own = machine.candidate.own
        for command in machine.out:
            # after a rollback the numbers given out before are given out again
            if isinstance(command, cmd.Note) and command.kind == "rolled-back":
                self._given_up.clear()
            elif isinstance(command, cmd.Revoke) or (isinstance(command, cmd.Resign) and not command.keep_own):
                self._given_up.add(command.lease)
        self._tokens = {own.lease: self._tokens.get(own.lease, own.create_revision)} if own else {}
