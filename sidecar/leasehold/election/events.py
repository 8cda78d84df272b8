"""What can happen to the election: answers of etcd, events of its watches, and what this pod wants.

Events are frozen, and none knows how it travelled. Instants (`sent`, `now`, `deadline`) are seconds of one monotonic
clock that also runs while the machine sleeps. An answer brings back the number, `op`, of the command that asked for it.
If that command is no longer pending, the answer is late and must be ignored.
"""

from __future__ import annotations

from leasehold.base.records import dataclass
from leasehold.lock.reason import Code
from leasehold.lock.record import Entry
from leasehold.lock.spec import Spec


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

    @property
    def effective(self) -> Spec:
        """The spec, or the defaults: what applies unless an earlier, good one was read."""
        return self.spec or Spec()


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
class Unchanged(Answer):
    """At the answer's revision all was as the confirming read expected: our own key, the one ahead, and the spec."""


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
    not sent, and never can be, because the resume file could not be marked before. `code` is the kind of failure.
    """

    op: int
    reason: str
    refused: bool = False
    lease_gone: bool = False
    unmarked: bool = False
    code: Code = Code.ETCD_UNREACHABLE


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
    """Events may have been missed: cancelled, compacted, or the connection broke. `code` is the kind of failure."""

    reason: str
    code: Code = Code.ETCD_UNREACHABLE


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
    """The process is to end: give up the lock and do not come back.

    With `awaits_work`, the key of a leader stands until `WorkStopped`, whatever drain time other handovers have.
    """

    awaits_work: bool = False


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
    """What the app says of itself; an unhealthy one neither joins nor stays.

    `problem` says what is wrong. `until` is the instant before which no answer of the app makes it healthy, if any.
    """

    healthy: bool
    problem: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; nothing else has happened."""


FromEtcd = SpecRead | Granted | Joined | QueueRead | OwnRead | Unchanged | KeptAlive | Written | Failed
FromWatch = EntryPut | EntryGone | SpecChanged | WatchLost
FromPod = Start | Stop | HandOver | Pause | Resume | WorkStopped | Health | Tick
Event = FromEtcd | FromWatch | FromPod
