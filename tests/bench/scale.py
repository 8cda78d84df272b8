"""How much is measured: enough for a README, or just enough to see that it can be."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.servers import EtcdServer


@dataclass(frozen=True)
class Scale:
    """Rounds and seconds of each benchmark."""

    handovers: int = 60
    starts: int = 60
    crashes: int = 10
    idle_seconds: float = 60.0
    node: int = 8
    """Holders of one kind on one node, as PSS divides what they share."""
    crowd: int = 200
    """Idle candidates whose load on etcd is measured, in pairs and in one queue."""
    crowd_seconds: float = 60.0
    traffic_seconds: float = 15.0
    traffic_queue: int = 4
    load_seconds: float = 30.0
    settle_seconds: float = 0.2
    """Before each handover: a watch is made, and the traces of the last handover go, without anyone telling."""
    crash_ttl: int = 5
    operator_locks: int = 1000
    operator_crowd: int = 10_000
    operator_namespaces: int = 1000
    """Over which the crowd is spread where each gets an etcd user of its own."""
    operator_changes: int = 200
    operator_takeovers: int = 5
    operator_idle_seconds: float = 60.0
    operator_quiet_seconds: float = 300.0
    """For which the operator of the crowd is watched: that it writes nothing, and uses next to no CPU."""
    ui_locks: int = 10_000
    ui_loads: int = 10
    ui_failovers: int = 20
    ui_seconds: float = 30.0
    recorder_pairs: int = 60
    pods: int = 2000
    updates: int = 20
    labels: int = 20
    injected_seconds: float = 20.0


QUICK = Scale(
    handovers=2,
    starts=1,
    crashes=1,
    idle_seconds=2.0,
    node=2,
    crowd=4,
    crowd_seconds=2.0,
    traffic_seconds=1.0,
    traffic_queue=2,
    load_seconds=1.0,
    crash_ttl=3,
    operator_locks=20,
    operator_crowd=40,
    operator_namespaces=4,
    operator_changes=2,
    operator_takeovers=1,
    operator_idle_seconds=1.0,
    operator_quiet_seconds=1.0,
    ui_locks=40,
    ui_loads=1,
    ui_failovers=1,
    ui_seconds=1.0,
    recorder_pairs=1,
    pods=20,
    updates=1,
    labels=1,
    injected_seconds=0.2,
)


@dataclass(frozen=True)
class Bench:
    """What every benchmark gets: an etcd of the run's own, how much to measure, and how to run Python programs."""

    etcd: EtcdServer
    scale: Scale
    env: Mapping[str, str]
    before: str | None = None
    """The Python interpreter that has the build to compare with, if there is one."""
