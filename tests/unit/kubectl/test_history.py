"""`kubectl leasehold history`: the terms of a status, which anybody may have written."""

from datetime import UTC, datetime

from leasehold.kubectl.history import as_table
from tests.unit.kubectl.locks import A, view

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_terms_and_the_present_holder() -> None:
    """The oldest first; the one that lasts is the last."""
    term = {
        "identity": "a\x1b",
        "fencingToken": 7,
        "from": "2026-01-02T03:00:00Z",
        "until": "2026-01-02T03:02:00Z",
        "gapSeconds": 5,
        "reason": "Released",
        "message": "a released the lock",
        "podReason": "the app is unhealthy",
        "requestedBy": "argocd",
    }
    lines = as_table(view(A, status={"recentTerms": [term, "junk"]}), NOW).splitlines()
    assert lines[0].split("   ")[0] == "HOLDER"
    assert lines[1].split() == [
        *("a\ufffd", "7", "2026-01-02T03:00:00Z", "2026-01-02T03:02:00Z", "2m", "5s", "Released", "argocd"),
        *("a", "released", "the", "lock;", "its", "pod", "said", "afterwards:", "the", "app", "is", "unhealthy"),
    ]
    assert lines[2].split()[:2] == ["a", "217"]
    assert lines[2].endswith("holds the lock")


def test_no_terms() -> None:
    """A sentence in place of a table."""
    assert as_table(view(), NOW) == "No term has ended yet, and nobody holds the lock.\n"
