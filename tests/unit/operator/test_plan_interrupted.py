"""Every interrupted sequence ends where the uninterrupted one does.

Each scenario runs once without interruption, then once per operation with an interruption there: the operator crashes,
its write fails, its write is done but reported as failed, or the other replica takes over. The end must be the same,
and nothing forbidden may happen on the way (`plan_world`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from leasehold.lock.spec import Spec
from leasehold.lock.stored import StoredSpec
from leasehold.operator.plan.model import Memory
from leasehold.operator.plan.plan import plan
from tests.support.examples import some
from tests.unit.operator.plan_world import HOWS, Interruption, World

Step = Callable[[World], object]


def apply(**spec: Any) -> Step:
    return lambda world: world.apply(**spec)


def join(identity: str, **record: Any) -> Step:
    return lambda world: world.join(identity, **record)


def leave(identity: str, released: bool = True) -> Step:
    return lambda world: world.go(next(one for one in world.queue if one.record.identity == identity), released)


def upto(**fields: str) -> Step:
    """Set these fields to the token of the candidate of that name."""

    def step(world: World) -> None:
        tokens = {one.record.identity: one.create_revision for one in world.queue}
        world.apply(**{field: tokens[identity] for field, identity in fields.items()})

    return step


def delete(world: World) -> None:
    world.delete()


def stubborn(world: World) -> None:
    """No sidecar obeys."""
    world.stubborn |= {one.record.identity for one in world.queue}


def pod_ended(identity: str) -> Step:
    return lambda world: world.ended_pods.add(f"uid-{identity}")


def change_of_mind(world: World) -> None:
    """The lock's release has begun before its deletion policy becomes Orphan."""
    assert world.spec is not None
    assert world.spec.spec is not None
    world.delete()
    world.write_spec(replace(world.spec.spec, suspend=True, deleting=True))
    world.apply(deletion_policy="Orphan")


def vanish(world: World) -> None:
    """The resource is gone although it had the finalizer: somebody removed that."""
    world.resource = None


def lose_spec(world: World) -> None:
    world.write_spec(None)


def spoil_spec(world: World) -> None:
    world.revision += 1
    world.spec = StoredSpec(b"spoilt", world.revision, None)


def foreign_spec(world: World) -> None:
    world.write_spec(Spec(ttl=5, suspend=True))


def roll_back(world: World) -> None:
    """etcd is restored from a backup without the queue, so the next candidate gets an old token."""
    world.rolled_back = True
    world.revision = 40
    world.queue.clear()
    if world.spec is not None:
        world.spec = replace(world.spec, mod_revision=30)


def cut_etcd(world: World) -> None:
    world.away_since = world.now


def heal_etcd(world: World) -> None:
    world.away_since = None


def edit_status(world: World) -> None:
    assert world.resource is not None
    world.resource = replace(world.resource, status={**world.resource.status, "holders": [], "waiterCount": 9})


SCENARIOS: Mapping[str, tuple[Step, ...]] = {
    "created": (apply(), join("a"), join("b"), leave("a"), leave("b", released=False)),
    "over a queue": (join("a"), join("b"), apply(capacity=2)),
    "changed": (apply(), join("a"), apply(lease_duration=60), apply(preferred_holder="b"), apply(lease_duration=5)),
    "capacity": (
        apply(capacity=3),
        join("a"),
        apply(capacity=1),
        apply(capacity=2),
        apply(capacity=1),
        apply(capacity=4),
    ),
    "suspended": (apply(), join("a"), join("b"), apply(suspend=True), join("a"), apply(suspend=False)),
    "suspended in vain": (apply(), join("a"), stubborn, apply(suspend=True), leave("a"), apply(suspend=False)),
    "handed over": (apply(), join("a"), join("b"), upto(handover_up_to_token="a"), join("a")),
    "revoked": (apply(), join("x", foreign=True), join("a"), join("b"), upto(revoke_up_to_token="a")),
    "pod ended": (apply(capacity=2), join("a"), join("b"), pod_ended("a")),
    "labelled": (apply(pod_label=True), join("a"), join("b"), leave("a"), apply(pod_label=False)),
    "deleted held": (apply(capacity=2), join("a"), join("b"), join("c"), delete),
    "deleted in vain": (apply(), join("a"), stubborn, delete),
    "deleted vacant": (apply(), delete),
    "deleted with a label": (apply(pod_label=True), join("a"), join("x", foreign=True), delete),
    "left": (apply(deletion_policy="Orphan", capacity=2), join("a"), delete),
    "left after all": (apply(), join("a"), stubborn, change_of_mind),
    "made again": (apply(), join("a"), delete, apply(capacity=2), join("b")),
    "swept": (apply(), join("a"), join("b"), vanish),
    "swept in vain": (apply(), join("a"), stubborn, vanish),
    "swept and made again": (apply(capacity=2), join("a"), vanish, apply(), join("b")),
    "rolled back": (
        *(apply(), join("a"), join("b"), upto(handover_up_to_token="a", revoke_up_to_token="a"), roll_back),
        *(join("c"), join("d"), apply(handover_up_to_token=0, revoke_up_to_token=0), leave("c")),
    ),
    "rolled back and outgrown": (apply(), join("a"), upto(revoke_up_to_token="a"), roll_back, join("b"), leave("b")),
    "token ahead": (apply(), join("a"), apply(handover_up_to_token=10**15), apply(handover_up_to_token=0), join("b")),
    "drifted": (apply(capacity=2), join("a"), lose_spec, spoil_spec, foreign_spec, edit_status),
    "etcd away": (apply(), join("a"), join("b"), cut_etcd, apply(capacity=2), heal_etcd, leave("a")),
    "deleted while etcd was away": (apply(), join("a"), cut_etcd, delete, heal_etcd),
}


def play(steps: tuple[Step, ...], interruption: Interruption) -> World:
    """The world at rest after each step."""
    world = World(interruption)
    for step in steps:
        step(world)
        world.settle()
    return world


def end(world: World) -> tuple[object, ...]:
    """What must be the same: everything except times and versions."""
    resource = world.resource
    seen = resource and (resource.spec, resource.finalizers, resource.deleting, timeless(dict(resource.status)))
    value = world.spec.value if world.spec else None
    return seen, value, [one.record.identity for one in world.queue], world.labels


_FLEETING = ("recentTerms", "acquireTime", "lastTransitionTime", "fencingToken", "leaseID")


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in _FLEETING}
    return [timeless(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_interruption_has_the_same_end(name: str, how: str) -> None:
    """After each operation of each scenario. The end is a fixed point, also for a restarted operator."""
    steps = SCENARIOS[name]
    peaceful = play(steps, Interruption())
    for at in some(peaceful.operations):
        world = play(steps, Interruption(at, how))
        assert end(world) == end(peaceful), f"{how} at operation {at}"
        rests(world)


def rests(world: World) -> None:
    """Neither this operator nor a restarted one writes anything."""
    if world.resource is None and world.spec is None:
        return
    for memory in (world.replicas[0].memory, Memory()):
        decided = plan(replace(world.situation(world.replicas[0]), memory=memory))
        assert (decided.writes, decided.status, decided.finalizers, decided.labels) == ((), None, None, ())
