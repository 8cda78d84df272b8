"""The operator on a real API server: cold starts, idleness, how long a change takes, and takeover by the standby.

No peer does this job: what there is to compare with elects by Kubernetes' own Leases, and has no Locks to declare.
"""

from dataclasses import replace

from tests.bench.operator_change import measure as measure_changes
from tests.bench.operator_cold import Cold, Idle, cold_table, idle_table, measure
from tests.bench.operator_setup import world
from tests.bench.operator_takeover import measure as measure_takeovers
from tests.bench.samples import Table
from tests.bench.scale import Bench
from tests.servers import EtcdServer


def run(bench: Bench) -> list[Table]:
    """Few Locks first, then many, each on servers of its own, so that nothing is left over from before."""
    scale = bench.scale
    runs: list[tuple[Cold, Idle]] = []
    with world(bench) as few:
        few.grow(scale.operator_locks)
        runs.append(measure(few, scale.operator_idle_seconds))
        with few.settled("changes"):
            changes = measure_changes(few, scale.operator_changes)
        takeovers = measure_takeovers(few, scale.operator_takeovers, scale.crash_ttl)
    with EtcdServer() as etcd, world(replace(bench, etcd=etcd)) as many:
        many.grow(scale.operator_crowd)
        runs.append(measure(many, scale.operator_quiet_seconds))
    return [cold_table([cold for cold, _ in runs]), idle_table(runs), changes, takeovers]
