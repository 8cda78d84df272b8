"""Crowd: what etcd spends on candidates that only keep their place, in pairs and in one long queue.

All crowds stand at once, each on an etcd of its own, and each part of the time is the same for all: what else the
machine does, and how fast it is at that moment, then counts for each alike.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.bench.candidates import Candidate, GoElection, Sidecar, sidecar_of, wait_queue
from tests.bench.processes import cpu_seconds
from tests.bench.samples import Figure, Sample, Table, say
from tests.bench.scale import Bench
from tests.servers import EtcdServer

TTL = 15
_SETTLE_TTLS = 1.4
"""After this many TTLs each candidate is in its rhythm."""
_PARTS = 12
_STARTERS = 4

Make = Callable[[EtcdServer, str, str], Candidate]
"""A candidate for a lock, under a name."""


@dataclass
class _Crowd:
    """Candidates of one kind, `size` in each queue, and what their etcd spends on each: µs of CPU time a second."""

    name: str
    make: Make
    size: int
    prefix: str = Sidecar.prefix
    etcd: EtcdServer = field(default_factory=EtcdServer)

    def stand(self, everybody: int) -> contextlib.ExitStack:
        """Have so many stand in their queues; what is returned ends them."""
        say(f"crowd: {self.name}")
        queues = range(everybody // self.size)
        candidates = [
            self.make(self.etcd, f"crowd{queue}", f"c{queue}-{place}") for queue in queues for place in range(self.size)
        ]
        with contextlib.ExitStack() as stack:
            for candidate in candidates:
                stack.callback(candidate.close)
            with ThreadPoolExecutor(_STARTERS) as starters:
                list(starters.map(_start, candidates))
            for queue in queues:
                wait_queue(self.etcd, self.prefix.format(lock=f"crowd{queue}"), self.size)
            return stack.pop_all()


def _start(candidate: Candidate) -> None:
    candidate.start()
    candidate.hang_up()


def run(bench: Bench) -> list[Table]:
    """Each crowd on an etcd of its own, and all at once."""
    everybody, seconds = bench.scale.crowd, bench.scale.crowd_seconds
    crowds = _crowds(bench)
    samples = [Sample(crowd.name) for crowd in crowds]
    with contextlib.ExitStack() as stack:
        for crowd in crowds:
            stack.enter_context(crowd.etcd)
        alone = _shares(crowds, seconds / _PARTS)
        for crowd in crowds:
            stack.enter_context(crowd.stand(everybody))
        time.sleep(min(TTL * _SETTLE_TTLS, seconds))
        for _ in range(_PARTS):
            for sample, share, before in zip(samples, _shares(crowds, seconds / _PARTS), alone, strict=True):
                sample.add((share - before) / everybody * 1e6)
    return [_table(bench, samples)]


def _crowds(bench: Bench) -> list[_Crowd]:
    env, other, everybody = bench.env, sidecar_of(bench.before), bench.scale.crowd

    def ours(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return Sidecar(etcd, lock, name, env, TTL)

    def before(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return other(etcd, lock, name, env, TTL)

    def go(etcd: EtcdServer, lock: str, name: str) -> Candidate:
        return GoElection(etcd, lock, name, TTL)

    return [
        _Crowd("leasehold, in pairs", ours, 2),
        _Crowd(f"leasehold, in one queue of {everybody}", ours, everybody),
        *([_Crowd("leasehold before, in pairs", before, 2)] if bench.before else []),
        _Crowd("Go concurrency.Election, in pairs", go, 2, GoElection.prefix),
    ]


def _shares(crowds: Sequence[_Crowd], seconds: float) -> list[float]:
    """How much of a core each crowd's etcd takes, in the same seconds."""
    before, begun = [cpu_seconds(crowd.etcd.process.pid) for crowd in crowds], time.monotonic()
    time.sleep(seconds)
    after, lasted = [cpu_seconds(crowd.etcd.process.pid) for crowd in crowds], time.monotonic() - begun
    return [(end - start) / lasted for start, end in zip(before, after, strict=True)]


def _table(bench: Bench, samples: Sequence[Sample]) -> Table:
    figure = Figure("etcd's CPU time for each idle candidate", "µs/s")
    for sample in samples:
        figure.add(sample)
    rows = [
        [name, f"{middle:.0f} µs/s", f"{low:.0f} to {high:.0f}", _ratio(samples[0], sample)]
        for sample, (name, middle, low, high) in zip(samples, figure.bars, strict=True)
    ]
    notes = [
        f"{bench.scale.crowd} processes, TTL {TTL} s, without TLS, all kinds at once, each kind with an etcd of its "
        f"own, watched for {bench.scale.crowd_seconds:.0f} s in {_PARTS} parts; what etcd spends without any is taken "
        "off. The last column: the first row to this one, in the same part: the middle, p10 to p90."
    ]
    columns = ("CPU", "p10 to p90 of the parts", "ratio")
    return Table("What etcd spends on an idle candidate", columns, rows, notes, figure)


def _ratio(first: Sample, other: Sample) -> str:
    """The first one's parts to the other's, one by one."""
    parts = Sample(
        other.name, [mine / its if its else 0.0 for mine, its in zip(first.values, other.values, strict=True)]
    )
    middle, low, high = (parts.percentile(part) for part in (50, 10, 90))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
