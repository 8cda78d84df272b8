"""What a restart would mend, and what it would not."""

from leasehold.operator.health import MISSED, WatchCanary


def test_marks_that_come_back_are_well() -> None:
    canary = WatchCanary()
    for _ in range(10 * MISSED):
        canary.written()
        canary.came()
    assert canary.problem() == ""


def test_marks_that_were_written_and_never_came_are_told() -> None:
    canary = WatchCanary()
    for _ in range(MISSED - 1):
        canary.written()
    assert canary.problem() == ""
    canary.written()
    assert canary.problem() == "the informer has not delivered 7 changes in a row that the API server confirmed"
    canary.came()
    assert canary.problem() == ""
