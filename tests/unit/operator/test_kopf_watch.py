"""How kopf is configured: it writes nothing, no outage ends it, and it logs little. No API server is needed."""

import logging

import pytest

from leasehold.operator.watch.kopf_watch import (
    WATCHED,
    OutageFilter,
    Sessions,
    make_registry,
    make_settings,
    rewrite_failure,
)


def record(message: str, created: float) -> logging.LogRecord:
    made = logging.LogRecord("kopf", logging.ERROR, "file", 1, message, None, None)
    made.created = created
    return made


def test_few_failed_attempts_are_logged() -> None:
    """One record per 30 s is passed; records on threads never are."""
    outage_filter = OutageFilter()
    said = [
        outage_filter.filter(record("Request attempt #1 failed; will retry", float(second)))
        for second in range(0, 65, 3)
    ]
    assert said.count(True) == 3
    assert outage_filter.filter(record("something else", 3.0))
    assert not outage_filter.filter(record("OS signals are ignored: running not in the main thread.", 3.0))


def test_all_handlers_only_watch() -> None:
    """With any other kind of handler, kopf would write finalizers and annotations."""

    async def never() -> None:
        raise AssertionError

    registry = make_registry(Sessions(never), lambda _: None)  # type: ignore[arg-type]  # a stand-in
    assert len(registry._watching.get_all_handlers()) == len(WATCHED)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert not others.get_all_handlers()


def test_kopf_retries_without_end() -> None:
    backoffs = iter(make_settings().networking.error_backoffs)  # type: ignore[arg-type]  # a stand-in
    assert all(0 < next(backoffs) <= 3 for _ in range(10_000))


def test_the_watch_timeout_is_an_integer() -> None:
    """The API server answers 400 to a fraction, and kopf would end."""
    assert isinstance(make_settings().watching.server_timeout, int)


@pytest.mark.parametrize(
    ("message", "rewritten"),
    [
        (
            "Request attempt #1 failed; will retry: GET https://api/apis/apps/v1/replicasets?limit=250 -> "
            "APIForbiddenError('replicasets.apps is forbidden: \"me\" cannot list', {'code': 403}, status=403)",
            'https://api/apis/apps/v1/replicasets cannot be watched: replicasets.apps is forbidden: "me" cannot list; '
            "trying again",
        ),
        (
            "Request attempt #3/9 failed; TCP closed; will re-authenticate: GET https://api/api/v1/pods?watch=1",
            "https://api/api/v1/pods cannot be watched: the connection was closed; trying again",
        ),
        (
            "Request attempt #2 failed; will retry: GET https://api/api/v1/pods -> OSError(111, 'refused')",
            "https://api/api/v1/pods cannot be watched: OSError(111, 'refused'); trying again",
        ),
        ("Request attempt of another kind", "Request attempt of another kind"),
    ],
)
def test_a_failed_attempt_becomes_a_sentence(message: str, rewritten: str) -> None:
    assert rewrite_failure(message) == rewritten
