"""Load: `/leader` under a steady stream of questions, and whether the keep-alives to etcd come late for it."""

import re
import time
from dataclasses import dataclass

from tests.bench.candidates import Sidecar
from tests.bench.open_loop import Answers, Stream
from tests.bench.processes import cpu_seconds
from tests.bench.samples import MeasurementFailed, Sample, Table, milliseconds, percentiles, say
from tests.bench.scale import Bench
from tests.bench.traffic import received
from tests.support.sidecars import request

RATES = (5, 500)
"""Questions a second: hardly any, for comparison, and the load."""
CONNECTIONS = 20
TTL = 5
_DRIFT = 0.01
_HISTOGRAM = "leasehold_keep_alive_duration_seconds"


@dataclass(frozen=True)
class KeepAlives:
    """How keep-alives fared, by the sidecar's own histogram, and how many reached etcd, by its metrics."""

    count: float
    seconds: float
    within: dict[float, float]
    received: int

    @classmethod
    def read(cls, bench: Bench, sidecar: Sidecar) -> "KeepAlives":
        """All since the start. Raises MeasurementFailed."""
        _, text = request("GET", f"http://127.0.0.1:{sidecar.port}/metrics")
        buckets = re.findall(rf'^{_HISTOGRAM}_bucket{{.*le="([^"]+)".*}} (\S+)$', text, re.MULTILINE)
        count, total = (
            re.search(rf"^{_HISTOGRAM}_{kind}{{.*}} (\S+)$", text, re.MULTILINE) for kind in ("count", "sum")
        )
        if count is None or total is None:
            raise MeasurementFailed(f"/metrics has no {_HISTOGRAM}")
        within = {float(edge): float(value) for edge, value in buckets}
        return cls(float(count[1]), float(total[1]), within, received(bench.etcd)["LeaseKeepAlive"])

    def since(self, before: "KeepAlives") -> "KeepAlives":
        """Only what came after `before`."""
        within = {edge: value - before.within[edge] for edge, value in self.within.items()}
        return KeepAlives(
            self.count - before.count, self.seconds - before.seconds, within, self.received - before.received
        )

    def cells(self) -> list[str]:
        """Count, mean, the bucket that holds the slowest, etcd's own count."""
        slowest = min((edge for edge, value in self.within.items() if value == self.count), default=float("inf"))
        mean = milliseconds(self.seconds / self.count) if self.count else "none"
        return [f"{self.count:.0f}", mean, f"≤ {slowest * 1000:g} ms", str(self.received)]


def run(bench: Bench) -> list[Table]:
    """The same sidecar at each of `RATES` for the same time."""
    sidecar = Sidecar(bench.etcd, "load", "load", bench.env, TTL)
    try:
        sidecar.start()
        sidecar.led_at()
        sidecar.hang_up()
        phases = [(f"{rate} a second", *_phase(bench, sidecar, rate)) for rate in RATES]
    finally:
        sidecar.close()
    latency = [Sample(f"{name}: {each.name}", each.values) for name, a, _ in phases for each in (a.latency, a.lateness)]
    seconds = f"{bench.scale.load_seconds:.0f} s over {CONNECTIONS} connections kept alive"
    notes = [f"For {seconds}; each latency is counted from the instant at which its question was due, sent or not."]
    columns = ("not 200", "least time left", "keep-alives", "mean", "slowest", "seen by etcd", "CPU of the sidecar")
    return [
        percentiles("`GET /leader` under load", latency, milliseconds, notes),
        Table("Keep-alives under that load", columns, [[name, *row] for name, _, row in phases], [_explain()]),
    ]


def _phase(bench: Bench, sidecar: Sidecar, rate: int) -> tuple[Answers, list[str]]:
    seconds = bench.scale.load_seconds
    say(f"load: {rate} questions a second for {seconds:.0f} s")
    before, used = KeepAlives.read(bench, sidecar), cpu_seconds(sidecar.process.pid)
    stream = Stream(sidecar.port, CONNECTIONS)
    begun = time.monotonic()
    try:
        answers = stream.run(rate, seconds)
    finally:
        stream.close()
    spent = (cpu_seconds(sidecar.process.pid) - used) / (time.monotonic() - begun)
    keep_alives = KeepAlives.read(bench, sidecar).since(before).cells()
    return answers, [str(answers.not_leading), f"{answers.least_left:.2f} s", *keep_alives, f"{spent * 100:.1f} %"]


def _explain() -> str:
    believed = TTL * (1 - _DRIFT) / (1 + _DRIFT)
    return (
        f"A holder believes in a lease of {TTL} s for {believed:.2f} s from each keep-alive, and sends one every "
        f"{TTL / 3:.2f} s: the least `validForSeconds` of any answer is just under {believed - TTL / 3:.2f} s when no "
        "keep-alive is late."
    )
