"""Idle: what a holder that nobody asks anything costs in memory and CPU, alone and as one of eight on a node."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.candidates import Candidate, Etcdctl, GoElection, Sidecar, sidecar_of
from tests.bench.processes import cpu_seconds, memory
from tests.bench.samples import Figure, Sample, Table, mebibytes, say
from tests.bench.scale import Bench
from tests.servers import CertificateAuthority, EtcdServer

TTL = 15

Make = Callable[[str], Candidate]
"""A candidate for the lock of this name."""


def run(bench: Bench) -> list[Table]:
    """One of each kind at once, since each has next to nothing to do; then several of each kind."""
    return [_alone(bench), _on_a_node(bench)]


def _kinds(bench: Bench) -> Mapping[str, Make]:
    etcd, env, other = bench.etcd, bench.env, sidecar_of(bench.before)
    before: Mapping[str, Make] = {"leasehold before": lambda lock: other(etcd, f"{lock}-before", lock, env, TTL)}
    return {
        "leasehold": lambda lock: Sidecar(etcd, lock, lock, env, TTL),
        **(before if bench.before else {}),
        "etcdctl elect": lambda lock: Etcdctl(etcd, lock, lock),
        "Go concurrency.Election": lambda lock: GoElection(etcd, lock, lock, TTL),
    }


def _alone(bench: Bench) -> Table:
    seconds = bench.scale.idle_seconds
    with contextlib.ExitStack() as stack:
        kinds = {**_kinds(bench), "leasehold, mutual TLS": _by_mutual_tls(bench, stack)}
        _compile(kinds)
        candidates = {name: _lead(make("idle"), stack) for name, make in kinds.items()}
        before = {name: cpu_seconds(candidate.process.pid) for name, candidate in candidates.items()}
        say(f"idle: waiting {seconds:.0f} s")
        time.sleep(seconds)
        rows = [_row(name, one, before[name], seconds) for name, one in candidates.items()]
    note = f"Each held its lock for {seconds:.0f} s, and nobody asked anything. TTL {TTL} s; etcdctl's is 60 s."
    return Table("An idle holder", ("RSS", "anonymous", "PSS", "CPU time", "of a core"), rows, [note])


def _by_mutual_tls(bench: Bench, stack: contextlib.ExitStack) -> Make:
    authority = CertificateAuthority(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leasehold-bench-"))))
    etcd = stack.enter_context(EtcdServer(authority=authority, mutual=True))
    files = authority.client()
    flags = ["--etcd-ca", str(files.ca), "--etcd-cert", str(files.cert), "--etcd-key", str(files.key)]
    return lambda lock: Sidecar(etcd, lock, lock, bench.env, TTL, flags)


def _lead(candidate: Candidate, stack: contextlib.ExitStack) -> Candidate:
    stack.callback(candidate.close)
    candidate.start()
    candidate.led_at()
    candidate.hang_up()
    return candidate


def _compile(kinds: Mapping[str, Make]) -> None:
    """A process that has compiled its modules keeps memory for it: let another one of its kind do that first.

    By mutual TLS there are more of them, and compiling those would be 1.1 MiB.
    """
    for make in kinds.values():
        with contextlib.ExitStack() as stack:
            _lead(make("compile"), stack)


def _row(name: str, candidate: Candidate, before: float, seconds: float) -> list[str]:
    pid = candidate.process.pid
    used, has = cpu_seconds(pid) - before, memory(pid)
    sizes = [mebibytes(size) for size in (has.rss, has.anonymous, has.pss)]
    return [name, *sizes, f"{used * 1000:.0f} ms", f"{used / seconds * 100:.2f} %"]


def _on_a_node(bench: Bench) -> Table:
    """Several of one kind at a time: each page that they share counts for each of them in part."""
    several, rows = bench.scale.node, []
    figure = Figure(f"Memory of each of {several} idle holders on one node (PSS)", "MiB")
    for name, make in _kinds(bench).items():
        say(f"idle: {several} of {name}")
        with contextlib.ExitStack() as stack:
            holders = [_lead(make(f"node-{number}"), stack) for number in range(several)]
            time.sleep(min(12.0, bench.scale.idle_seconds))
            sizes = [memory(holder.process.pid) for holder in holders]
        means = [sum(values) / several for values in zip(*((s.rss, s.anonymous, s.pss) for s in sizes), strict=True)]
        rows.append([name, *map(mebibytes, means)])
        figure.add(Sample(name, [float(size.pss) for size in sizes]), 2**20)
    note = "The mean of each kind, measured while no other kind ran."
    return Table(f"{several} idle holders on one node", ("RSS", "anonymous", "PSS"), rows, [note], figure)
