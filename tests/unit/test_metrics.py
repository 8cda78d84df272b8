"""The metrics as a scraper reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from leasehold import __version__
from leasehold.candidate.metrics import ERRORS, Metrics, Observer
from leasehold.candidate.publisher import Publisher
from leasehold.election.snapshot import Cause, Snapshot, State
from leasehold.lock.names import LockName
from leasehold.lock.reason import Code, Reason

LOCK = LockName("prod", "billing")
WAITING = Snapshot(LOCK, "billing-0", State.WAITING, token=17, deadline=110.0, leader="billing-1", position=1)
HOLDING = replace(WAITING, state=State.HOLDING, term_since=100.0, leader="billing-0", position=0)


@dataclass
class World:
    """Metrics of a board on a clock that the test sets."""

    now: float = 100.0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.board = Publisher(WAITING, lambda: self.now)
        self.metrics = Metrics(self.registry, self.board)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"lock": "prod/billing", **labels})


def test_holding_is_decided_by_the_clock_at_the_scrape() -> None:
    world = World()
    assert world.value("leasehold_holding") == 0
    world.board.publish(HOLDING)
    assert (world.value("leasehold_holding"), world.value("leasehold_token")) == (1, 17)
    assert world.value("leasehold_lease_remaining_seconds") == 10
    world.now = 110.0
    assert (world.value("leasehold_holding"), world.value("leasehold_token")) == (0, 0)
    assert world.value("leasehold_lease_remaining_seconds") == 0


def test_a_term_is_counted_once_however_often_it_is_resumed() -> None:
    world = World()
    world.board.publish(HOLDING)
    world.board.publish(replace(HOLDING, deadline=115.0))
    world.board.publish(replace(HOLDING, state=State.UNSURE))
    world.board.publish(HOLDING)
    assert world.value("leasehold_terms_total") == 1
    world.board.publish(replace(HOLDING, token=23))
    assert world.value("leasehold_terms_total") == 2


def test_handovers_are_counted_by_cause() -> None:
    """The series of each cause exists from the start."""
    world = World()
    assert [world.value("leasehold_handovers_total", cause=cause.value) for cause in Cause] == [0] * len(Cause)
    world.board.publish(HOLDING)
    yielding = replace(HOLDING, state=State.YIELDING, cause=Cause.PREFERRED)
    world.board.publish(yielding)
    world.board.publish(replace(yielding, deadline=120.0, cause=Cause.SHUTDOWN))
    assert world.value("leasehold_handovers_total", cause="preferred") == 1
    assert world.value("leasehold_handovers_total", cause="shutdown") == 0


def test_every_kind_of_error_starts_at_zero() -> None:
    """One that appeared with its first error would hide it from rate()."""
    world = World()
    assert [world.value("leasehold_errors_total", kind=kind) for kind in ERRORS] == [0] * len(ERRORS)


def test_a_waiter_that_leaves_hands_nothing_over() -> None:
    world = World()
    world.board.publish(replace(WAITING, state=State.YIELDING, cause=Cause.SHUTDOWN))
    assert world.value("leasehold_handovers_total", cause="shutdown") == 0


def test_position_is_absent_while_there_is_none() -> None:
    world = World()
    assert world.value("leasehold_position") == 1
    world.board.publish(replace(WAITING, state=State.IDLE, position=None))
    assert world.value("leasehold_position") is None


def test_exactly_one_state_is_1() -> None:
    world = World()
    values = {state: world.value("leasehold_state", state=state.value) for state in State}
    assert values == {state: float(state is State.WAITING) for state in State}


def test_the_reason_in_force_is_shown() -> None:
    """With its age; no other has a sample."""
    world = World()
    world.board.publish(replace(WAITING, reason=Reason(Code.BEHIND, since=97.0)))
    assert world.value("leasehold_not_leading_seconds", reason="behind") == 3
    world.board.publish(replace(WAITING, reason=Reason(Code.SUSPENDED, since=100.0)))
    assert world.value("leasehold_not_leading_seconds", reason="behind") is None
    assert world.value("leasehold_not_leading_seconds", reason="suspended") == 0
    world.board.publish(HOLDING)
    assert world.value("leasehold_not_leading_seconds", reason="suspended") is None


def test_what_the_runner_observes() -> None:
    world = World()
    world.metrics.keep_alive(0.004)
    world.metrics.error("timeout")
    world.metrics.error("timeout")
    assert world.value("leasehold_keep_alive_duration_seconds_count") == 1
    assert world.value("leasehold_keep_alive_duration_seconds_bucket", le="0.005") == 1
    assert world.value("leasehold_errors_total", kind="timeout") == 2


def test_closed_metrics_follow_the_board_no_more() -> None:
    world = World()
    world.metrics.close()
    world.board.publish(HOLDING)
    assert world.value("leasehold_terms_total") == 0


def test_the_base_observer_ignores_everything() -> None:
    Observer().keep_alive(1.0)
    Observer().error("timeout")


def test_the_scrape_keeps_the_conventions() -> None:
    """The whole text can be parsed.

    Our own names begin with `leasehold_`, counters end in `_total`, and each has a help text and the lock.
    """
    world = World()
    families = list(text_string_to_metric_families(generate_latest(world.registry).decode()))
    ours = [family for family in families if family.name.startswith("leasehold_")]
    assert {f.name for f in families} - {f.name for f in ours} >= {"process_resident_memory_bytes"}
    assert all(f.documentation for f in ours)
    assert all(
        s.labels.get("lock") == "prod/billing" for f in ours for s in f.samples if f.name != "leasehold_build_info"
    )
    assert not any(s.name.endswith("_created") for f in families for s in f.samples)
    assert world.registry.get_sample_value("leasehold_build_info", {"version": __version__}) == 1
