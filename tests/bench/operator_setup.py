"""A control plane of the benchmark's own with the operator's rights, Locks in it, and operators at work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from leasehold.lock.names import LockName
from tests.bench.samples import MeasurementFailed, say
from tests.bench.scale import Bench
from tests.cluster import ControlPlane
from tests.operator import many_locks
from tests.operator.operator_manifest import OPERATOR_NAMESPACE, install_operator
from tests.operator.operator_process import Operator

ROOT = "/leasehold"
PATIENCE = 900.0
"""Seconds after which something is taken to have failed: a figure may be bad, a benchmark must end."""
HELD_EVERY = 10
"""Of so many Locks one has a holder."""


class World:
    """A control plane with some Locks in it, beside the run's own etcd."""

    def __init__(self, bench: Bench, api: ControlPlane, user: str) -> None:
        self.bench = bench
        self.api = api
        self.etcd = bench.etcd
        self._user = user
        self.names: list[LockName] = []
        self.tokens: dict[LockName, int] = {}

    def grow(self, count: int) -> None:
        """Have so many Locks in all, each tenth of them held; nobody has declared them yet."""
        say(f"operator: making Locks, up to {count}")
        fresh = many_locks.names(len(self.names), count)
        many_locks.make_locks(self.api, fresh)
        self.tokens |= many_locks.hold(self.etcd.url, ROOT, fresh[::HELD_EVERY])
        self.names += fresh

    @contextmanager
    def operator(self, name: str, ttl: int = 15) -> Iterator[Operator]:
        """An operator as users run it, not started yet; it ends with the block."""
        kubeconfig = self.api.kubeconfig(self._user)
        flags = ["--log-level", "info"]
        settings = {"root": ROOT, "namespace": OPERATOR_NAMESPACE, "ttl": ttl, "flags": flags, "env": self.bench.env}
        operator = Operator(self.etcd.url, kubeconfig, name, **settings)  # type: ignore[arg-type]  # values of several types
        try:
            yield operator
        finally:
            operator.close()

    @contextmanager
    def settled(self, name: str, ttl: int = 15) -> Iterator[Operator]:
        """An operator that has seen and declared all Locks, and has nothing left to do."""
        with self.operator(name, ttl) as operator:
            operator.start()
            end = time.monotonic() + PATIENCE
            while not self.has_settled(operator):
                if time.monotonic() > end:
                    raise MeasurementFailed(f"{name} has not declared all Locks after {PATIENCE:.0f} s")
                time.sleep(0.2)  # the operator has work to do
            yield operator

    def has_settled(self, operator: Operator) -> bool:
        """Whether it is active, has declared all, and has nothing left to do. One look costs it some milliseconds."""
        now = operator.metrics()
        names = ("active", "locks", "declared", "queue_length", "reports_waiting")
        return [now[name] for name in names] == [1, len(self.names), len(self.names), 0, 0]

    def versions(self) -> dict[LockName, str]:
        """The resourceVersion of every Lock: any write would raise it."""
        return {name: str(one["metadata"]["resourceVersion"]) for name, one in many_locks.all_locks(self.api)}


@contextmanager
def world(bench: Bench) -> Iterator[World]:
    """A control plane of its own, with exactly the rights of the manifest for the operators."""
    with ControlPlane(name="bench") as api:
        yield World(bench, api, install_operator(api))
