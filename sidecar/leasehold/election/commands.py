"""What the election asks for. Commands are frozen, and none knows how it travels.

Every command that expects an answer carries a number, `op`; its one answer brings the number back. `ANSWERS` pairs
them.
"""

from __future__ import annotations

from typing import Final

from leasehold.base.records import dataclass
from leasehold.election import events as ev
from leasehold.lock.record import Entry, Record


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
class Expected:
    """The revisions that a confirming read compares: those of our own key, and the mod revisions of the others.

    `spec_revision` is 0 if there is no spec. `ahead_revision` counts only if the read names a key ahead.
    """

    token: int
    mod_revision: int
    spec_revision: int
    ahead_revision: int = 0


@dataclass(frozen=True, slots=True)
class ReadOwn:
    """Linearizable read, over the keep-alive's own connection, of what OwnRead lists. Answered by OwnRead.

    With `expected` it is one transaction, which reads only if a revision differs. Else it is answered by Unchanged:
    comparing costs etcd two thirds of reading, and the same in a long queue as in a short one.
    """

    op: int
    lease: int
    ahead: str | None
    expected: Expected | None = None


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
    """Delete our key, and those of `skipped`, if our key and every guard still has its create revision.

    `spec_revision`, unless None, is compared too. The resume file is marked before this is sent. Answered by Written:
    not done also when our own key is already gone.
    """

    op: int
    lease: int
    token: int
    skipped: tuple[Entry, ...] = ()
    guards: tuple[Entry, ...] = ()
    spec_revision: int | None = None
    keep_own: bool = False
    """Delete only `skipped`: there are too many of them for one transaction, and our own key comes last."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """End a lease that no key of ours needs any more. Best effort, unanswered: if it gets lost, the lease expires."""

    lease: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch exactly this from now on, from `revision` on; any other watch ends.

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


Question = ReadSpec | Grant | Join | ReadQueue | ReadOwn | KeepAlive | Write | Resign
"""What asks for an answer; its class says which."""
Command = Question | Revoke | Watch | Note | Stopped

ANSWERS: Final[dict[type, tuple[type[ev.Answer], ...]]] = {
    ReadSpec: (ev.SpecRead,),
    Grant: (ev.Granted,),
    Join: (ev.Joined,),
    ReadQueue: (ev.QueueRead,),
    ReadOwn: (ev.OwnRead, ev.Unchanged),
    KeepAlive: (ev.KeptAlive,),
    Write: (ev.Written,),
    Resign: (ev.Written,),
}
"""The events that may answer each question. `Failed` answers any of them."""


def answers(event: ev.Answer | ev.Failed, question: Command) -> bool:
    """Whether this kind of event can answer the question."""
    # a read that compares nothing cannot find anything unchanged
    if isinstance(event, ev.Unchanged):
        return isinstance(question, ReadOwn) and question.expected is not None
    return isinstance(event, (*ANSWERS[type(question)], ev.Failed))
