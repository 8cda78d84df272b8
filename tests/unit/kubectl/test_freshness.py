"""Whether an operator still reports, and what is shown if none does."""

from datetime import UTC, datetime

from leasehold.kubectl.describe import Description, as_text
from leasehold.kubectl.freshness import last_report, staleness
from leasehold.kubectl.lock import LockView
from leasehold.kubectl.printing import many
from tests.unit.kubectl.locks import A, view

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def canary(*times: str) -> LockView:
    return LockView({"metadata": {"managedFields": [{"manager": "operator", "time": time} for time in times]}})


def test_an_old_canary_is_told() -> None:
    """The newest of all counts; a canary without a time, or none at all, says nothing."""
    old = canary("2026-01-02T02:00:00Z", "2026-01-02T02:52:05Z")
    assert staleness(last_report([old]), NOW) == "from 12m ago (2026-01-02T02:52:05Z)"
    assert staleness(last_report([old, canary("2026-01-02T03:04:00Z")]), NOW) == ""
    for nothing in ([], [LockView({})], [canary("soon")]):
        assert staleness(last_report(nothing), NOW) == ""


def test_nobody_is_said_to_hold() -> None:
    """The status says True for ever once no operator corrects it."""
    shown = many([view(A)], "", NOW, namespaces=False, is_stale=True)
    assert shown.splitlines()[1].split()[:2] == ["db", "Unknown"]


def test_waiters_and_the_missing() -> None:
    """Named, with what keeps them from the queue."""
    waiter = {"identity": "w\x1b", "fencingToken": 300, "leaseID": "a1", "podName": "w-0"}
    absent = {"podName": "db-2", "reason": "paused", "message": "paused;\nnobody", "since": "2026-01-02T03:04:00Z"}
    text = as_text(Description(view(A, status={"waiters": [waiter], "absent": [absent, "junk"]})), NOW)
    assert "  w\ufffd" in text.partition("Waiters:")[2]
    assert "  db-2   paused   5s      paused;" in text.partition("Not in the queue:")[2]
