"""What happens again and again is logged once: a failure that lasts, and what clients can cause at will."""

import logging

import pytest

from leasehold.base.logs import SELDOM_SECONDS, RepeatedFailureLog, SeldomWarning


def test_a_lasting_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged when it begins, when its reason changes and when it is over."""
    caplog.set_level(logging.INFO, logger="repeated")
    failure_log = RepeatedFailureLog(logging.getLogger("repeated"), "the Locks cannot be listed")
    failure_log.succeeded()
    for reason in ("no answer", "no answer", "forbidden", "no answer"):
        failure_log.failed(reason)
    failure_log.succeeded()
    failure_log.succeeded()
    assert caplog.messages == [
        "the Locks cannot be listed: no answer; trying again",
        "the Locks cannot be listed: forbidden; trying again",
        "the Locks cannot be listed: no answer; trying again",
        "recovered: the Locks cannot be listed",
    ]


def test_a_seldom_warning_comes_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 1_000.0
    warning = SeldomWarning(logging.getLogger("seldom"), "%s connections were refused", lambda: now)
    for later in (0.0, 1.0, SELDOM_SECONDS - 0.1, SELDOM_SECONDS, SELDOM_SECONDS + 59.0):
        now = 1_000.0 + later
        warning.give(later)
    assert caplog.messages == ["0.0 connections were refused", f"{SELDOM_SECONDS} connections were refused"]
