"""Crash: from `kill -9` of the leader until the next one leads. The lease has to run out first."""

import contextlib
import random
import time

from tests.bench.candidates import Candidate, GoElection, Sidecar
from tests.bench.handover import Duel
from tests.bench.samples import Table, percentiles, say, whole_seconds
from tests.bench.scale import Bench


class ByKill(Duel):
    """The leader is killed; another process takes the waiter's place."""

    def _hand_over(self, leader: Candidate) -> float:
        begun = time.monotonic()
        leader.process.kill()
        return begun

    def _after(self, leader: Candidate) -> None:
        leader.close()


def run(bench: Bench) -> list[Table]:
    """Ours and Go's, in turn. (etcdctl's TTL cannot be chosen.)"""
    etcd, env, ttl = bench.etcd, bench.env, bench.scale.crash_ttl
    ours, go = (kind.prefix.format(lock="crash") for kind in (Sidecar, GoElection))
    duels = [
        ByKill(bench, "leasehold", ours, lambda name: Sidecar(etcd, "crash", name, env, ttl)),
        ByKill(bench, "Go concurrency.Election", go, lambda name: GoElection(etcd, "crash", name, ttl)),
    ]
    with contextlib.ExitStack() as stack:
        for duel in duels:
            stack.callback(duel.close)
        for turn in range(bench.scale.crashes):
            for duel in duels:
                duel.prepare()
                time.sleep(random.uniform(0, ttl / 3))  # any moment between two keep-alives
                duel.measure()
            say(f"crash: {turn + 1} of {bench.scale.crashes} rounds")
    notes = [
        "The leader's last keep-alive was up to a third of the TTL ago when it was killed, and etcd looks twice a "
        "second for leases that have run out."
    ]
    samples = [duel.sample for duel in duels]
    return [percentiles(f"Crash of the leader (kill -9) at a TTL of {ttl} s", samples, whole_seconds, notes)]
