"""The flight recorder: what it adds to the CPU time of a keep-alive, and the memory of a full record.

A holder on a real etcd, in this process, on a clock that jumps to what is due: its keep-alives are as many as fit into
the time, and each costs what it costs in a sidecar, but for the tasks and metrics around it. So the share is an upper
bound. Blocks with and without the recorder take turns.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
import tracemalloc

from leasehold.base import clock
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.publisher import Publisher, first_snapshot
from leasehold.candidate.record_ring import KEPT_EVENTS
from leasehold.candidate.recorder import Recorder
from leasehold.election import commands as cmd
from leasehold.election import events as ev
from leasehold.election.election import Election, ElectionConfig
from leasehold.election.snapshot import State
from leasehold.etcd.client import EtcdClient
from leasehold.lock.names import LockName
from leasehold.lock.record import Record
from tests.bench.samples import MeasurementFailed, Sample, Table
from tests.bench.scale import Bench

BLOCK_KEEP_ALIVES = 100
TIMEOUT_SECONDS = 60.0


class Holder:
    """A candidate whose every question is answered before time goes on. `recording`: whether it is recorded now."""

    def __init__(self, url: str, lock: str) -> None:
        config = ElectionConfig(
            LockName("bench", lock), Record("recorder", incarnation="bench"), root="/recorder-bench"
        )
        self._jumped = 0.0
        self.client = EtcdClient([url], clock=self.now, timeout=TIMEOUT_SECONDS)
        self._store = EtcdStore(self.client, config.keys)
        rng = random.Random(1)
        self._election = Election(config, rng)
        self._publisher = Publisher(first_snapshot(config.lock, config.record.identity, self.now()), self.now)
        self.recorder: Recorder | None = Recorder(config, self._election, rng, self.now)
        self.recording = True
        self.keep_alives = 0
        self.recorder_seconds = 0.0
        """CPU time that the recorder alone has taken, and to read the clock before and after it."""

    def now(self) -> float:
        return clock.now() + self._jumped

    async def feed(self, event: ev.Event) -> None:
        """One event, and all that it leads to."""
        now = self.now()
        commands = self._election.handle(event, now)
        self._publisher.publish(self._election.snapshot)
        began = time.thread_time()
        if self.recording and self.recorder:
            self.recorder.handled(event, now, commands, self._publisher.snapshot)
        self.recorder_seconds += time.thread_time() - began
        for command in commands:
            self.keep_alives += isinstance(command, cmd.KeepAlive)
            if not isinstance(command, (cmd.Note, cmd.Watch, cmd.Revoke, cmd.Stopped)):
                await self.feed(await self._store.perform(command, TIMEOUT_SECONDS))

    async def hold(self, keep_alives: int) -> None:
        """Lead for so many more keep-alives."""
        end = self.keep_alives + keep_alives
        while self.keep_alives < end:
            self._jumped += max(0.0, (self._election.deadline() or 0.0) - self.now())
            await self.feed(ev.Tick())
        if self._publisher.snapshot.state is not State.HOLDING:
            raise MeasurementFailed(f"it does not hold: {self._publisher.snapshot.reason}")


def run(bench: Bench) -> list[Table]:
    """CPU time in pairs of blocks, then the memory of a full record."""
    return [asyncio.run(_cpu(bench)), asyncio.run(_memory(bench))]


async def _cpu(bench: Bench) -> Table:
    recorded, plain = Sample("recorded"), Sample("not recorded")
    timed: list[float] = []
    clocks: list[float] = []
    holder = Holder(bench.etcd.url, "cpu")
    async with holder.client:
        await holder.feed(ev.Start())
        await holder.hold(BLOCK_KEEP_ALIVES)
        for first in itertools.islice(itertools.cycle((True, False)), bench.scale.recorder_pairs):
            for recording in (first, not first):
                holder.recording = recording
                began, alone = time.process_time(), holder.recorder_seconds
                await holder.hold(BLOCK_KEEP_ALIVES)
                (recorded if recording else plain).add((time.process_time() - began) / BLOCK_KEEP_ALIVES)
                (timed if recording else clocks).append((holder.recorder_seconds - alone) / BLOCK_KEEP_ALIVES)
    both = zip(recorded.values, plain.values, strict=True)
    added = Sample("leasehold: added, in pairs", [more - less for more, less in both])
    # both kinds of blocks read the clock as often
    own = Sample("leasehold: the recorder alone", [more - less for more, less in zip(timed, clocks, strict=True)])
    notes = [
        f"CPU time by keep-alive, each with its confirming read: {_micro(plain.percentile(50))} "
        f"without the recorder, {_micro(recorded.percentile(50))} with it. A pair is {BLOCK_KEEP_ALIVES} with it and "
        "as many without. The recorder alone is what its own calls take, which other programs disturb less. Not "
        "counted is what a sidecar does around a keep-alive: its tasks, timers, metrics and listeners."
    ]
    rows = [
        [
            one.name,
            *(_micro(one.percentile(part)) for part in (25, 50, 75)),
            f"{one.percentile(50) / plain.percentile(50):.1%}",
            str(len(one.values)),
        ]
        for one in (added, own)
    ]
    columns = ("p25", "p50", "p75", "of a keep-alive", "n")
    return Table("CPU that the flight recorder adds to a keep-alive", columns, rows, notes)


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"


async def _memory(bench: Bench) -> Table:
    holder = Holder(bench.etcd.url, "memory")
    async with holder.client:
        await holder.feed(ev.Start())
        assert holder.recorder is not None
        tracemalloc.start()
        try:
            while holder.recorder.events < KEPT_EVENTS:
                await holder.hold(BLOCK_KEEP_ALIVES)
            gc.collect()
            full, _ = tracemalloc.get_traced_memory()
            counted = holder.recorder.size
            events, holder.recorder = holder.recorder.events, None
            gc.collect()
            left, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    row = ["leasehold: a full record", f"{(full - left) / 1000:.0f} kB", f"{counted / 1000:.0f} kB", str(events)]
    return Table("Memory of the flight recorder", ("Python's allocations", "as it counts itself", "events"), [row])
