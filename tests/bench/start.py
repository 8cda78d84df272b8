"""Start: from the start of a process until it leads, where nobody else stands for the lock."""

import random
import sys
import time
from collections.abc import Callable, Mapping

from tests.bench.candidates import Candidate, Etcdctl, GoElection, Sidecar, sidecar_of
from tests.bench.processes import cpu_seconds
from tests.bench.samples import Sample, Table, milliseconds, percentiles, ratios, say
from tests.bench.scale import Bench
from tests.servers import Process

LOCK = "start"


class Kind:
    """One contender: how long it takes, and the CPU time of that."""

    def __init__(self, name: str, make: Callable[[], Candidate]) -> None:
        self.wall = Sample(name)
        self.cpu = Sample(name)
        self._make = make

    def measure(self) -> None:
        """Start one, and end it when it leads."""
        candidate = self._make()
        try:
            begun = time.monotonic()
            candidate.start()
            self.wall.add(candidate.led_at() - begun)
            self.cpu.add(cpu_seconds(candidate.process.pid))
            candidate.process.terminate()
        finally:
            candidate.close()


def run(bench: Bench) -> list[Table]:
    """All in each round, in any order."""
    kinds = _kinds(bench)
    for kind in kinds:  # the first of each compiles
        kind.measure()
        kind.wall.values.clear()
        kind.cpu.values.clear()
    interpreter = Sample("of that, Python alone (`-c pass`)")
    for turn in range(bench.scale.starts):
        interpreter.add(_interpreter(bench.env))
        for kind in random.sample(kinds, len(kinds)):
            kind.measure()
        if turn % 10 == 9:
            say(f"start: {turn + 1} of {bench.scale.starts} rounds")
    walls, cpus = [kind.wall for kind in kinds], [kind.cpu for kind in kinds]
    notes = [
        "From the start of the process until its own word that it leads. Byte code is cached, as after an install."
    ]
    return [
        percentiles("Start until it leads, on an empty lock", [*walls, interpreter], milliseconds, notes),
        percentiles("CPU time until it leads", cpus, milliseconds, ["Of all threads of the process."]),
        ratios("CPU time until it leads, in ratios", cpus),
    ]


def _kinds(bench: Bench) -> list[Kind]:
    etcd, env, other = bench.etcd, bench.env, sidecar_of(bench.before)
    before = Kind("leasehold before", lambda: other(etcd, LOCK, LOCK, env))
    return [
        Kind("leasehold", lambda: Sidecar(etcd, LOCK, LOCK, env)),
        *([before] if bench.before else []),
        Kind("etcdctl elect", lambda: Etcdctl(etcd, LOCK, LOCK)),
        Kind("Go concurrency.Election", lambda: GoElection(etcd, LOCK, LOCK)),
    ]


def _interpreter(env: Mapping[str, str]) -> float:
    begun = time.monotonic()
    with Process([sys.executable, "-c", "pass"], name="interpreter", env=env) as process:
        process.wait()
        return time.monotonic() - begun
