"""What befalls sidecars, and their way to etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leasehold.election import events as ev

from .fault import Heal, cut_off, host_of, victim
from .host import Host

if TYPE_CHECKING:
    from .world import World


def freeze(world: World) -> Heal | None:
    process = victim(world)
    if process is None:
        return None
    process.freeze()
    world.trace.add(process.host.name, "frozen")

    def thaw() -> None:
        world.trace.add(process.host.name, "thaws")
        process.thaw()

    return thaw


def crash(world: World) -> Heal | None:
    process = victim(world)
    if process is None:
        return None
    resume = world.rng.random() < 0.7
    process.host.crash()
    return lambda: _restart(process.host, resume)


def stop(world: World) -> Heal | None:
    process = victim(world)
    if process is None:
        return None
    awaits_work = world.rng.random() < 0.3
    process.take(ev.Stop(awaits_work))
    if awaits_work:
        world.timeline.after(world.rng.uniform(0.0, 5.0), lambda: process.take(ev.WorkStopped()))

    def again() -> None:
        if process.dead:
            _restart(process.host, True)
        else:
            world.timeline.after(1.0, again)

    return again


def _restart(host: Host, resume: bool) -> None:
    if (host.process is None or host.process.dead) and not host.world.at_peace:
        host.start(resume=resume)


def hand_over(world: World) -> Heal | None:
    process = victim(world)
    if process is not None:
        process.take(ev.HandOver())
    return None


def pause(world: World) -> Heal | None:
    process = victim(world)
    if process is None:
        return None
    process.take(ev.Pause())
    return lambda: process.when_awake(lambda: process.take(ev.Resume()))


def sicken(world: World) -> Heal | None:
    process = victim(world)
    if process is None:
        return None
    process.take(ev.Health(False))
    return lambda: process.when_awake(lambda: process.take(ev.Health(True)))


def break_disk(world: World) -> Heal | None:
    """A pod's state directory cannot be written."""
    disk = host_of(world).disk
    disk.fails = True

    def mend() -> None:
        disk.fails = False

    return mend


# --- the network ---------------------------------------------------------------------------------------------


def cut_all(world: World) -> Heal | None:
    """One host reaches no member."""
    host = host_of(world)
    cut_off(world, [host], set(range(len(world.cluster.members))))
    return lambda: world.network.mend(host)


def cut_one(world: World) -> Heal | None:
    """One host does not reach the member that it is connected to."""
    host = host_of(world)
    cut_off(world, [host], {host.connection})
    return lambda: world.network.mend(host)


def fade(world: World) -> Heal | None:
    """One host's answers come later and later; then it reaches nobody."""
    host = host_of(world)
    link = world.network.links[host.name]
    link.slow = world.patience

    def vanish() -> None:
        if link.slow:
            link.slow = 0.0
            cut_off(world, [host], set(range(len(world.cluster.members))))

    def mend() -> None:
        link.slow = 0.0
        world.network.mend(host)

    world.timeline.after(world.rng.uniform(0.4, 0.8) * world.ttl, vanish)
    return mend


def roughen(world: World) -> Heal | None:
    """One host's messages meet with trouble."""
    link = world.network.links[host_of(world).name]
    link.rough = world.rng.choice((0.1, 0.3, 0.6))

    def smooth() -> None:
        link.rough = 0.0

    return smooth


def silence(world: World) -> Heal | None:
    """A watch stays open and brings nothing any more."""
    process = victim(world)
    if process is None or process.watcher is None:
        return None
    watcher = process.watcher
    watcher.silent = True
    world.trace.add(process.host.name, "silent", "its watches")

    def break_off() -> None:
        if watcher.closed is None:
            process.when_awake(lambda: process.broken("a silent watch was given up"))

    return break_off


def disconnect(world: World) -> Heal | None:
    process = victim(world)
    if process is not None:
        process.broken("connection reset")
    return None
