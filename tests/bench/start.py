"""Start: from the start of a process until it leads, where nobody else stands for the lock."""

import sys
import time
from collections.abc import Callable, Mapping

from tests.bench.candidates import Candidate, Etcdctl, GoElection, Sidecar
from tests.bench.samples import Sample, Table, milliseconds, percentiles, say
from tests.bench.scale import Bench
from tests.servers import Process

LOCK = "start"


def run(bench: Bench) -> list[Table]:
    """Ours with its parts, and the others, in turn."""
    interpreter = Sample("of that, the interpreter alone (`python -c pass`)")
    listens, leads = Sample("of that, until it listens"), Sample("leasehold")
    others: dict[str, Callable[[], Candidate]] = {
        "etcdctl elect": lambda: Etcdctl(bench.etcd, LOCK, LOCK),
        "Go concurrency.Election": lambda: GoElection(bench.etcd, LOCK, LOCK),
    }
    samples = {name: Sample(name) for name in others}
    _start_ours(bench, Sample("the first, which compiles"), Sample("the same"))
    for turn in range(bench.scale.starts):
        interpreter.add(_interpreter(bench.env))
        _start_ours(bench, listens, leads)
        for name, make in others.items():
            samples[name].add(_start(make()))
        if turn % 10 == 9:
            say(f"start: {turn + 1} of {bench.scale.starts} rounds")
    rows = [leads, interpreter, listens, *samples.values()]
    notes = [
        "From the start of the process until its own word that it leads. Byte code is cached, as after an install."
    ]
    return [percentiles("Start until it leads, on an empty lock", rows, milliseconds, notes)]


def _interpreter(env: Mapping[str, str]) -> float:
    begun = time.monotonic()
    with Process([sys.executable, "-c", "pass"], name="interpreter", env=env) as process:
        process.wait()
        return time.monotonic() - begun


def _start_ours(bench: Bench, listens: Sample, leads: Sample) -> None:
    sidecar = Sidecar(bench.etcd, LOCK, LOCK, bench.env)
    try:
        begun = time.monotonic()
        sidecar.process.start()
        listens.add(sidecar.listen() - begun)
        leads.add(sidecar.led_at() - begun)
        sidecar.process.terminate()
    finally:
        sidecar.close()


def _start(candidate: Candidate) -> float:
    try:
        begun = time.monotonic()
        candidate.start()
        taken = candidate.led_at() - begun
        candidate.process.terminate()
        return taken
    finally:
        candidate.close()
