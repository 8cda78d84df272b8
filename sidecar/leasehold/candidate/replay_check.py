"""What must hold in each step of one sidecar's election, judged by what it was told, commanded and published.

The guarantees of `election.py` are about all candidates together. These rules are what a single one can break by its
own doing, whatever the others do. The simulation judges its sidecars by the same ones. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from leasehold.base.records import dataclass
from leasehold.election.commands import Command, KeepAlive, Note, Resign, Revoke, Stopped
from leasehold.election.events import Answer, Event, Granted, KeptAlive, OwnRead, Unchanged
from leasehold.election.snapshot import Snapshot, State

_QUEUED: Final = frozenset({State.WAITING, State.HOLDING, State.UNSURE, State.YIELDING})
_AFTER_YIELDING: Final = frozenset({State.YIELDING, State.IDLE, State.JOINING})
_ROUNDING_SECONDS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that was broken: its short, stable name, and what happened, as the end of a sentence about the sidecar."""

    rule: str
    story: str


@dataclass(frozen=True, slots=True)
class Step:
    """One event that an election took: the snapshots before and after it, and the commands that it returned."""

    event: Event
    now: float
    before: Snapshot
    after: Snapshot
    commands: Sequence[Command]


def broken_by_snapshot(before: Snapshot, after: Snapshot) -> list[Broken]:
    """What the snapshots alone show."""
    found = []
    if (after.state in _QUEUED) != (after.token is not None):
        found.append(Broken("snapshot", f"is {after.state} with token {after.token}"))
    if after.state is State.HOLDING and (after.deadline is None or after.term_since is None):
        found.append(Broken("snapshot", "holds without a deadline or the start of its term"))
    if after.state is State.YIELDING and after.cause is None:
        found.append(Broken("snapshot", "yields without a cause"))
    if before.state is State.YIELDING and after.state not in _AFTER_YIELDING:
        found.append(Broken("never-again", f"went from yielding to {after.state}"))
    return found


class Rules:
    """The rules that need a memory, over the steps of one process in order, from any moment of its life on."""

    def __init__(self, max_drift: float = 0.0) -> None:
        """`max_drift` is the bound that the election was set to."""
        self._factor = (1 - max_drift) / (1 + max_drift)
        self._now = -math.inf
        self._given_up: set[str] = set()
        self._tokens: list[int] = []
        self._op = 0
        self._keep_alive: int | None = None
        self._renewed: KeptAlive | None = None

    def judge(self, step: Step) -> list[Broken]:
        """The rules that this step breaks."""
        found = broken_by_snapshot(step.before, step.after)
        found += self._judge_time(step)
        found += self._judge_deadline(step)
        found += self._judge_token(step)
        found += self._judge_commands(step)
        found += self._judge_holding(step)
        return found

    def _judge_time(self, step: Step) -> list[Broken]:
        before, self._now = self._now, step.now
        if step.now < before:
            return [Broken("time", f"went back in time by {before - step.now:.3f} s")]
        return []

    def _judge_deadline(self, step: Step) -> list[Broken]:
        """A deadline is set by a grant, and moved by the read that confirms a keep-alive: no further than that says."""
        event, before, after = step.event, step.before.deadline, step.after.deadline
        if isinstance(event, KeptAlive) and event.op == self._keep_alive:
            self._renewed = event
        if after is None or after == before:
            return []
        proof = event if isinstance(event, Granted) else self._renewed
        if not isinstance(event, (Granted, OwnRead, Unchanged)):
            return [Broken("deadline", f"moved its deadline by {type(event).__name__}")]
        if not isinstance(event, Granted) and before is not None and after < before:
            return [Broken("deadline", "moved its deadline back")]
        if proof is not None and after > proof.sent + proof.ttl * self._factor + _ROUNDING_SECONDS:
            return [Broken("deadline", "counts on its lease for longer than etcd said")]
        return []

    def _judge_token(self, step: Step) -> list[Broken]:
        """Each candidate has a higher token than those before, unless etcd lost data."""
        if any(isinstance(command, Note) and command.kind == "rolled-back" for command in step.commands):
            self._tokens.clear()
        token = step.after.token
        if token is None or token == step.before.token:
            return []
        highest = max(self._tokens, default=0)
        self._tokens = [token]
        if token <= highest:
            return [Broken("token", f"stands in the queue under {token} after {highest}")]
        return []

    def _judge_commands(self, step: Step) -> list[Broken]:
        found = []
        for command in step.commands:
            op = getattr(command, "op", None)
            if op is not None and op <= self._op:
                found.append(Broken("question", f"asks question {op} after question {self._op}"))
            self._op = op if op is not None else self._op
            if isinstance(command, KeepAlive):
                self._keep_alive = command.op
            elif isinstance(command, Revoke) or (isinstance(command, Resign) and not command.keep_own):
                self._given_up.add(f"{command.lease:x}")
            elif isinstance(command, Stopped) and step.after.state is not State.IDLE:
                found.append(Broken("stopped", f"has stopped, and is {step.after.state}"))
        return found

    def _judge_holding(self, step: Step) -> list[Broken]:
        after, found = step.after, []
        if after.state is not State.HOLDING:
            return []
        if after.key is not None and after.key.rpartition("/")[2] in self._given_up:
            found.append(Broken("never-again", "holds under a candidate that it gave up"))
        if not after.is_holding(step.now):
            found.append(Broken("deadline", "holds although its deadline has passed"))
        if after.term_since is not None and after.term_since > step.now:
            found.append(Broken("snapshot", "holds since a later time"))
        same = after.token == step.before.token and step.before.term_since is not None
        if same and after.term_since != step.before.term_since:
            found.append(Broken("snapshot", "began another term under the same token"))
        return found


class QuestionRate:
    """Judges how often a process asks etcd: an etcd in trouble must not be asked ever more."""

    MOST: Final = 10
    """Questions in one second without an answer."""

    def __init__(self) -> None:
        self._asked: list[float] = []

    def judge(self, event: Event, now: float, commands: Sequence[Command], *, answered: bool = True) -> list[Broken]:
        """`answered` is whether an answer that has come was awaited."""
        if isinstance(event, Answer) and answered:
            self._asked.clear()
        self._asked = [instant for instant in self._asked if instant >= now - 1.0]
        self._asked += [now for command in commands if hasattr(command, "op")]
        if len(self._asked) > self.MOST:
            return [Broken("rate", f"asked {len(self._asked)} times in a second without an answer")]
        return []
