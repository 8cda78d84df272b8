"""A failure that lasts is logged once, not with every attempt."""

import logging

import pytest

from leasehold.base.logs import RepeatedFailureLog


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
