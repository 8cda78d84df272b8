"""Traffic: what a queue at rest asks of etcd between two keep-alives, as etcd's own metrics count it."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable

from tests.bench.candidates import Candidate, GoElection, Sidecar, wait_queue
from tests.bench.samples import MeasurementFailed, Table, say
from tests.bench.scale import Bench
from tests.servers import EtcdServer
from tests.support.sidecars import request

LOCK = "traffic"
TTL = 3
PERIOD = TTL / 3
_MESSAGES = re.compile(r'^grpc_server_msg_received_total\{grpc_method="(\w+)",.*\} (\S+)$', re.MULTILINE)
_SHOWN = ("LeaseKeepAlive", "Txn", "Range", "Watch")
_PLACES = ("the holder", "next in line", "third", "fourth")


def run(bench: Bench) -> list[Table]:
    """A queue that grows by one after the other: what one more candidate adds is that candidate's."""
    etcd, env = bench.etcd, bench.env
    rows = _grow(
        bench, "leasehold", Sidecar.prefix, lambda name: Sidecar(etcd, LOCK, name, env, TTL), bench.scale.traffic_queue
    )
    rows += _grow(bench, "Go Election", GoElection.prefix, lambda name: GoElection(etcd, LOCK, name, TTL), 2)
    notes = [
        f"gRPC messages that etcd received per third of the TTL ({PERIOD:.0f} s), on average over "
        f"{bench.scale.traffic_seconds:.0f} s without a change of leader. Leasehold's Txn is its confirming read."
    ]
    return [Table("Requests to etcd", (*_SHOWN, "others"), rows, notes)]


def _grow(bench: Bench, name: str, prefix: str, make: Callable[[str], Candidate], size: int) -> list[list[str]]:
    rows = []
    with contextlib.ExitStack() as stack:
        before: dict[str, float] = {}
        for place in range(size):
            candidate = make(f"traffic{place}")
            stack.callback(candidate.close)
            candidate.start()
            wait_queue(bench.etcd, prefix.format(lock=LOCK), place + 1)
            say(f"traffic: {name}, {place + 1} in the queue")
            rates = _rates(bench)
            rows.append(_row(f"{name}, {_PLACES[place]}", rates, before))
            before = rates
    return rows


def _rates(bench: Bench) -> dict[str, float]:
    """Messages per period, by method."""
    time.sleep(2 * PERIOD)  # what belongs to joining is over
    begun, first = time.monotonic(), received(bench.etcd)
    time.sleep(bench.scale.traffic_seconds)
    last, ended = received(bench.etcd), time.monotonic()
    periods = (ended - begun) / PERIOD
    return {method: (last[method] - first[method]) / periods for method in last}


def received(etcd: EtcdServer) -> Counter[str]:
    """Messages that etcd has received so far, by method. Raises MeasurementFailed."""
    status, text = request("GET", f"{etcd.url}/metrics")
    found: Counter[str] = Counter()
    for method, value in _MESSAGES.findall(text):
        found[method] += int(float(value))
    if status != 200 or not found:
        raise MeasurementFailed(f"etcd's metrics count no gRPC messages (status {status})")
    return found


def _row(name: str, rates: dict[str, float], before: dict[str, float]) -> list[str]:
    added = {method: rate - before.get(method, 0.0) for method, rate in rates.items()}
    others = sum(value for method, value in added.items() if method not in _SHOWN)
    return [name, *(_rate(added.get(method, 0.0)) for method in _SHOWN), _rate(others)]


def _rate(value: float) -> str:
    return f"{abs(value) if abs(value) < 0.05 else value:.1f}"  # no "-0.0"
