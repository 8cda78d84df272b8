"""What an election is made of: values for what the pod wants, what etcd showed, the candidate, and what is pending.

`Machine` holds these values and the few things that every phase does with them: ask, schedule, note, move. The phases
are modules of functions on it. `election.py` lists them in its table and says what it is all for.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

from leasehold.base.records import dataclass, field
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.intent import Intent
from leasehold.election.lease import LeaseClock
from leasehold.election.queue_view import QueueView
from leasehold.election.snapshot import Cause, State
from leasehold.lock.keys import DEFAULT_ROOT, Keys
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code, Reason
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
"""Every change of state there is. The end of a candidate passes through IDLE even if the next one joins at once."""

WATCH_ALL_UP_TO: Final = 32
"""In a longer queue that would have etcd send too many events: there the first key and the one ahead have to do."""


@dataclass(frozen=True, slots=True)
class ElectionConfig:
    """How one sidecar is configured; durations in seconds.

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
    """False if the app reports its health: then nothing is joined before it says that it is healthy."""
    watch_all_up_to: int = WATCH_ALL_UP_TO
    """In a queue of so many candidates each watches all keys, so that it can name a new leader at once."""

    @property
    def keys(self) -> Keys:
        """The lock's keys in etcd."""
        return Keys(self.lock, self.root)


@dataclass(slots=True)
class EtcdKnowledge:
    """What etcd has shown so far. It outlives the candidate."""

    header: ev.ResponseHeader | None = None
    """That of the last answer."""
    revision: int = 0
    """The highest that any answer or watch has shown."""
    declared: ev.Declared = field(default_factory=lambda: ev.Declared(None))
    spec: Spec = field(default_factory=Spec)
    """The last good one."""
    spec_revision: int = 0
    no_skipping_until: float | None = None
    """The capacity fell less than a TTL ago: until this instant nobody's key but our own is deleted."""
    watching: cmd.Watch | None = None
    first_token: int = 0
    """No key in the queue had a lower create revision at `first_token_revision`, as a read of all of it showed."""
    first_token_revision: int = 0


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A question under way, and the highest revision that was known when it was asked."""

    command: cmd.Question
    known_revision: int


@dataclass(frozen=True, slots=True)
class Retry:
    """What a Tick at this instant goes on with."""

    at: float
    action: Callable[[Machine, float], None]


@dataclass(slots=True)
class Pending:
    """What is under way for the present candidate: a step or a timer for the next one, and the keep-alive."""

    step: PendingRequest | None = None
    retry: Retry | None = None
    keep_alive: PendingRequest | None = None
    """A KeepAlive, or the ReadOwn that confirms it."""
    keep_alive_at: float = math.inf
    """When the next one is due, if none is under way."""

    @property
    def question(self) -> cmd.Question | None:
        """What the state's progress waits for."""
        return self.step.command if self.step else None

    def find(self, op: int) -> PendingRequest | None:
        """The question with this number, if it is still under way."""
        return next((asked for asked in (self.step, self.keep_alive) if asked and asked.command.op == op), None)

    def is_keep_alive(self, op: int) -> bool:
        """Whether this is the number of the keep-alive under way, or of the read that confirms it."""
        return self.keep_alive is not None and self.keep_alive.command.op == op


@dataclass(slots=True)
class Handover:
    """How the present candidate gives up its place; blank unless it is YIELDING."""

    cause: Cause | None = None
    led: bool = False
    """Whether guarded work may have run under this candidate."""
    drain_until: float | None = None
    """While the guarded work may still run: the instant at which its time is up."""
    stop_by: float | None = None
    """When a stopping process leaves the lease to expire."""
    resigned: bool = False
    """A transaction that deletes our own key was sent."""
    outcome_unknown: bool = False
    """A write had no answer: the queue must be read before anything else is written."""
    failed_writes: int = 0


@dataclass(slots=True)
class Candidate:
    """One key attached to one lease. Each place in the queue gets a new one, so that nothing of the last one is left.

    `own` is our entry as last seen, None until the key stands. `watch_revision` is the highest revision that a watch
    showed: an older read is ignored.
    """

    lease: LeaseClock
    lease_id: int | None = None
    own: Entry | None = None
    view: QueueView = field(default_factory=QueueView)
    watch_revision: int = 0
    term_since: float | None = None
    keep_alives: int = 0
    unconfirmed: int = 0
    may_have_led: bool = False
    """Taken over from an earlier process, which may have led under this key."""
    may_be_skipped: bool = False
    detached: bool = False
    """Somebody has written our key without our lease: it would not go with it, and others would wait for ever."""
    handover: Handover = field(default_factory=Handover)

    @property
    def entry(self) -> Entry:
        """Our own entry. Only for phases in which the key is known to have stood."""
        assert self.own is not None, "only a candidate that has joined has an entry"
        return self.own

    @property
    def token(self) -> int:
        """The create revision of our key. Only for phases in which the key is known to have stood."""
        return self.entry.create_revision

    @property
    def is_draining(self) -> bool:
        """Whether the key is kept until the guarded work has stopped."""
        return self.handover.drain_until is not None


class IllegalEvent(Exception):
    """An event that this state does not know: a bug of the caller. Nothing has changed."""


class Machine:
    """The state of one sidecar's election for one lock."""

    def __init__(self, config: ElectionConfig, rng: random.Random) -> None:
        """`rng` spreads the retries of many sidecars; with the same one, the same events give the same commands."""
        self.config, self.rng = config, rng
        self.keys = config.keys
        self.state = State.IDLE
        self.intent = Intent(healthy=config.starts_healthy, was_healthy=config.starts_healthy)
        self.etcd = EtcdKnowledge()
        self.resumable: ev.Resumable | None = None
        self.error: str | None = None
        self.error_code: Code | None = None
        self.reason: Reason | None = None
        self.last_op = self.failures = 0
        self.out: list[cmd.Command] = []
        self.forget_candidate()

    def forget_candidate(self) -> None:
        """There is no candidate any more, and nothing is awaited."""
        self.candidate = Candidate(LeaseClock(self.config.max_drift))
        self.pending = Pending()

    def state_at(self, now: float) -> State:
        """The state at this instant: past the deadline nobody is a waiter or a holder for certain."""
        if self.state in (State.WAITING, State.HOLDING) and not self.candidate.lease.is_valid(now):
            return State.UNSURE
        return self.state

    def move(self, state: State) -> None:
        """Change the state. Raises AssertionError if `MOVES` does not list this change."""
        if state is not self.state and state not in MOVES[self.state]:
            raise AssertionError(f"no move from {self.state} to {state}")
        self.state = state

    def next_op(self) -> int:
        """The number of the next question."""
        self.last_op += 1
        return self.last_op

    def ask(self, command: cmd.Question) -> None:
        """Ask the one question that the state's progress waits for."""
        # the retry was to ask for the same
        self.pending.retry = None
        self.pending.step = PendingRequest(command, self.etcd.revision)
        self.out.append(command)

    def ask_keep_alive(self, command: cmd.KeepAlive | cmd.ReadOwn) -> None:
        """Ask the one question that the lease waits for."""
        self.pending.keep_alive = PendingRequest(command, self.etcd.revision)
        self.out.append(command)

    def schedule(self, delay: float, now: float, action: Callable[[Machine, float], None]) -> None:
        """Go on with `action` after so many seconds, from a Tick."""
        # what is under way is given up: its answer will be late
        self.pending.step = None
        self.pending.retry = Retry(now + delay, action)

    def schedule_keep_alive(self, at: float) -> None:
        """Plan the next keep-alive."""
        # a yielding candidate sends none: if etcd stays silent, the lease bounds how long the others wait for the key
        ending = self.state is State.YIELDING and not self.candidate.is_draining
        self.pending.keep_alive_at = math.inf if ending else at

    def next_due(self) -> float | None:
        """The next instant at which something is to be done, even if nothing happens until then; None for never."""
        pending, retry, handover = self.pending, self.pending.retry, self.candidate.handover
        due = [self.etcd.no_skipping_until, handover.drain_until, handover.stop_by, retry.at if retry else None]
        # past its deadline a holder must not answer yes, and a waiter must not take over unread
        if self.state in (State.WAITING, State.HOLDING):
            due.append(self.candidate.lease.deadline)
        if pending.keep_alive is None:
            due.append(pending.keep_alive_at)
        # a drain time without bound is infinite: it ends when the work has stopped, and not by a Tick
        return min((instant for instant in due if instant is not None and instant < math.inf), default=None)

    def back_off(self) -> float:
        """Seconds to wait: none the first time, then longer and longer until a keep-alive is confirmed."""
        self.failures += 1
        # most failures are the end of one connection, and the next one works
        if self.failures == 1:
            return 0.0
        return float(min(2.0, 0.1 * 2.0 ** min(self.failures, 8)) * self.rng.uniform(0.5, 1.0))

    def short_delay(self) -> float:
        """Seconds to wait where the lease is at stake: a few tries a second, spread over the sidecars."""
        return float(self.rng.uniform(0.2, 0.4))

    def note(self, kind: str, text: str) -> None:
        """Add a line to the log; `kind` is also the label of a metric."""
        self.out.append(cmd.Note(kind, text))

    def fail(self, code: Code, error: str) -> None:
        """Note the last error, until `recover` is called."""
        self.error, self.error_code = error, code

    def recover(self) -> None:
        """All is well: there is no last error any more."""
        self.error = self.error_code = None

    def is_undeclared(self) -> bool:
        """Whether the lock must be declared and is not. A lock whose spec cannot be read is declared."""
        return self.config.require_lock and self.etcd.declared.spec is None and not self.etcd.declared.broken

    def ttl_to_ask(self) -> int:
        """The TTL of the next lease, in seconds."""
        return self.config.ttl or self.etcd.spec.ttl or DEFAULT_TTL

    def has_led(self) -> bool:
        """Whether guarded work may be under way: we lead, led, or took over the term of a process that may have."""
        led = self.candidate.term_since is not None or self.candidate.may_have_led
        return led and self.state in (State.HOLDING, State.UNSURE)
