"""What befalls etcd's members, and its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from leasehold.election import events as ev
from leasehold.election.snapshot import State

from .cluster import Member
from .fault import Heal, cut_off
from .host import Host
from .store import Image

if TYPE_CHECKING:
    from .world import World


def _others(world: World) -> list[Member]:
    return [member for member in world.cluster.members if member is not world.cluster.leader]


def change_leader(world: World) -> Heal | None:
    """The members elect another leader; a single one restarts."""
    cluster, gap = world.cluster, world.rng.uniform(0.0, 2.0)
    old = cluster.leader
    new = world.rng.choice(_others(world) or cluster.members)
    cluster.depose(unaware=False)
    if new is old:
        cluster.hang_up(new)
    world.timeline.after(gap, _promote, world, new)
    return lambda: _promote(world, new)


def _promote(world: World, new: Member) -> None:
    if world.cluster.leader is None:
        world.cluster.promote(new)


def usurp_leader(world: World) -> Heal | None:
    """The leader's disk hangs, or its peers do not hear it: another is elected, and it does not know."""
    cluster = world.cluster
    old, others = cluster.leader, _others(world)
    if old is None or not others:
        return None
    cluster.depose(unaware=True)
    old.applied = cluster.store.revision
    _promote_later(world, others)
    return lambda: cluster.rejoin(old)


def partition(world: World) -> Heal | None:
    """Some hosts are cut off together with the leader that is replaced, and reach only it."""
    cluster = world.cluster
    old, heal = cluster.leader, usurp_leader(world)
    if old is None or heal is None:
        return None
    inside = _near(world, old)
    cut_off(world, inside, set(range(len(cluster.members))) - {cluster.members.index(old)})

    def mend() -> None:
        heal()
        for host in inside:
            world.network.mend(host)

    return mend


def relapse(world: World) -> Heal | None:
    """A replaced leader comes to know it; just then the hosts that had trusted it reach nobody any more.

    They were with it from the start, and with nobody else; or moved to it from another member, late.
    """
    old, heal = world.cluster.leader, usurp_leader(world)
    return None if old is None or heal is None else _Relapse(world, old, heal).begin()


@dataclass(slots=True)
class _Relapse:
    """One of them: `heal` ends the rule of the new leader, and `inside` are the hosts that trust the old one."""

    world: World
    old: Member
    heal: Heal
    inside: list[Host] = field(default_factory=list)
    ended: bool = False

    def begin(self) -> Heal:
        world, everyone = self.world, self._everyone()
        luck, span = world.rng.random(), world.rng.uniform(0.05, 1.0) * world.ttl
        if luck < 0.6:
            self._gather(everyone - {world.cluster.members.index(self.old)})
        else:
            late = max(0.0, span - world.rng.uniform(0.0, world.patience))
            world.timeline.after(late, self._gather, set())
        if luck < 0.3:
            self._rejoin_when_unsure()
        else:
            world.timeline.after(span, self._rejoin)
        return self._mend

    def _everyone(self) -> set[int]:
        return set(range(len(self.world.cluster.members)))

    def _gather(self, others: set[int]) -> None:
        if not self.ended:
            self.inside.extend(_near(self.world, self.old))
            cut_off(self.world, self.inside, others)

    def _rejoin_when_unsure(self) -> None:
        """The worst instant: somebody is unsure of its lease, and has a question waiting here."""
        unsure = (host.process and host.process.snapshot.state is State.UNSURE for host in self.inside)
        if self.ended or (self.old.parked and any(unsure)):
            self._rejoin()
        else:
            self.world.timeline.after(0.1, self._rejoin_when_unsure)

    def _rejoin(self) -> None:
        self.heal()
        rng = self.world.rng
        soon = rng.choice((rng.uniform(0.001, 0.01), rng.uniform(0.01, 0.1)))
        self.world.timeline.after(soon, self._cut_all_off)

    def _cut_all_off(self) -> None:
        if not self.ended:
            cut_off(self.world, self.inside, self._everyone())

    def _mend(self) -> None:
        self.ended = True
        self.heal()
        for host in self.inside:
            self.world.network.mend(host)


def _near(world: World, member: Member) -> list[Host]:
    """The holders, moved to this member; and those who are connected to it anyway."""
    place = world.cluster.members.index(member)
    for host in world.hosts:
        if host.process is not None and host.process.is_holding() and host.connection != place:
            host.connection = place - 1
            host.process.broken("connection reset")
    near = [host for host in world.hosts if host.connection == place]
    return near[: len(world.hosts) - 1]


def _promote_later(world: World, others: list[Member]) -> None:
    gap = world.rng.choice((0.1, world.rng.uniform(0.0, 2.0)))
    world.timeline.after(gap, _promote, world, world.rng.choice(others))


def hang_disk(world: World) -> Heal | None:
    """A follower's disk hangs; where there is but one member, the leader's."""
    member = world.rng.choice(_others(world) or world.cluster.members)
    member.stuck, member.applied = True, world.cluster.store.revision
    world.trace.add("etcd", "stuck", member)
    return lambda: world.cluster.rejoin(member)


def hang_member(world: World) -> Heal | None:
    """A member's process is frozen; if it led, another is elected, and for an instant after its thaw it still leads."""
    cluster = world.cluster
    member, others = world.rng.choice(cluster.members), _others(world)
    if member is cluster.leader and others:
        cluster.depose(unaware=True)
        _promote_later(world, others)
    member.hung = True
    world.trace.add("etcd", "hangs", member)

    def thaw() -> None:
        member.hung = False
        member.release()
        world.timeline.after(world.rng.uniform(0.0, 0.3), cluster.rejoin, member)

    return thaw


def kill_member(world: World) -> Heal | None:
    cluster = world.cluster
    member, others = world.rng.choice(cluster.members), _others(world)
    if member is cluster.leader:
        cluster.depose(unaware=False)
        if others:
            _promote_later(world, others)
    member.down = True
    cluster.hang_up(member)
    world.trace.add("etcd", "killed", member)

    def restart() -> None:
        cluster.rejoin(member)
        if cluster.leader is None and not others:
            cluster.promote(member)

    return restart


def refuse(world: World) -> Heal | None:
    """No space left: etcd refuses to write."""
    world.service.refuses = True

    def clear() -> None:
        world.service.refuses = False

    return clear


def compact(world: World) -> Heal | None:
    world.cluster.store.compact()
    return None


def lose_data(world: World) -> Heal | None:
    """etcd is wiped, or restored from an earlier snapshot without raising its revision."""
    images = [Image(1, (), ev.Declared(None), ()), *world.images]
    world.lose_data(world.rng.choice(images))
    return _promote_anyone(world)


def restore_bumped(world: World) -> Heal | None:
    """etcd is restored from an earlier snapshot, its revision raised above all that it ever had."""
    if not world.images:
        return None
    image = world.rng.choice(world.images)
    world.lose_data(image, bump=world.cluster.store.revision - image.revision + world.rng.randint(1, 1000))
    return _promote_anyone(world)


def _promote_anyone(world: World) -> Heal:
    new = world.rng.choice(world.cluster.members)
    world.timeline.after(world.rng.uniform(0.05, 2.0), _promote, world, new)
    return lambda: _promote(world, new)
