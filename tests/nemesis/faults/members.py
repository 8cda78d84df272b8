"""Faults of etcd's members."""

from __future__ import annotations

import contextlib
import time
from typing import ClassVar, Final

from tests.nemesis.cluster_world import PATIENCE, TTL
from tests.nemesis.etcd_gateway import Gateway, Unanswered
from tests.nemesis.faults.base import Fault
from tests.nemesis.history import Forwarded
from tests.servers import EtcdServer, ProcessFailed, disks_available

COMMITS: Final = 0.3
"""Seconds within which etcd, which commits to its database ten times a second, has begun to."""
FORWARDS: Final = 2.0 * TTL
"""Seconds after its disk works again in which a replaced leader of etcd 3.5.1 may revoke leases that were renewed."""


class _OnMembers(Fault):
    """A fault of some members."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # passed on as they are
        self._hit: list[EtcdServer] = []

    def heal(self) -> None:
        for member in self._hit:
            self._mend(member)
        self.world.wait_healthy()

    def _choose(self) -> list[EtcdServer]:
        """The leader, more often than not; else a follower."""
        leader = self.world.cluster.leader()
        followers = [member for member in self.world.cluster.members if member is not leader]
        one = leader if self.rng.random() < 0.6 else self.rng.choice(followers)
        self.world.say(f"{self.name}: {one.name}{' who leads etcd' if one is leader else ''}")
        return [one]

    def _mend(self, member: EtcdServer) -> None:
        member.start(wait=False)


class KillMember(_OnMembers):
    """One of three: etcd goes on."""

    name: ClassVar = "kill-member"

    def inject(self) -> None:
        for member in self._choose():
            self._hit.append(member)
            member.kill()


class LoseQuorum(_OnMembers):
    """Two of three: etcd answers nobody."""

    name: ClassVar = "lose-quorum"

    def inject(self) -> None:
        hit = self.rng.sample(self.world.cluster.members, 2)
        self.world.say(f"{self.name}: {', '.join(one.name for one in hit)}")
        for member in hit:
            self._hit.append(member)
            member.kill()


class FreezeMember(_OnMembers):
    """One member stands still, its connections open.

    A leader that goes on believes for an instant that it still leads, and revokes what it takes for expired: etcd
    passes that on to the new leader. (etcd asks first whether it still leads, unless it ticked just before; a process
    that wakes ticks at once.)
    """

    name: ClassVar = "freeze-member"

    def unavailable(self) -> str:
        if self.world.shape.version != "3.7":
            return "a leader of etcd 3.5.1 that wakes may revoke leases that were renewed"
        return ""

    def inject(self) -> None:
        for member in self._choose():
            self._hit.append(member)
            member.pause()

    def heal(self) -> None:
        thawed = time.monotonic()
        super().heal()
        self.world.history.note(Forwarded(thawed, time.monotonic() + 1.0))

    def _mend(self, member: EtcdServer) -> None:
        member.resume()


class MoveLeader(Fault):
    """etcd's leadership moves, in order: all TTLs begin anew."""

    name: ClassVar = "move-leader"

    def inject(self) -> None:
        to = self.rng.choice(self.world.cluster.followers())
        self.world.say(f"{self.name}: to {to.name}")
        self.world.cluster.move_leader(to)

    def heal(self) -> None:
        self.world.wait_healthy()


class HangDisk(Fault):
    """The disk of etcd's leader hangs: etcd 3.5.1 goes on renewing leases there that expire elsewhere."""

    name: ClassVar = "hang-disk"

    def unavailable(self) -> str:
        if not disks_available():
            return "a disk that hangs needs root and loop devices"
        return "" if self.world.disk else "this world has no disk that can hang"

    def inject(self) -> None:
        hung = self.world.cluster.members[0]
        end = time.monotonic() + PATIENCE
        while not self._hang(hung):
            self.heal()
            time.sleep(FORWARDS)  # what it may still revoke is no part of the fault
            if time.monotonic() > end:
                raise ProcessFailed(f"each time that its disk hung, {hung.name} answered nothing to believe")
        self.world.say(f"{self.name}: {hung.name} who leads etcd")

    def _hang(self, hung: EtcdServer) -> bool:
        """Whether there is something to believe, for the lock's leader too: on a busy machine it may have changed."""
        if self.world.shape.apart:
            self._let_the_first_lead()
        if not self._freeze(hung):
            self.world.say(f"{self.name}: {hung.name} answered nothing any more, so there is nothing to believe")
            return False
        if self.world.shape.apart and not self.world.candidates[0].is_leading():
            self.world.say(f"{self.name}: whoever leads does not reach {hung.name}")
            return False
        return True

    def _let_the_first_lead(self) -> None:
        """The one sidecar that reaches it."""
        end = time.monotonic() + PATIENCE
        while (leader := self.world.leader()) is not self.world.candidates[0]:
            if leader:
                self.world.ask(leader, "handover")
            if time.monotonic() > end:
                raise ProcessFailed("the lock was handed over, but never to the sidecar that was to lead")
            time.sleep(1.0)  # the next one leads by then, and one request is for one handover

    def _freeze(self, hung: EtcdServer) -> bool:
        """Whether it goes on renewing: not if it was about to commit to its disk, for then it hangs altogether.

        It was, if its log has got ahead of its database: a write shows it, and is the last that it takes up.
        """
        assert self.world.disk is not None, "available"
        if self.world.cluster.leader() is not hung:
            self.world.cluster.move_leader(hung)
        with contextlib.closing(Gateway([hung.port], timeout=PATIENCE)) as patient:
            lease = patient.grant(int(PATIENCE))
        with contextlib.closing(Gateway([hung.port])) as gateway:
            time.sleep(COMMITS)  # or the grant itself would be what it is about to commit
            self.world.disk.freeze()
            with contextlib.suppress(Unanswered):
                Gateway([hung.port], timeout=COMMITS).revoke(lease)
            return gateway.renews(lease) and hung.is_leader()

    def heal(self) -> None:
        assert self.world.disk is not None, "available"
        thawed = time.monotonic()
        self.world.disk.thaw()
        self.world.wait_healthy()
        if self.world.shape.version != "3.7":
            self.world.history.note(Forwarded(thawed, time.monotonic() + FORWARDS))


MEMBER_FAULTS: tuple[type[Fault], ...] = (KillMember, LoseQuorum, FreezeMember, MoveLeader, HangDisk)
