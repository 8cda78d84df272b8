"""What every phase of the election rests on: state, questions under way, what is known of etcd, the end of a candidate.

The phases stand on it in one line of inheritance, each a file of its own: `yielding`, `queued`, `joining`, `election`.
Each only calls downwards, but for `_next`, which the joining phase fills in. `election.py` says what it is all for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.lease import LeaseClock
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import Cause, State
from leasehold.lock.keys import DEFAULT_ROOT, Keys
from leasehold.lock.names import LockName
from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import DEFAULT_TTL, Spec

MOVES: Final[dict[State, frozenset[State]]] = {
    State.IDLE: frozenset({State.JOINING}),
    State.JOINING: frozenset({State.WAITING, State.HOLDING, State.UNSURE, State.YIELDING, State.IDLE}),
    State.WAITING: frozenset({State.HOLDING, State.UNSURE, State.YIELDING, State.IDLE}),
    State.HOLDING: frozenset({State.UNSURE, State.YIELDING, State.IDLE}),
    State.UNSURE: frozenset({State.WAITING, State.HOLDING, State.YIELDING, State.IDLE}),
    State.YIELDING: frozenset({State.IDLE}),
}
"""Every change of state there is."""

ANSWERS: Final[dict[type, type[ev.Answer]]] = {
    cmd.ReadSpec: ev.SpecRead,
    cmd.Grant: ev.Granted,
    cmd.Join: ev.Joined,
    cmd.ReadQueue: ev.QueueRead,
    cmd.ReadOwn: ev.OwnRead,
    cmd.KeepAlive: ev.KeptAlive,
    cmd.Write: ev.Written,
    cmd.Resign: ev.Written,
}
"""What each question is answered by."""


class IllegalEvent(Exception):
    """An event that this state does not know: a bug of the caller. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class ElectionConfig:
    """What one sidecar is set to; durations in seconds.

    `record` is what its keys will say; its `incarnation` is new in each process. `ttl` None leaves it to the lock.
    """

    lock: LockName
    record: Record
    root: str = DEFAULT_ROOT
    ttl: int | None = None
    require_lock: bool = False
    drain: float = 0.0
    max_drift: float = 0.01
    starts_healthy: bool = True
    """False when the app's health is asked for: then nothing is joined before it says so."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A question under way, and the highest revision that was known when it was asked."""

    command: Any
    seen: int

    @property
    def answer(self) -> type[ev.Answer]:
        """The event that answers it."""
        return ANSWERS[type(self.command)]


class Machine:
    """The state of one sidecar's election for one lock."""

    def __init__(self, settings: ElectionConfig, rng: random.Random) -> None:
        """`rng` spreads the retries of many sidecars; with the same one, the same events give the same commands."""
        self.settings = settings
        self.keys = Keys(settings.lock, settings.root)
        self._rng = rng
        self._out: list[cmd.Command] = []
        self._ops = 0
        self._failures = 0
        self._state = State.IDLE
        self._error: str | None = None

        self._started = self._stopping = self._paused = False
        self._healthy = settings.starts_healthy
        self._resumable: ev.Resumable | None = None

        self._origin: ev.ResponseHeader | None = None
        self._seen = 0
        self._spec = Spec()
        self._declared = ev.Declared(None)
        self._spec_at = 0
        self._nobody_passed_until = -math.inf
        self._watching: cmd.Watch | None = None
        self._forget()

    def _forget(self) -> None:
        """There is no candidate of ours any more, and nothing is awaited."""
        self._lease = LeaseClock(self.settings.max_drift)
        self._lease_id: int | None = None
        self._own: Entry | None = None
        self._view = QueueView()
        self._heard = 0
        self._term_since: float | None = None
        self._beat_at = math.inf
        self._beats = 0
        self._unconfirmed = 0
        self._cause: Cause | None = None
        self._draining = self._given_up = self._unknown = self._may_have_led = self._led = False
        self._may_be_passed = False
        self._unwritten = 0
        self._drain_until = self._stop_by = math.inf
        self._step: PendingRequest | None = None
        self._beat: PendingRequest | None = None
        self._retry: tuple[float, Callable[[float], None]] | None = None

    # --- asking, noting, moving ---------------------------------------------------------------------------------

    def _state_at(self, now: float) -> State:
        """The state, with the clock looked at: past the deadline nobody is a waiter or holder for certain."""
        if self._state in (State.WAITING, State.HOLDING) and not self._lease.is_valid(now):
            return State.UNSURE
        return self._state

    def _move(self, state: State) -> None:
        if state is not self._state and state not in MOVES[self._state]:
            raise AssertionError(f"no move from {self._state} to {state}")
        self._state = state

    def _op(self) -> int:
        self._ops += 1
        return self._ops

    def _ask(self, command: Any) -> None:
        """Ask the one question that the state's progress waits for."""
        self._retry = None
        self._step = PendingRequest(command, self._seen)
        self._out.append(command)

    def _later(self, delay: float, now: float, act: Callable[[float], None]) -> None:
        """Go on with `act` after so many seconds, from a Tick."""
        self._step = None
        self._retry = (now + delay, act)

    def _back_off(self) -> float:
        """Seconds to wait: none the first time, then longer and longer until a keep-alive is confirmed."""
        self._failures += 1
        if self._failures == 1:
            return 0.0
        return float(min(2.0, 0.1 * 2.0 ** min(self._failures, 8)) * self._rng.uniform(0.5, 1.0))

    def _soon(self) -> float:
        """Seconds until what failed is tried again where the lease is at stake: a few times a second, spread."""
        return float(self._rng.uniform(0.2, 0.4))

    def _note(self, kind: str, text: str) -> None:
        self._out.append(cmd.Note(kind, text))

    def _beat_next(self, at: float) -> None:
        """Plan the next keep-alive. While giving up there is none: the lease bounds how long that takes."""
        self._beat_at = math.inf if self._state is State.YIELDING and not self._draining else at

    def _asked(self, op: int) -> PendingRequest | None:
        return next((asked for asked in (self._step, self._beat) if asked and asked.command.op == op), None)

    def _is_beat(self, op: int) -> bool:
        return self._beat is not None and self._beat.command.op == op

    # --- what is known of etcd ----------------------------------------------------------------------------------

    def _has_rolled_back(self, event: ev.Event, now: float) -> bool:
        """Whether this answer shows that etcd lost data; if so the candidate, whose key may be anyone's, is dropped.

        A keep-alive's revision is that of the one member, which may lag; all other answers are linearizable.
        """
        if not isinstance(event, ev.Answer):
            return False
        asked, origin = self._asked(event.op), event.origin
        known, self._origin = self._origin, origin
        fell = asked is not None and origin.revision < asked.seen and not isinstance(event, ev.KeptAlive)
        other = known is not None and origin.cluster != known.cluster
        self._seen = origin.revision if fell or other else max(self._seen, origin.revision)
        if not fell and not other:
            return False
        self._note("rolled-back", "etcd has lost data: tokens may fall, and two may have led, for up to one TTL")
        self._spec_at = 0
        self._lose(now, "etcd was wiped, or restored from a backup")
        return True

    def _hear(self, revision: int) -> None:
        """A watch told of this revision: a read that is older says less."""
        self._heard = max(self._heard, revision)
        self._seen = max(self._seen, revision)

    def _adopt(self, declared: ev.Declared, revision: int, now: float) -> bool:
        """Learn the spec as it stood at this revision. Whether anything changed that matters here and now."""
        if revision < self._spec_at:
            return False
        self._spec_at = revision
        known, self._declared = self._declared, declared
        before = self._spec
        if not declared.broken:
            self._spec = declared.spec or Spec()
            self._heed_fall(before, now)
        self._complain(declared.broken != known.broken, before)
        mended_or_broken = bool(known.broken) != bool(declared.broken)
        return self._spec != before or mended_or_broken or (declared != known and self._is_undeclared())

    def _heed_fall(self, before: Spec, now: float) -> None:
        """When the capacity falls, a holder that is one no more may believe for a TTL that it is.

        Were its key deleted by one who passes it by, and the capacity raised again, there would be a holder too many.
        """
        if self._spec.capacity < before.capacity:
            longest = max(self._ttl(), self._lease.ttl, before.ttl or DEFAULT_TTL, DEFAULT_TTL)
            self._nobody_passed_until = now + longest

    def _complain(self, changed: bool, before: Spec) -> None:
        """Say once what is wrong with the spec."""
        if self._declared.broken and changed:
            self._note("spec-broken", f"{self._declared.broken}; the last good spec stays in force")
        if not self._declared.broken and self._spec.unknown and self._spec.unknown != before.unknown:
            self._note("spec-unknown", f"the lock's spec has unknown fields: {', '.join(self._spec.unknown)}")

    def _is_undeclared(self) -> bool:
        """Whether the lock must be declared and is not. One whose spec cannot be read is declared all the same."""
        return self.settings.require_lock and self._declared.spec is None and not self._declared.broken

    def _ttl(self) -> int:
        """The TTL to ask for, in seconds."""
        return self.settings.ttl or self._spec.ttl or DEFAULT_TTL

    def _watch(self, revision: int) -> None:
        """Watch what our place in the queue calls for, from the revision after the read that showed it.

        A waiter watches the key ahead of it and its own, so that a deletion wakes one waiter and not all of them.
        """
        wanted = cmd.Watch(revision + 1)
        if self._state in (State.HOLDING, State.YIELDING) or self._spec.capacity > 1:
            wanted = replace(wanted, queue=True)
        elif self._own is not None:
            ahead = self._view.just_ahead(self._own.create_revision)
            wanted = replace(wanted, keys=frozenset(entry.key for entry in (self._own, ahead) if entry))
            self._view = replace(self._view, whole=False)
        known = self._watching
        if known is None or (known.keys, known.queue) != (wanted.keys, wanted.queue):
            self._watching = wanted
            self._out.append(wanted)

    def _unwatch(self) -> None:
        if self._watching is not None:
            self._watching = None
            self._out.append(cmd.Watch(0, spec=False))

    # --- the end of a candidate ---------------------------------------------------------------------------------

    def _is_still_ours(self, own: Entry | None, now: float) -> bool:
        """Whether etcd shows our key with our process named in it; if not, all ends here."""
        if own is None or self._own is None or own.create_revision != self._own.create_revision:
            self._lose(now, "our key is gone")
            return False
        if own.record.foreign or own.record.incarnation != self.settings.record.incarnation:
            self._usurped(now)
            return False
        return True

    def _lose(self, now: float, why: str) -> None:
        """Our candidate is no more, or not to be trusted: from here on it never holds again."""
        handed_over = self._given_up and self._term_since is not None
        delay = 0.0 if handed_over else self._back_off()
        if self._own is not None and not self._given_up:
            self._note("lost", why)
            self._error = why
        self._resumable = None
        self._drop_lease()
        self._leave(now, delay)

    def _usurped(self, now: float) -> None:
        """Another process acts for our key: it is its own now, lease and all."""
        self._error = "another process has taken over our key: two must not share one state directory"
        self._note("usurped", self._error)
        self._leave(now, self._back_off())

    def _drop_lease(self) -> None:
        """Give back our lease; whatever key it may hold, now or later, goes with it."""
        lease, self._lease_id = self._lease_id, None
        if lease is not None:
            self._out.append(cmd.Revoke(lease))

    def _leave(self, now: float, delay: float) -> None:
        self._forget()
        self._move(State.IDLE)
        self._next(now, delay)

    def _next(self, now: float, delay: float) -> None:
        """From IDLE: join after so many seconds if that is wanted, or end."""
        raise NotImplementedError

    def _nothing(self, event: ev.Event, now: float) -> None:
        """Known here, and of no consequence."""
