"""Crowd: what etcd spends on candidates that only keep their place, in pairs and in one long queue."""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.bench.candidates import Candidate, GoElection, Sidecar, sidecar_of, wait_queue
from tests.bench.processes import cpu_seconds
from tests.bench.samples import Figure, Sample, Table, say
from tests.bench.scale import Bench
from tests.servers import EtcdServer

TTL = 15
_SETTLE_TTLS = 1.4
"""After this many TTLs each candidate is in its rhythm."""
_PARTS = 6
_STARTERS = 4

Make = Callable[[EtcdServer, str, str], Candidate]
"""A candidate for a lock, under a name."""


def run(bench: Bench) -> list[Table]:
    """Each crowd on an etcd of its own: what one leaves behind shall not burden the next."""
    figure = Figure("etcd's CPU time for each idle candidate", "µs/s")
    for name, (make, size) in _crowds(bench).items():
        say(f"crowd: {name}")
        with EtcdServer() as etcd, contextlib.ExitStack() as stack:
            figure.add(_measure(bench, etcd, Sample(name), stack, make, size))
    first = figure.bars[0][1] or 1.0
    rows = [
        [name, f"{middle:.0f} µs/s", f"{low:.0f} to {high:.0f}", f"{first / middle if middle else 0:.2f}"]
        for name, middle, low, high in figure.bars
    ]
    notes = [
        f"{bench.scale.crowd} processes, TTL {TTL} s, without TLS, watched for {bench.scale.crowd_seconds:.0f} s in "
        f"{_PARTS} parts; what etcd spends without any is taken off. The last column: the first row to this one."
    ]
    return [
        Table("What etcd spends on an idle candidate", ("CPU", "p10 to p90 of the parts", "ratio"), rows, notes, figure)
    ]


def _crowds(bench: Bench) -> Mapping[str, tuple[Make, int]]:
    env, other, everybody = bench.env, sidecar_of(bench.before), bench.scale.crowd

    def ours(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return Sidecar(etcd, lock, name, env, TTL)

    def before(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return other(etcd, lock, name, env, TTL)

    def go(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return GoElection(etcd, lock, name, TTL)

    return {
        "leasehold, in pairs": (ours, 2),
        f"leasehold, in one queue of {everybody}": (ours, everybody),
        **({"leasehold before, in pairs": (before, 2)} if bench.before else {}),
        "Go concurrency.Election, in pairs": (go, 2),
    }


def _measure(
    bench: Bench, etcd: EtcdServer, sample: Sample, stack: contextlib.ExitStack, make: Make, size: int
) -> Sample:
    """Microseconds of etcd's CPU time a second and candidate, in parts of the time."""
    everybody, seconds = bench.scale.crowd, bench.scale.crowd_seconds
    alone = _share(etcd, seconds / _PARTS)
    prefix = (GoElection if sample.name.startswith("Go") else Sidecar).prefix
    queues = range(everybody // size)
    candidates = [make(etcd, f"crowd{queue}", f"c{queue}-{place}") for queue in queues for place in range(size)]
    for candidate in candidates:
        stack.callback(candidate.close)
    with ThreadPoolExecutor(_STARTERS) as starters:
        list(starters.map(_start, candidates))
    for queue in queues:
        wait_queue(etcd, prefix.format(lock=f"crowd{queue}"), size)
    time.sleep(min(TTL * _SETTLE_TTLS, seconds))
    for _ in range(_PARTS):
        sample.add((_share(etcd, seconds / _PARTS) - alone) / everybody * 1e6)
    return sample


def _start(candidate: Candidate) -> None:
    candidate.start()
    candidate.hang_up()


def _share(etcd: EtcdServer, seconds: float) -> float:
    """How much of a core etcd takes for so long."""
    before, begun = cpu_seconds(etcd.process.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(etcd.process.pid) - before) / (time.monotonic() - begun)
