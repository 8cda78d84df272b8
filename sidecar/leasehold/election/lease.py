"""Until when a sidecar may rely on its lease: the second guarantee.

    deadline = sent + ttl × (1 − d) / (1 + d)

`sent` is read before the request leaves, so etcd starts to count later than we do; the factor leaves room for a local
clock that is slow and a clock of etcd that is fast by `d` each. A grant is agreed by a majority, so it counts at once.
A keep-alive is not: the member that answers it may be a leader whom the others have already replaced, or may have
forwarded it to one. (etcd 3.5.1 with a hung disk went on renewing a lease for 20 s after it had expired elsewhere.)
So a keep-alive moves the deadline only once it is *confirmed*:

1. before it was sent, some answer had shown us a member and that member's raft term;
2. the keep-alive was answered by that member;
3. a linearizable read sent after that answer, of our own key, was answered by that member in that same raft term.

The read shows that the term's leader was still the leader after it renewed the lease, and that the key still stood.
A leader elected later restarts the lease's whole TTL, which is later than ours.
"""

from __future__ import annotations

from leasehold.base.records import dataclass
from leasehold.election.events import ResponseHeader


@dataclass(slots=True)
class LeaseClock:
    """The lease deadline of one candidate, and the keep-alive under way, if any. All instants are local seconds."""

    max_drift: float
    """The bound `d` on how much the rate of any clock involved is off, as a fraction."""
    factor: float = 0.0
    """What part of a TTL counts; follows from `max_drift`."""
    deadline: float | None = None
    ttl: int = 0
    next_due: float = 0.0
    """When the first keep-alive after the grant is due."""
    before: ResponseHeader | None = None
    sent: float | None = None
    renewed_since: float | None = None
    renewed_last: float = 0.0

    def __post_init__(self) -> None:
        self.factor = (1 - self.max_drift) / (1 + self.max_drift)

    def granted(self, sent: float, ttl: int, asked: int) -> None:
        """A fresh lease; etcd may answer a longer TTL than was asked, and only the shorter one counts."""
        self.ttl = min(ttl, asked)
        self.next_due = sent + self.interval
        self.deadline = sent + self.ttl * self.factor

    @property
    def interval(self) -> float:
        """Seconds from one keep-alive to the next."""
        return self.ttl / 3

    def begin(self, before: ResponseHeader | None) -> None:
        """A keep-alive is about to be sent; `before` is the header of the last answer received."""
        self.before = before
        self.sent = None

    def answered(self, origin: ResponseHeader, sent: float, ttl: int) -> None:
        """The keep-alive begun last was answered: it still waits to be confirmed."""
        self.ttl = min(self.ttl or ttl, ttl)
        # another member may be a leader that was replaced; its answer proves nothing
        same = self.before is not None and origin.member == self.before.member
        self.sent = sent if same else None
        # a gap of a TTL: etcd was away, so the time in it says nothing about us
        if self.renewed_since is None or sent - self.renewed_last > self.ttl:
            self.renewed_since = sent
        self.renewed_last = sent

    @property
    def is_unconfirmed(self) -> bool:
        """Whether keep-alives have been answered for a whole TTL, up to the last one, and none was confirmed.

        A candidate that can renew its lease and not confirm it must end: it would keep the others out and never hold.
        """
        return self.renewed_since is not None and self.renewed_last - self.renewed_since > self.ttl

    def confirm(self, origin: ResponseHeader) -> bool:
        """The confirming read was answered, and showed our key. Whether the keep-alive counts; if so, it does now."""
        before, sent = self.before, self.sent
        self.before = self.sent = None
        if before is None or sent is None:
            return False
        # the term moved: the leader that renewed the lease may not have been the leader any more
        if (origin.cluster, origin.member, origin.term) != (before.cluster, before.member, before.term):
            return False
        self.renewed_since = None
        deadline = sent + self.ttl * self.factor
        # a late confirmation of an earlier keep-alive never moves the deadline back
        self.deadline = deadline if self.deadline is None else max(self.deadline, deadline)
        return True

    def is_valid(self, now: float) -> bool:
        """Whether the lease is certainly alive at this instant, as far as clocks keep to the bound."""
        return self.deadline is not None and now < self.deadline
