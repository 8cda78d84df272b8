"""What of kopf can be told without an API server: that it is given nothing to write, and says little."""

import logging

from leasehold.operator.watch.kopf_watch import WATCHED, _registry, _Seldom, _Sessions, _settings


def record(message: str, created: float) -> logging.LogRecord:
    made = logging.LogRecord("kopf", logging.ERROR, "file", 1, message, None, None)
    made.created = created
    return made


def test_an_outage_is_complained_about_now_and_then_only() -> None:
    seldom = _Seldom()
    said = [seldom.filter(record("Request attempt #1 failed; will retry", float(second))) for second in range(0, 65, 3)]
    assert said.count(True) == 3
    assert seldom.filter(record("something else", 3.0))
    assert not seldom.filter(record("OS signals are ignored: running not in the main thread.", 3.0))


def test_kopf_has_handlers_that_only_watch() -> None:
    """One of any other sort would have it write finalizers and annotations."""

    async def never() -> None:
        raise AssertionError

    registry = _registry(_Sessions(never), lambda _: None)  # type: ignore[arg-type]
    assert len(registry._watching.get_all_handlers()) == len(WATCHED)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert not others.get_all_handlers()


def test_no_outage_is_long_enough_to_use_up_kopfs_attempts() -> None:
    backoffs = iter(_settings().networking.error_backoffs)  # type: ignore[arg-type]
    assert all(0 < next(backoffs) <= 3 for _ in range(10_000))


def test_the_watch_timeout_in_the_url_is_a_whole_number() -> None:
    """The API server answers 400 to a fraction, and kopf would end by it."""
    assert isinstance(_settings().watching.server_timeout, int)
