"""The members of the model etcd: who leads, what each member believes, how long a lease lives.

A lease lives on the clock of etcd's leader; a new leader starts every TTL anew. Four ways for a member to be unwell:

`down`     its process is gone, and its connections with it
`hung`     its process is frozen: whatever it is asked waits, and is done when it thaws
`stuck`    its disk hangs: keep-alives pass, nothing is applied; so its reads hang, its watches are silent, and writes
           through it take effect but are not answered
`believes` it was replaced as the leader and does not know it: it renews leases by its own table, under its old term
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from leasehold.election.events import ResponseHeader

from .store import Image, Store
from .timeline import Timeline, Trace


@dataclass(slots=True, eq=False)
class Member:
    """One etcd process. `rate` is how fast its host's clock runs."""

    id: int
    rate: float
    term: int = 1
    leader: Member | None = None
    """Whom it believes to lead."""
    boots: int = 0
    """How often its process was started anew: a connection to an earlier life is broken."""
    down: bool = False
    hung: bool = False
    stuck: bool = False
    applied: int = 1
    """The revision it got stuck at."""
    believes: dict[int, tuple[int, float]] | None = None
    """Its own table of leases: the TTL, and the true instant until which it thinks that the lease lives."""
    parked: list[Callable[[], None]] = field(default_factory=list)
    """What waits for it to come unstuck, or to learn of a leader."""

    @property
    def is_well(self) -> bool:
        return not (self.down or self.hung or self.stuck or self.believes is not None)

    def release(self) -> None:
        """Try again whatever waited."""
        if self.parked and not self.hung:
            parked, self.parked = self.parked, []
            for action in parked:
                action()

    def __str__(self) -> str:
        return f"etcd{self.id:x}"


class Cluster:
    """A quorum's store, its leases' clocks, and the members through which sidecars see it."""

    def __init__(self, timeline: Timeline, rng: random.Random, trace: Trace, rates: list[float]) -> None:
        self.timeline, self.rng, self.trace = timeline, rng, trace
        self.store = Store()
        self.id = 0x7000
        self.term = 1
        self.members = [Member(0xE0 + n, rate) for n, rate in enumerate(rates)]
        self.leader: Member | None = self.members[0]
        self.ready = True
        """Whether the leader has committed something in its own term: only then it reads linearizably."""
        self.on_commit: Callable[[], None] = lambda: None
        self.on_down: Callable[[Member], None] = lambda member: None
        self.expiry: dict[int, float] = {}
        self.longest_ttl = 3
        """The longest TTL that any lease was granted."""
        self._timers: dict[int, float] = {}
        self._dying: set[int] = set()
        for member in self.members:
            member.leader = self.leader

    # --- what a member says of itself

    def origin(self, member: Member) -> ResponseHeader:
        """The header of an answer that needed the quorum."""
        return ResponseHeader(self.id, member.id, member.term, self.store.revision)

    def own_origin(self, member: Member) -> ResponseHeader:
        """The header of an answer that this member gives by itself: its revision may lag."""
        revision = member.applied if member.stuck else self.store.revision
        lag = 1 if revision > 2 and not member.stuck and self.rng.random() < 0.1 else 0
        return ResponseHeader(self.id, member.id, member.term, revision - lag)

    def reaches_quorum(self, member: Member) -> bool:
        """Whether something proposed through this member is agreed on now."""
        boss = self.leader
        return self.ready and boss is not None and member.leader is boss and not (boss.stuck or boss.hung)

    # --- leases

    def grant(self, ttl: int) -> int:
        lease = self.rng.getrandbits(40) | 1
        self.store.grant(lease, ttl)
        self.longest_ttl = max(self.longest_ttl, ttl)
        self._start_clock(lease, 0.0)
        return lease

    def _start_clock(self, lease: int, extra: float) -> None:
        assert self.leader is not None
        self.expiry[lease] = self.timeline.now + (self.store.leases[lease] + extra) / self.leader.rate
        self._set_timer(lease, self.expiry[lease])

    def _set_timer(self, lease: int, instant: float) -> None:
        self._timers[lease] = instant
        self.timeline.at(instant, self._run_out, lease, instant)

    def renew(self, member: Member, lease: int) -> int | None:
        """A keep-alive through this member: the TTL it answers (0: no such lease), or None while nobody can say."""
        boss = member.leader
        if boss is None or boss.down or boss.hung:
            return None
        if boss.believes is not None:
            return self._renew_alone(boss, lease)
        if boss is not self.leader or lease in self._dying:
            return None  # of a lease whose revocation is under way, etcd says nothing before that is done
        if lease in self.store.leases:
            self.expiry[lease] = self.timeline.now + self.store.leases[lease] / boss.rate
        return self.store.leases.get(lease, 0)

    def _renew_alone(self, boss: Member, lease: int) -> int | None:
        """By a leader that was replaced: it asks nobody."""
        assert boss.believes is not None
        ttl, until = boss.believes.get(lease, (0, 0.0))
        if ttl and until <= self.timeline.now:
            return None
        if ttl:
            boss.believes[lease] = (ttl, self.timeline.now + ttl / boss.rate)
        return ttl

    def _run_out(self, lease: int, instant: float) -> None:
        """The leader's clock may have reached the end of this lease."""
        if self._timers.get(lease) != instant or lease not in self.store.leases or self.leader is None:
            return
        if self.timeline.now < self.expiry[lease]:
            self._set_timer(lease, self.expiry[lease])
            return
        self._dying.add(lease)
        # etcd looks twice a second, and the revocation must be agreed on; now and then both take no time
        lag = self.rng.choice((0.0, 0.0, self.rng.uniform(0.0, 0.6)))
        self.timeline.after(lag, self._end, lease)

    def _end(self, lease: int) -> None:
        if lease in self._dying and lease in self.store.leases:
            if self.leader is None or not self.reaches_quorum(self.leader):
                self.timeline.after(0.1, self._end, lease)
            else:
                self.revoke(lease, "expires")

    def revoke(self, lease: int, why: str) -> None:
        """End a lease, as the quorum agrees on it. Raises LeaseNotFound."""
        self.store.revoke(lease)
        self._dying.discard(lease)
        self.trace.add("etcd", why, f"lease {lease:x}, now at revision {self.store.revision}")
        self.on_commit()
        self.release()

    def release(self) -> None:
        for member in self.members:
            member.release()

    # --- changes of leader

    def depose(self, *, unaware: bool) -> None:
        """The leader has lost its quorum. If `unaware`, it goes on as if it had not."""
        old, self.leader, self.ready = self.leader, None, False
        if old is None:
            return
        if unaware:
            table = self.store.leases.items()
            old.believes = {lease: (ttl, self.expiry[lease]) for lease, ttl in table}
        for member in self.members:
            if member is not old and self.rng.random() < 0.5:
                member.leader = None
        if not unaware:
            old.leader = None
        self.trace.add("etcd", "depose", f"{old}{', which does not know it' if unaware else ''}")

    def promote(self, new: Member) -> None:
        """Make this member the leader, in a new term. Every lease's TTL starts anew."""
        self.term += 1
        new.term, new.leader, new.believes, self.leader = self.term, new, None, new
        extra = self.rng.choice((0.0, 0.0, 1.0))  # etcd adds its election timeout
        for lease in self.store.leases:
            self._start_clock(lease, extra)
        # a revocation that the old leader began may be in the new one's log: renewals until then are in vain
        doomed = [lease for lease in sorted(self._dying) if self.rng.random() < 0.5]
        self._dying.clear()
        self.timeline.after(self.rng.uniform(0.0, 0.2), self._settle, new, doomed)
        for member in self.members:
            if member is not new and member.believes is None:
                self.timeline.after(self.rng.uniform(0.0, 0.4), self._learn, member, new)
        self.trace.add("etcd", "leads", f"{new}, term {self.term}")

    def _settle(self, leader: Member, doomed: list[int]) -> None:
        if self.leader is leader:
            self.ready = True
            for lease in doomed:
                if lease in self.store.leases:
                    self.revoke(lease, "expires")
            self.release()

    def _learn(self, member: Member, leader: Member) -> None:
        if self.leader is leader:
            member.term, member.leader = self.term, leader
            member.release()

    def rejoin(self, member: Member) -> None:
        """A member is well again, and learns what it missed."""
        member.down = member.hung = member.stuck = False
        member.believes = None
        member.term = max(member.term, self.term)
        if member is not self.leader:
            member.leader = self.leader
        self.trace.add("etcd", "rejoin", member)
        self.on_commit()
        member.release()

    def hang_up(self, member: Member) -> None:
        """The member's process ends, and its connections with it."""
        member.boots += 1
        self.on_down(member)

    # --- loss of data

    def restore(self, image: Image, *, same_cluster: bool, bump: int = 0) -> None:
        """All members restart from this image; nobody leads until one is promoted."""
        self.store.restore(image, bump)
        self.leader, self.ready = None, False
        self.term = self.rng.choice((1, self.term))
        self._dying.clear()
        self.id += 0 if same_cluster else 1
        for member in self.members:
            member.parked.clear()
            member.believes, member.leader, member.term = None, None, self.term
            member.stuck = member.hung = member.down = False
            member.id += 0 if same_cluster else 0x10
            self.hang_up(member)
        self.trace.add("etcd", "restore", f"at revision {self.store.revision}, cluster {self.id:x}")
