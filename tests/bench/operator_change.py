"""How long a changed Lock takes to etcd, and a new holder to the Lock's status."""

import asyncio
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException

from leasehold.base import clock
from leasehold.etcd.client import EtcdClient
from leasehold.etcd.watch import Watcher
from leasehold.lock.keys import Keys, prefix_end
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.bench.operator_setup import HELD_EVERY, ROOT, World
from tests.bench.samples import MeasurementFailed, Sample, Table, milliseconds, percentiles, say
from tests.cluster import Object
from tests.cluster.line import Line
from tests.cluster.rest import path_of
from tests.servers import PATIENCE

_LONGEST = 60.0
"""Seconds after which one change has failed to arrive."""
_LEASE = 60
_NEXT_EVERY = 5
"""Of so many rounds one has a second holder, which takes a second."""


class Statuses:
    """The Locks as a watch of the API server brings them, each with the instant of its arrival."""

    def __init__(self, line: Line, version: str) -> None:
        self._seen: queue.Queue[tuple[float, Object]] = queue.Queue()
        self._events = line.stream(path_of("locks", watch="1", resourceVersion=version))
        self._thread = threading.Thread(target=self._read, name="statuses", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Return when nothing reads from the line any more, which was hung up."""
        self._thread.join(_LONGEST)

    def _read(self) -> None:
        with suppress(OSError, HTTPException, ValueError):  # until the line is hung up
            for event in self._events:
                self._seen.put((time.monotonic(), event["object"]))

    def reached(self, name: LockName, identity: str) -> float:
        """When the Lock's status first named this holder."""
        while True:
            try:
                when, one = self._seen.get(timeout=_LONGEST)
            except queue.Empty:
                raise MeasurementFailed(f"{name} has not named {identity} after {_LONGEST:.0f} s") from None
            is_it = (one["metadata"].get("namespace"), one["metadata"]["name"]) == (name.namespace, name.name)
            if is_it and one.get("status", {}).get("holderIdentity") == identity:
                return when


@contextmanager
def _statuses(world: World) -> Iterator[Statuses]:
    with Line(world.api, timeout=3600) as line:
        version = line.call("GET", path_of("locks", limit="1"))["metadata"]["resourceVersion"]
        statuses = Statuses(line, str(version))
        try:
            yield statuses
        finally:
            line.hang_up()
            statuses.close()


def measure(world: World, rounds: int) -> Table:
    """Change after change, each on another Lock, each when the last one has arrived."""
    free = [name for number, name in enumerate(world.names) if number % HELD_EVERY]
    chosen = [free[number % len(free)] for number in range(rounds)]
    answered, declared = (
        Sample("of that, until the API server has answered"),
        Sample("leasehold: a changed Lock to etcd"),
    )
    say("operator: changing Locks")
    asyncio.run(_changes(world, chosen, answered, declared))
    fresh, next_one = Sample("leasehold: a new holder to the status"), Sample("leasehold: the next holder, at once")
    say("operator: new holders")
    with _statuses(world) as statuses:
        asyncio.run(_holders(world, chosen, statuses, fresh, next_one))
    notes = [
        f"With {len(world.names)} Locks. A change is a merge PATCH on an open connection, as kubectl sends it, timed "
        "from before it is sent until the watch of etcd brings the spec key. A holder is a key put into an empty queue "
        "of etcd, timed until the API server's watch brings the status; the next one comes when it has gone again in "
        "the same second, in which a status is not written twice."
    ]
    return percentiles(
        "What the operator takes for a change", [declared, answered, fresh, next_one], milliseconds, notes
    )


async def _changes(world: World, chosen: list[LockName], answered: Sample, declared: Sample) -> None:
    async with EtcdClient([world.etcd.url], clock=clock.now) as client, client.watch() as watcher:
        prefix = f"{ROOT}/locks/"
        now = (await client.range(prefix)).origin.revision
        await watcher.add(prefix, end=prefix_end(prefix), start_revision=now + 1)
        with Line(world.api) as line:
            for number, name in enumerate(chosen):
                body = {"spec": {"leaseDurationSeconds": 20 + number % 1000}}
                begun = time.monotonic()
                async with asyncio.timeout(_LONGEST), asyncio.TaskGroup() as group:
                    answer = group.create_task(asyncio.to_thread(_patch, line, name, body))
                    arrival = group.create_task(_arrival(watcher, Keys(name, ROOT).spec))
                answered.add(answer.result() - begun)
                declared.add(arrival.result() - begun)


def _patch(line: Line, name: LockName, body: Object) -> float:
    path = path_of("locks", name.name, name.namespace)
    line.call("PATCH", path, body, content_type="application/merge-patch+json")
    return time.monotonic()


async def _arrival(watcher: Watcher, key: str) -> float:
    async for batch in watcher:
        if any(event.kv.key == key.encode() for event in batch.events):
            return time.monotonic()
    raise MeasurementFailed("the watch of etcd has ended")


async def _holders(world: World, chosen: list[LockName], statuses: Statuses, fresh: Sample, next_one: Sample) -> None:
    async with EtcdClient([world.etcd.url], clock=clock.now, timeout=PATIENCE) as client:
        for number, name in enumerate(chosen):
            fresh.add(await _hold(world, client, statuses, name, f"first-{number}"))
            if number % _NEXT_EVERY == 0:
                next_one.add(await _hold(world, client, statuses, name, f"second-{number}"))


async def _hold(world: World, client: EtcdClient, statuses: Statuses, name: LockName, identity: str) -> float:
    """Hold the lock until its status says so; the seconds that took."""
    lease = (await client.grant(_LEASE)).lease
    begun = time.monotonic()
    await client.put(Keys(name, ROOT).entry(lease), Record(identity, incarnation="1").encode(), lease=lease)
    taken = await asyncio.to_thread(statuses.reached, name, identity) - begun
    await client.revoke(lease)
    return taken
