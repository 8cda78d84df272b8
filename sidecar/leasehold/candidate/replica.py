"""Leader election among the replicas of a program. They use Leasehold itself, as any sidecar does.

Every write to etcd by the active replica depends on `fence`. It is checked by the clock just before the write, so a
replica that was frozen writes nothing. And etcd compares the key and token that it names, so a write that was already
under way fails once the next replica is active.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from leasehold.base import clock
from leasehold.base.records import dataclass
from leasehold.candidate.alarm import STUCK_SECONDS
from leasehold.candidate.etcd_store import EtcdStore
from leasehold.candidate.journal import Journal
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import Runner
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd.client import EtcdClient
from leasehold.lock.names import LockName
from leasehold.lock.record import Record

Fence = tuple[str, int]
"""This replica's queue key and its create revision, which is the fencing token."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """The lock that the replicas elect with, and who this one is. `ttl` is in seconds."""

    lock: LockName
    record: Record
    root: str
    ttl: int
    max_drift: float


class Replica:
    """One replica's part in the election. `changed` is called on the loop whenever `active` may have changed."""

    def __init__(
        self,
        config: ReplicaConfig,
        client: EtcdClient,
        registry: CollectorRegistry,
        changed: Callable[[], None],
    ) -> None:
        """`client` is the caller's to close."""
        self._publisher = Publisher(Snapshot(config.lock, config.record.identity, State.IDLE), clock.now)
        self._metrics = Metrics(registry, self._publisher)
        self._journal = Journal(self._publisher, "this replica")
        self._changed = changed
        self._was_active = False
        settings = ElectionConfig(
            config.lock, config.record, root=config.root, ttl=config.ttl, max_drift=config.max_drift
        )
        self._runner = Runner(settings, EtcdStore(client, settings.keys), self._publisher, self._metrics)

    def fence(self) -> Fence | None:
        """The key and token of this replica if it is the active one at this instant; else None."""
        snapshot = self._publisher.snapshot
        if not snapshot.is_holding(self._publisher.clock()) or snapshot.key is None or snapshot.token is None:
            return None
        return snapshot.key, snapshot.token

    @property
    def active(self) -> bool:
        """Whether this replica may write to etcd at this instant."""
        return self.fence() is not None

    @property
    def stuck(self) -> bool:
        """Whether the election has not turned for too long."""
        return self._runner.seconds_since_progress() > STUCK_SECONDS

    async def run(self) -> None:
        """Take part until `stop` has released the lock. Raises only what a bug raises; then the process must end."""
        self._journal.start()
        stop_listening = self._publisher.listen(self._on_snapshot)
        try:
            await self._runner.run()
        finally:
            stop_listening()
            self._journal.stop()
            self._metrics.close()

    def stop(self) -> None:
        """Release the lock at once: `fence` is None from now on, and `run` returns once etcd has confirmed."""
        self._runner.submit(ev.Stop())

    def _on_snapshot(self, before: Snapshot, after: Snapshot) -> None:
        active = self.active
        if active != self._was_active:
            self._was_active = active
            self._changed()
