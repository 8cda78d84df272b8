"""Which of the operator's replicas is active: they elect with Leasehold itself, as any sidecar does.

`guard` is what every etcd write of the active one is tied to: it is asked just before the write, by the clock, so a
replica that was frozen writes nothing more; and etcd compares the key and token that it names, so that a write which
was already on its way fails once the next replica is active.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry

from leasehold import clock
from leasehold.candidate.journal import Journal
from leasehold.candidate.metrics import Metrics
from leasehold.candidate.publisher import Publisher
from leasehold.candidate.runner import LONGEST_SLEEP, Runner
from leasehold.election import events as ev
from leasehold.election.election import ElectionConfig
from leasehold.election.snapshot import Snapshot, State
from leasehold.etcd import EtcdClient
from leasehold.operator.config import OperatorConfig

STUCK: Final = 10 * LONGEST_SLEEP
"""Seconds without a turn of the election after which this process cannot be trusted any more."""
IN_QUEUE: Final = frozenset({State.WAITING, State.HOLDING, State.UNSURE})

Guard = tuple[str, int]
"""The own queue key, and its create revision, which is the fencing token."""


class LeaderElection:
    """One replica's part in the election of the active one.

    `changed` is called on the loop whenever `active` may have changed.
    """

    def __init__(
        self,
        config: OperatorConfig,
        client: EtcdClient,
        registry: CollectorRegistry,
        changed: Callable[[], None],
    ) -> None:
        """`client` is the caller's to close."""
        self._board = Publisher(Snapshot(config.lock, config.record.identity, State.IDLE), clock.now)
        self._metrics = Metrics(registry, self._board)
        self._journal = Journal(self._board, "this replica")
        self._changed = changed
        self._was_active = False
        self._runner = Runner(
            ElectionConfig(config.lock, config.record, root=config.root, ttl=config.ttl, max_drift=config.max_drift),
            client,
            self._board,
            self._metrics,
        )

    def guard(self) -> Guard | None:
        """The own key and token while this replica is the active one, at this very instant; else None."""
        snapshot = self._board.snapshot
        if not snapshot.is_holding(self._board.clock()) or snapshot.key is None or snapshot.token is None:
            return None
        return snapshot.key, snapshot.token

    @property
    def active(self) -> bool:
        """Whether this replica may write etcd at this instant."""
        return self.guard() is not None

    @property
    def in_queue(self) -> bool:
        """Whether this replica is the active one or waits to be."""
        return self._board.snapshot.state in IN_QUEUE

    @property
    def stuck(self) -> bool:
        """Whether the election has not turned for too long."""
        return self._runner.beat_age() > STUCK

    async def run(self) -> None:
        """Take part until `stop` has given the lock up. Raises what a bug raises: then the process must end."""
        self._journal.start()
        stop_listening = self._board.listen(self._look)
        try:
            await self._runner.run()
        finally:
            stop_listening()
            self._journal.stop()
            self._metrics.close()

    def stop(self) -> None:
        """Give the lock up at once; `guard` is None from here on, and `run` returns when etcd has been told."""
        self._runner.submit(ev.Stop())

    def _look(self, before: Snapshot, after: Snapshot) -> None:
        active = self.active
        if active != self._was_active:
            self._was_active = active
            self._changed()
