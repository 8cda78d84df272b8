"""Idle: what a holder that nobody asks anything costs in memory and CPU."""

import contextlib
import time

from tests.bench.candidates import Candidate, Etcdctl, GoElection, Sidecar
from tests.bench.processes import cpu_seconds, memory
from tests.bench.samples import Table, megabytes, say
from tests.bench.scale import Bench

TTL = 15


def run(bench: Bench) -> list[Table]:
    """All at once, since each has next to nothing to do."""
    etcd, env, seconds = bench.etcd, bench.env, bench.scale.idle_seconds
    _compile(bench)
    candidates: dict[str, Candidate] = {
        f"leasehold, TTL {TTL} s": Sidecar(etcd, "idle", "idle", env, TTL),
        "etcdctl elect, TTL 60 s": Etcdctl(etcd, "idle", "idle"),
        f"Go concurrency.Election, TTL {TTL} s": GoElection(etcd, "idle", "idle", TTL),
    }
    with contextlib.ExitStack() as stack:
        for candidate in candidates.values():
            stack.callback(candidate.close)
            candidate.start()
            candidate.led_at()
            candidate.hang_up()
        before = {name: cpu_seconds(candidate.process.pid) for name, candidate in candidates.items()}
        say(f"idle: waiting {seconds:.0f} s")
        time.sleep(seconds)
        rows = [_row(name, one, before[name], seconds) for name, one in candidates.items()]
    note = f"Each held its lock for {seconds:.0f} s, without TLS, and nobody asked anything."
    return [Table("An idle holder", ("RSS", "PSS", "CPU time", "of a core"), rows, [note])]


def _compile(bench: Bench) -> None:
    """A process that has compiled its modules keeps memory for it: let another one do that first."""
    first = Sidecar(bench.etcd, "compile", "compile", bench.env)
    try:
        first.start()
        first.led_at()
    finally:
        first.close()


def _row(name: str, candidate: Candidate, before: float, seconds: float) -> list[str]:
    pid = candidate.process.pid
    used, has = cpu_seconds(pid) - before, memory(pid)
    return [name, megabytes(has.rss), megabytes(has.pss), f"{used * 1000:.0f} ms", f"{used / seconds * 100:.2f} %"]
