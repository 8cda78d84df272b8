"""Faults of etcd's members."""

from __future__ import annotations

import time
from typing import ClassVar

from tests.nemesis.faults.base import Fault
from tests.nemesis.history import Forwarded
from tests.nemesis.world import TTL
from tests.servers import EtcdServer, disks_available


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
        assert self.world.disk is not None, "available"
        hung = self.world.cluster.members[0]
        if self.world.cluster.leader() is not hung:
            self.world.cluster.move_leader(hung)
        self.world.say(f"{self.name}: {hung.name} who leads etcd")
        self.world.disk.freeze()

    def heal(self) -> None:
        assert self.world.disk is not None, "available"
        thawed = time.monotonic()
        self.world.disk.thaw()
        self.world.wait_healthy()
        if self.world.shape.version != "3.7":
            self.world.history.note(Forwarded(thawed, time.monotonic() + 2 * TTL))


MEMBER_FAULTS: tuple[type[Fault], ...] = (KillMember, LoseQuorum, FreezeMember, MoveLeader, HangDisk)
