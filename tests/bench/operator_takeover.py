"""From the end of the active operator until its standby writes: when it is stopped, and when it is killed."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.lock.keys import Keys
from leasehold.lock.names import LockName
from tests.bench.operator_setup import PATIENCE, ROOT, World
from tests.bench.samples import Sample, Table, percentiles, say, whole_seconds
from tests.cluster.line import Line
from tests.cluster.rest import path_of
from tests.operator.operator_manifest import OPERATOR_NAMESPACE
from tests.operator.operator_process import Operator
from tests.servers import wait_for

_ELECTION = LockName(OPERATOR_NAMESPACE, "leasehold-operator")
_LOOK_EVERY = 0.01


def measure(world: World, rounds: int, ttl: int) -> Table:
    """Both ways in turn; the one that ended comes back as the standby."""
    ways: dict[str, Callable[[Operator], None]] = {
        "stopped (SIGTERM)": lambda operator: operator.signal(signal.SIGTERM),
        f"killed (SIGKILL), TTL {ttl} s": lambda operator: operator.signal(signal.SIGKILL),
    }
    samples = {
        way: (Sample(f"leasehold: active one {way}"), Sample("the same, until a Lock changed by then is declared"))
        for way in ways
    }
    with world.settled("one", ttl) as active, world.operator("two", ttl) as standby:
        standby.start()
        for turn in range(rounds):
            for way, end in ways.items():
                say(f"operator: takeover {turn + 1} of {rounds}, {way}")
                _wait_standby(world, standby)
                taken, declared = _take_over(world, active, standby, end)
                samples[way][0].add(taken)
                samples[way][1].add(declared)
                active.wait()
                active, standby = standby, active
                standby.start()
    notes = [
        f"With {len(world.names)} Locks, from the signal until the standby says that it is active, asked every "
        f"{_LOOK_EVERY * 1000:.0f} ms. Right after the signal a Lock is changed: until its spec key is in etcd. "
        "client-go's own leader election needs a program around it that does the same job; there is none here to "
        "compare with."
    ]
    rows = [sample for pair in samples.values() for sample in pair]
    return percentiles("Takeover by the standby operator", rows, whole_seconds, notes)


def _wait_standby(world: World, standby: Operator) -> None:
    def queued() -> bool:
        entries = world.etcd.ctl.prefix(Keys(_ELECTION, ROOT).queue)
        return len(entries) == 2 and standby.is_ready()

    wait_for(queued, f"{standby.name} to be the standby", PATIENCE)
    time.sleep(1.0)  # nothing is under way when the signal comes


def _take_over(
    world: World, active: Operator, standby: Operator, end: Callable[[Operator], None]
) -> tuple[float, float]:
    name = world.names[1]
    key = Keys(name, ROOT).spec
    path = path_of("locks", name.name, name.namespace)
    with ExitStack() as stack:
        line = stack.enter_context(Line(world.api))
        seconds = line.call("GET", path)["spec"]["leaseDurationSeconds"] % 1000 + 20
        body = {"spec": {"leaseDurationSeconds": seconds}}
        begun = time.monotonic()
        end(active)
        line.call("PATCH", path, body, content_type="application/merge-patch+json")
        return asyncio.run(_until_done(world, standby, key, f'"leaseDurationSeconds":{seconds}', begun))


async def _until_done(world: World, standby: Operator, key: str, wanted: str, begun: float) -> tuple[float, float]:
    async with asyncio.timeout(PATIENCE), EtcdClient([world.etcd.url], clock=clock.now) as client:
        taken, declared = await asyncio.gather(
            asyncio.to_thread(_active, standby), _declared(client, key, wanted.encode())
        )
    return taken - begun, declared - begun


def _active(standby: Operator) -> float:
    while not standby.is_active():
        time.sleep(_LOOK_EVERY)
    return time.monotonic()


async def _declared(client: EtcdClient, key: str, wanted: bytes) -> float:
    while True:
        found = (await client.range(key)).first
        if found is not None and wanted in found.value:
            return time.monotonic()
        await asyncio.sleep(_LOOK_EVERY)
