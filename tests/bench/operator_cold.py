"""A cold start of the operator over many Locks that nobody has declared yet, and how idle it is afterwards."""

import time
from dataclasses import dataclass

from tests.bench.operator_setup import PATIENCE, ROOT, World
from tests.bench.processes import cpu_seconds, memory
from tests.bench.samples import MeasurementFailed, Table, megabytes, say, whole_seconds
from tests.operator import many_locks
from tests.operator.operator_process import Operator

_LOOK_EVERY = 0.5


@dataclass
class Cold:
    """What a cold start took. Seconds, from the start of the process, and bytes."""

    locks: int
    declared: float
    reported: float
    cpu: float
    others: float
    peak: int


@dataclass
class Idle:
    """What it used once it had nothing to do."""

    seconds: float
    core: float
    resident: int
    writes: int
    canaries: int


def measure(world: World, quiet: float) -> tuple[Cold, Idle]:
    """Start an operator over all of the world's Locks, none of which any operator has seen."""
    with world.operator("cold") as operator:
        cold = _start(world, operator)
        if (wrong := many_locks.count_wrong(world.api, world.names, world.tokens)) > 0:
            raise MeasurementFailed(f"{wrong} of {cold.locks} statuses are wrong")
        return cold, _idle(world, operator, quiet)


def _start(world: World, operator: Operator) -> Cold:
    servers = [world.api.apiserver.process.pid, world.api.etcd.process.pid, world.etcd.process.pid]
    before = sum(map(cpu_seconds, servers))
    begun = time.monotonic()
    operator.start()
    declared, peak = 0.0, 0
    while time.monotonic() < begun + PATIENCE:
        now, taken = operator.metrics(), time.monotonic() - begun
        peak = max(peak, memory(operator.pid).rss)
        if not declared and now["declared"] == len(world.names) == many_locks.declared_count(world.etcd.url, ROOT):
            declared = taken
        if declared and now["queue_length"] == now["reports_waiting"] == 0:
            used = sum(map(cpu_seconds, servers)) - before
            return Cold(len(world.names), declared, taken, cpu_seconds(operator.pid), used, peak)
        time.sleep(_LOOK_EVERY)
    raise MeasurementFailed(f"the operator has not done all after {PATIENCE:.0f} s: {operator.metrics()}")


def _idle(world: World, operator: Operator, quiet: float) -> Idle:
    say(f"operator: watching it idle for {quiet:.0f} s")
    versions, before = world.versions(), operator.metrics()
    used, begun = cpu_seconds(operator.pid), time.monotonic()
    time.sleep(quiet)
    taken, used = time.monotonic() - begun, cpu_seconds(operator.pid) - used
    after = operator.metrics()
    changed = sum(version != versions[name] for name, version in world.versions().items())
    if (writes := round(_writes(after) - _writes(before))) != changed:
        say(f"operator: it counts {writes} writes, and {changed} Locks have changed")
    canaries = round(after[_CANARY] - before[_CANARY])
    return Idle(taken, used / taken, memory(operator.pid).rss, max(writes, changed), canaries)


_CANARY = 'api_writes_total{kind="canary"}'


def _writes(metrics: dict[str, float]) -> float:
    """All writes to both servers, the canary of the API server apart."""
    counted = ("api_writes_total{", "etcd_writes_total{")
    return sum(value for series, value in metrics.items() if series.startswith(counted) and series != _CANARY)


def cold_table(runs: list[Cold]) -> Table:
    """A row for each number of Locks."""
    columns = ("all declared", "all statuses right", "peak RSS", "CPU, operator", "CPU, its servers")
    rows = [
        [
            f"leasehold operator, {one.locks} Locks",
            whole_seconds(one.declared),
            whole_seconds(one.reported),
            megabytes(one.peak),
            whole_seconds(one.cpu),
            whole_seconds(one.others),
        ]
        for one in runs
    ]
    notes = [
        "From the start of the process, over Locks that no operator has seen, each tenth of them held. Of each: a "
        "finalizer, a spec key in etcd, a status. Right is a status that names what was declared and who holds. The "
        "servers are the API server, its etcd and the locks' etcd, all on this machine.",
        _growth(runs),
    ]
    return Table("The operator's cold start", columns, rows, notes)


def _growth(runs: list[Cold]) -> str:
    first, last = runs[0], runs[-1]
    if first.locks == last.locks:
        return "Only one number of Locks was measured."
    times = last.locks / first.locks
    grown = (last.declared / first.declared, last.reported / first.reported, last.peak / first.peak)
    return (
        f"{times:.0f} times as many Locks took {grown[0]:.1f} times as long to declare, {grown[1]:.1f} times until all "
        f"statuses were right, and {grown[2]:.1f} times the memory at its peak."
    )


def idle_table(runs: list[tuple[Cold, Idle]]) -> Table:
    """A row for each number of Locks."""
    columns = ("RSS", "of a core", "writes", "canaries", "for")
    rows = [
        [
            f"leasehold operator, {cold.locks} Locks",
            megabytes(idle.resident),
            f"{idle.core * 100:.2f} %",
            str(idle.writes),
            str(idle.canaries),
            f"{idle.seconds:.0f} s",
        ]
        for cold, idle in runs
    ]
    notes = [
        "After that start. Writes are those to the API server and to etcd by the operator's own count, or Locks whose "
        "resourceVersion has changed, whichever is more. The canaries are one object, touched to prove the watch."
    ]
    return Table("The operator, idle", columns, rows, notes)
