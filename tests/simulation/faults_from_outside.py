"""What others with access to etcd do: the operator, people, programs in the same queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leasehold.lock.record import Entry, Record
from leasehold.lock.spec import Spec

from .fault import Heal
from .store import KEYS

if TYPE_CHECKING:
    from .world import World


def redeclare(world: World) -> Heal | None:
    """The operator changes the lock, or deletes it, or somebody breaks its key."""
    if not world.cluster.ready:
        return None
    old = world.cluster.store.declared.spec or Spec()
    luck = world.rng.random()
    if luck < 0.05:
        world.cluster.store.declare(None, broken="the lock's spec key does not hold a JSON object")
    elif luck < 0.12:
        world.cluster.store.declare(None)
    else:
        world.cluster.store.declare(_changed(world, old))
    world.trace.add("operator", "writes", world.cluster.store.declared)
    world.cluster.on_commit()
    return None


def _changed(world: World, old: Spec) -> Spec:
    rng = world.rng
    name = rng.choice([host.name for host in world.hosts])
    changes = (
        {"preferred_holder": rng.choice((name, ""))},
        {"preferred_group": rng.choice(("red", "blue", ""))},
        {"capacity": rng.choice((1, 1, 2, 3))} if world.varies_capacity else {"suspend": False},
        {"suspend": rng.random() < 0.5},
        {"handover_up_to_token": max(old.handover_up_to_token, world.cluster.store.revision)},
        {"ttl": rng.choice((None, 3, 4, 6)) if world.ttl > 5 else 4},
    )
    return replace(old, **rng.choice(changes), generation=old.generation + 1)


def _one_of_ours(world: World) -> Entry | None:
    own = [entry for entry in world.cluster.store.queue() if not entry.record.foreign]
    if not own or not world.cluster.ready:
        return None
    return own[0] if world.rng.random() < 0.6 else world.rng.choice(own)


def delete_key(world: World) -> Heal | None:
    """Somebody deletes a candidate's key."""
    entry = _one_of_ours(world)
    if entry is not None:
        world.judge.excuse(entry.lease)
        world.cluster.store.delete([entry.key])
        world.trace.add("somebody", "delete", entry.key)
        world.cluster.on_commit()
    return None


def revoke_lease(world: World) -> Heal | None:
    """Somebody revokes a candidate's lease."""
    entry = _one_of_ours(world)
    if entry is not None:
        world.judge.excuse(entry.lease)
        world.cluster.revoke(entry.lease, "revoked")
    return None


def usurp_key(world: World) -> Heal | None:
    """Another process of the same pod, on a copy of its state directory, takes over a candidate's key."""
    entry = _one_of_ours(world)
    if entry is not None:
        world.judge.excuse(entry.lease)
        record = replace(entry.record, incarnation="usurper", yield_to="")
        world.cluster.store.put(entry.key, entry.lease, record)
        world.trace.add("somebody", "usurps", entry.key)
        world.cluster.on_commit()
    return None


def intrude(world: World) -> Heal | None:
    """A candidate that is not ours joins; it leaves again, or is left to expire."""
    cluster = world.cluster
    if not cluster.ready:
        return None
    lease = cluster.grant(world.ttl)
    cluster.store.put(KEYS.entry(lease), lease, Record(identity="etcdctl", foreign=True))
    world.trace.add("etcdctl", "joins", KEYS.entry(lease))
    cluster.on_commit()

    def leave() -> None:
        if lease in cluster.store.leases:
            cluster.revoke(lease, "leaves")

    return leave
