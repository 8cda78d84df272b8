"""What the election is told, what it asks for, and what the rest of the process sees of it.

Events go in, commands come out; a `Snapshot` is published after each. All are frozen, and none knows how it travels.
Instants (`sent`, `now`, `deadline`) are seconds of one monotonic clock that also runs while the machine sleeps.
Every command that goes to etcd carries a number, `op`; its one answer brings the number back. An answer whose number
is no longer awaited is late, and must not be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leasehold.lock.keys import Entry, LockName, Record, Spec


class State(StrEnum):
    """Where a sidecar stands in the election; the transitions are listed in `election.py`."""

    IDLE = "idle"
    JOINING = "joining"
    WAITING = "waiting"
    HOLDING = "holding"
    UNSURE = "unsure"
    YIELDING = "yielding"


class Cause(StrEnum):
    """Why a candidate gives up its place on purpose."""

    SHUTDOWN = "shutdown"
    REQUEST = "request"
    PAUSE = "pause"
    PREFERRED = "preferred"
    UNHEALTHY = "unhealthy"
    SUSPENDED = "suspended"
    CAPACITY = "capacity"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    """The header of an etcd answer: which member gave it, and what that member knew."""

    cluster: int
    member: int
    term: int
    revision: int


# --- events: answers from etcd ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """The spec key as one read found it: its spec, or None where the lock is undeclared or its spec unreadable."""

    spec: Spec | None
    revision: int = 0
    """The key's mod revision; 0 when there is no such key."""
    broken: str = ""
    """Why the value could not be read; the last good spec stays in force."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of etcd to the command numbered `op`."""

    op: int
    origin: ResponseHeader


@dataclass(frozen=True, slots=True)
class SpecRead(Answer):
    """A linearizable read of the spec key."""

    declared: Declared


@dataclass(frozen=True, slots=True)
class Granted(Answer):
    """A fresh lease. `ttl` is what etcd answered, in seconds; `sent` the instant before the request was sent."""

    lease: int
    ttl: int
    sent: float


@dataclass(frozen=True, slots=True)
class Joined(Answer):
    """The joining transaction. Not `created` when the spec had moved; else `queue` holds every entry, ours too."""

    created: bool
    queue: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueRead(Answer):
    """A linearizable read of the whole queue, in order, and of the spec, at one revision."""

    queue: tuple[Entry, ...]
    declared: Declared


@dataclass(frozen=True, slots=True)
class OwnRead(Answer):
    """A linearizable read, at one revision, of our own entry, the one watched ahead of it, the first one, the spec.

    `count` is how many entries the whole queue has; 0 when that is not known.
    """

    own: Entry | None
    ahead: Entry | None
    head: Entry | None
    declared: Declared
    count: int = 0


@dataclass(frozen=True, slots=True)
class KeptAlive(Answer):
    """A keep-alive's answer; a `ttl` of 0 or less says that the lease is gone."""

    ttl: int
    sent: float


@dataclass(frozen=True, slots=True)
class Written(Answer):
    """A transaction of `Write` or `Resign` ran; `done` is whether its comparisons held."""

    done: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or an error. The outcome is unknown unless `refused`: then etcd said that nothing was done.

    `lease_gone` is etcd's answer that the lease named in the command does not exist. `unmarked` says that a Resign was
    not sent, and never can be, because the resume file could not be marked before.
    """

    op: int
    reason: str
    refused: bool = False
    lease_gone: bool = False
    unmarked: bool = False


# --- events: watches -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryPut:
    """A watched candidate's key was written at `entry.mod_revision`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class EntryGone:
    """A watched candidate's key was deleted, or its lease expired, at this revision."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class SpecChanged:
    """The spec key was written or deleted; `declared.revision` is 0 when deleted."""

    declared: Declared
    revision: int


@dataclass(frozen=True, slots=True)
class WatchLost:
    """Events may have been missed: cancelled, compacted, or the connection broke."""

    reason: str


# --- events: this pod ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resumable:
    """What an earlier process of this pod left behind: a key that may still be ours.

    `cluster` is the id of the etcd cluster that it was in; 0 where that was never learned.
    """

    lease: int
    token: int
    cluster: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """Take part from now on, with what an earlier process left behind, if anything."""

    resume: Resumable | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The process is to end: give up the lock and do not come back."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give up the lock, then stand in the queue again."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave the queue until `Resume`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Join again after `Pause`."""


@dataclass(frozen=True, slots=True)
class WorkStopped:
    """The guarded work has stopped: there is nothing left to wait for before the key is given up."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the app says of itself; an unhealthy one neither joins nor stays."""

    healthy: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; nothing else has happened."""


Event = (
    SpecRead
    | Granted
    | Joined
    | QueueRead
    | OwnRead
    | KeptAlive
    | Written
    | Failed
    | EntryPut
    | EntryGone
    | SpecChanged
    | WatchLost
    | Start
    | Stop
    | HandOver
    | Pause
    | Resume
    | WorkStopped
    | Health
    | Tick
)


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadSpec:
    """Linearizable read of the spec key. Answered by SpecRead."""

    op: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A fresh lease of `ttl` seconds. Answered by Granted."""

    op: int
    ttl: int


@dataclass(frozen=True, slots=True)
class Join:
    """One transaction: if the spec's mod revision is `spec_revision` and the key is new, put it and read the queue.

    Answered by Joined.
    """

    op: int
    lease: int
    record: Record
    spec_revision: int


@dataclass(frozen=True, slots=True)
class ReadQueue:
    """Linearizable read of the queue and the spec at one revision. Answered by QueueRead."""

    op: int


@dataclass(frozen=True, slots=True)
class ReadOwn:
    """Linearizable read, over the keep-alive's own connection, of what OwnRead lists. Answered by OwnRead."""

    op: int
    lease: int
    ahead: str | None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Renew the lease. Answered by KeptAlive."""

    op: int
    lease: int


@dataclass(frozen=True, slots=True)
class Write:
    """Put our own record, if our key still has this create and mod revision. Answered by Written."""

    op: int
    lease: int
    record: Record
    token: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Resign:
    """Delete our key, and those of `passed`, if our key and every guard still has its create revision.

    `spec_revision`, unless None, is compared too. The resume file is marked before this is sent. Answered by Written:
    not done also when our own key is already gone.
    """

    op: int
    lease: int
    token: int
    passed: tuple[Entry, ...] = ()
    guards: tuple[Entry, ...] = ()
    spec_revision: int | None = None
    keep_own: bool = False
    """Delete only `passed`: there are too many of them for one transaction, and our own key comes last."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """End a lease that no key of ours needs any more. Best effort, unanswered: else it expires by itself."""

    lease: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch exactly this from now on, from `revision` on; whatever else was watched no longer is.

    `keys` are candidates' keys, `queue` the whole queue, `spec` the spec key. Nothing at all ends the watches.
    """

    revision: int
    keys: frozenset[str] = frozenset()
    queue: bool = False
    spec: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should read in the log; `kind` is stable, for counting."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The election has ended after `Stop`: nothing of it is left in etcd, as far as can be known."""


Command = ReadSpec | Grant | Join | ReadQueue | ReadOwn | KeepAlive | Write | Resign | Revoke | Watch | Note | Stopped


# --- what is published -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the endpoint, metrics, state file and hooks ever see of the election."""

    lock: LockName
    identity: str
    state: State
    token: int | None = None
    """The fencing token: the create revision of our own key, while we have one."""
    key: str | None = None
    """That key in etcd: a write that compares its create revision with the token is fenced."""
    term_since: float | None = None
    """When this process first held under this token."""
    deadline: float | None = None
    """The lease deadline: holding is over then, whatever `state` still says."""
    leader: str | None = None
    """The identity of the first holder, as last seen; None when the lock was seen vacant or is unknown."""
    position: int | None = None
    """How many candidates stood ahead of ours when the queue was last read."""
    cause: Cause | None = None
    """While yielding: why."""
    last_error: str | None = None

    def is_holding(self, now: float) -> bool:
        """Whether this sidecar may say at this instant that it leads."""
        return self.state is State.HOLDING and self.deadline is not None and now < self.deadline

    def valid_for(self, now: float) -> float:
        """Seconds for which that answer stays true unless renewed; 0 when not holding."""
        return max(0.0, self.deadline - now) if self.is_holding(now) and self.deadline is not None else 0.0
