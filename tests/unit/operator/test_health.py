"""The watch canary: when a restart would help, and when it would not."""

from leasehold.operator.health import MAX_MISSING, WatchCanary


def test_a_canary_that_arrives_is_no_problem() -> None:
    canary = WatchCanary()
    for _ in range(10 * MAX_MISSING):
        canary.written()
        canary.arrived()
    assert canary.problem() == ""


def test_missing_canaries_are_a_problem() -> None:
    """Canaries that were written and did not come back are a problem until one arrives."""
    canary = WatchCanary()
    for _ in range(MAX_MISSING - 1):
        canary.written()
    assert canary.problem() == ""
    canary.written()
    assert canary.problem() == "the informer has not delivered 7 changes in a row that the API server confirmed"
    canary.arrived()
    assert canary.problem() == ""
