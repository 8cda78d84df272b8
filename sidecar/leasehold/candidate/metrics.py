"""What a Prometheus server can scrape of this sidecar, and a no-op observer for runners without metrics.

Every metric but `leasehold_build_info` has the label `lock`, so a dashboard can sum over the pods of a lock without
knowing their names. Values that depend on the clock (holding, time left) are computed at the scrape. A token is exact
below 2^53, which is the precision of a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from leasehold import __version__
from leasehold.candidate.leadership import LeadershipStatus
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Cause, Snapshot, State

WARNINGS: Final = (
    "lost",
    "usurped",
    "detached",
    "rolled-back",
    "unsure",
    "spec-broken",
    "left-to-expire",
    "not-resumed",
)
"""The election's notes that count as errors."""
ERRORS: Final = (*WARNINGS, "request")
KEEP_ALIVE_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Observer:
    """Takes what the runner reports beyond its snapshots. This one ignores it."""

    def keep_alive(self, seconds: float) -> None:
        """A keep-alive was answered `seconds` after it was sent."""

    def error(self, kind: str) -> None:
        """Something failed; `kind` is one of a few fixed words."""


class Metrics(Observer):
    """Counts, in the given registry, what the runner reports and what the publisher shows."""

    def __init__(self, registry: CollectorRegistry, board: Publisher) -> None:
        # These would be a second series per counter, with the time of its creation.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # has no annotations
        lock = str(board.snapshot.lock)
        terms = Counter("leasehold_terms", "Terms that this sidecar began.", ["lock"], registry=registry)
        handovers = Counter(
            "leasehold_handovers",
            "Times that this sidecar gave its lead up, by cause.",
            ["lock", "cause"],
            registry=registry,
        )
        # A counter that appears with its first event hides that event from rate(), so all exist from the start.
        # They are also looked up in advance: they count in the turn of the loop in which the lock changes hands.
        self._terms = terms.labels(lock)
        self._handovers = {cause: handovers.labels(lock, cause.value) for cause in Cause}
        self._errors = Counter("leasehold_errors", "Errors, by kind.", ["lock", "kind"], registry=registry)
        for kind in ERRORS:
            self._errors.labels(lock, kind)
        self._keep_alive = Histogram(
            "leasehold_keep_alive_duration_seconds",
            "Time from sending a keep-alive to etcd until its answer.",
            ["lock"],
            registry=registry,
            buckets=KEEP_ALIVE_BUCKETS_SECONDS,
        ).labels(lock)
        self._lock = lock
        self._last_term: int | None = None
        registry.register(_Now(board))
        ProcessCollector(registry=registry)
        self._stop_listening = board.listen(self._changed)
        self._changed(board.snapshot, board.snapshot)

    def keep_alive(self, seconds: float) -> None:
        """Add a keep-alive's duration."""
        self._keep_alive.observe(seconds)

    def error(self, kind: str) -> None:
        """Count an error of this kind."""
        self._errors.labels(self._lock, kind).inc()

    def close(self) -> None:
        """Stop counting."""
        self._stop_listening()

    def _changed(self, before: Snapshot, after: Snapshot) -> None:
        if after.state is State.HOLDING and after.token != self._last_term:
            self._last_term = after.token
            self._terms.inc()
        held = after.term_since is not None  # a waiter yields its place too, but has nothing to hand over
        if after.state is State.YIELDING and before.state is not State.YIELDING and held and after.cause:
            self._handovers[after.cause].inc()


class _Now(Collector):
    """The gauges: the newest snapshot, judged by the clock at the scrape."""

    def __init__(self, board: Publisher) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        snapshot, now = self._board.snapshot, self._board.clock()
        holding = snapshot.is_holding(now)
        gauge = _gauges(str(snapshot.lock))
        yield gauge("leasehold_holding", "1 while this sidecar holds the lock, else 0.", float(holding))
        yield gauge(
            "leasehold_token",
            "Fencing token while this sidecar holds the lock, else 0.",
            float(snapshot.token or 0) if holding else 0.0,
        )
        yield gauge(
            "leasehold_lease_remaining_seconds",
            "Time until this sidecar ceases to hold the lock unless it is renewed; 0 while it does not hold it.",
            snapshot.valid_for(now),
        )
        if snapshot.position is not None:
            yield gauge(
                "leasehold_position",
                "Candidates ahead of this one when the queue was last read; absent while not in the queue.",
                float(snapshot.position),
            )
        yield _states(snapshot)
        yield _reason(snapshot, now)
        yield InfoMetricFamily("leasehold_build", "The running version of Leasehold.", {"version": __version__})

    def describe(self) -> list[Metric]:
        # Names are fixed, but a registry that asks for them at registration would read the clock for nothing.
        return []


def _gauges(lock: str) -> Callable[[str, str, float], Metric]:
    def gauge(name: str, help_text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, help_text, labels=["lock"])
        family.add_metric([lock], value)
        return family

    return gauge


def _states(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "leasehold_state", "1 for the state that the election is in here, 0 for the others.", labels=["lock", "state"]
    )
    for state in State:
        family.add_metric([str(snapshot.lock), state.value], float(state is snapshot.state))
    return family


def _reason(snapshot: Snapshot, now: float) -> Metric:
    """Only the reason in force has a sample: one for each code would be 25 series in each pod."""
    family = GaugeMetricFamily(
        "leasehold_not_leading_seconds",
        "For how long this reason has kept this sidecar from leading; absent while it leads.",
        labels=["lock", "reason"],
    )
    reason = LeadershipStatus.at(snapshot, now).reason
    if reason is not None:
        family.add_metric([str(snapshot.lock), reason.code.value], max(0.0, now - reason.since))
    return family
